"""Servers of containers that share the directory of servers; each has its own process ids."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_deepseek_ocr.cli import main
from airflow_deepseek_ocr.engines.supervisor.process import stop_server
from airflow_deepseek_ocr.engines.supervisor.registry import (
    DIRECTORY_VARIABLE,
    ServerRecord,
    load_record,
    servers_directory,
)
from airflow_deepseek_ocr.engines.supervisor.supervisor import Supervisor
from airflow_deepseek_ocr.exceptions import ErrorCode, UnavailableError
from tests.support.servers.container import SmallServer, can_unshare, container

pytestmark = pytest.mark.skipif(not can_unshare(), reason="needs unshare --pid, as root has it")


@pytest.fixture
def shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(DIRECTORY_VARIABLE, str(tmp_path / "s"))
    return servers_directory()


def record_in(directory: Path) -> ServerRecord:
    record = load_record(directory, "k")
    assert record is not None
    return record


def files(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir()}


def test_another_containers_server_is_used_and_stays(shared: Path) -> None:
    with container(shared) as first:
        record, before = record_in(shared), files(shared)
        assert first == {"socket": record.socket}
        endpoint = Supervisor(SmallServer(), shared, 60).find()
        assert str(endpoint.socket_path) == record.socket
        with container(shared) as second:
            assert second == first
        assert (record_in(shared), files(shared)) == (record, before)
        assert record.is_foreign
        assert record.is_alive()
        assert record.process() is None


def test_a_server_that_does_not_answer_is_left_alone(shared: Path) -> None:
    with container(shared, answers=False, timeout_s=0.1):
        record, before = record_in(shared), files(shared)
        with pytest.raises(
            UnavailableError, match=r"of the container or host .*left alone"
        ) as caught:
            Supervisor(SmallServer(), shared, 0.1).find()
        assert caught.value.code is ErrorCode.SERVER_START_TIMEOUT
        with container(shared, timeout_s=0.1) as second:
            assert "left alone" in second["error"]
        assert (record_in(shared), files(shared)) == (record, before)
        assert record.is_alive()


def test_a_container_that_starts_again_cleans_up(shared: Path) -> None:
    """Its process ids are those of the container before."""
    with container(shared):
        old = record_in(shared)
    assert not old.is_alive()
    left = {Path(path).name for path in (old.socket or "", old.api_key_file, old.life_file)}
    assert left <= files(shared)
    with container(shared) as again:
        new = record_in(shared)
        assert again == {"socket": new.socket}
        assert (new.pid, new.socket) == (old.pid, again["socket"])
        assert new.namespace != old.namespace
        assert not left & files(shared)
    own = Supervisor(SmallServer(), shared, 60)
    own.find()
    mine = record_in(shared)
    assert mine.process() is not None
    stop_server(mine, shared)
    assert files(shared) == {"k.lock", "k.log", "k.previous.log"}


def test_servers_lists_another_containers_server_and_stop_leaves_it(
    shared: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with container(shared):
        assert main(["servers"]) == 0
        place = record_in(shared).place
        assert f"  {place}  " in capsys.readouterr().out
        assert main(["stop", "k"]) == 1
        assert "cannot be stopped from here" in capsys.readouterr().err
        assert main(["stop", "--all"]) == 0
        assert capsys.readouterr().out == f"left k: {place}\n"
        assert record_in(shared).is_alive()
    assert main(["servers"]) == 0
    assert "  exited  " in capsys.readouterr().out
    assert main(["stop", "--all"]) == 0
    assert capsys.readouterr().out == "stopped k\n"
    assert files(shared) == {"k.lock", "k.log"}
