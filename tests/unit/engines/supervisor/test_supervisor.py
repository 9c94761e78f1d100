"""Starts of servers that fail or take long; tests/integration/servers has servers that run."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

import filelock
import psutil
import pytest

from airflow_deepseek_ocr.connection.settings import Settings
from airflow_deepseek_ocr.engines.factory import server_spec
from airflow_deepseek_ocr.engines.protocol.api_key import create_api_key
from airflow_deepseek_ocr.engines.supervisor.process import stop_server
from airflow_deepseek_ocr.engines.supervisor.registry import (
    Failure,
    ServerRecord,
    load_record,
)
from airflow_deepseek_ocr.engines.supervisor.server_spec import LaunchCommand, ServerPaths
from airflow_deepseek_ocr.engines.supervisor.supervisor import Supervisor
from airflow_deepseek_ocr.exceptions import ConfigurationError, ErrorCode, UnavailableError
from tests.conftest import TINY_MODEL
from tests.support.fakes.fault_server import Faults, fault_server
from tests.support.fixtures.server_records import own_record


@dataclass
class Script:
    """A server that is a shell script.

    :param text: the script; ``$RECORD`` is its record.
    :param url: where it is said to answer.
    :param starts: paths of each start.
    """

    text: str
    url: str = "http://127.0.0.1:9"
    starts: list[ServerPaths] = field(default_factory=list)

    kind = "resident"
    key = "k"
    description = "a script"

    def launch_command(self, paths: ServerPaths) -> LaunchCommand:
        self.starts.append(paths)
        return LaunchCommand(
            arguments=["sh", "-c", self.text],
            url=self.url,
            socket=None,
            environment={"RECORD": str(paths.record_file)},
        )


def record_in(directory: Path) -> ServerRecord:
    record = load_record(directory, "k")
    assert record is not None
    return record


def test_a_server_that_crashes_again_and_again_is_given_up(tmp_path: Path) -> None:
    script = Script("echo no such library; exit 3")
    with pytest.raises(UnavailableError, match=r"crashed 3 times.*no such library") as caught:
        Supervisor(script, tmp_path, 100, max_crashes=3).find()
    assert caught.value.code is ErrorCode.SERVER_CRASHES
    assert len({paths.socket for paths in script.starts}) == 3, "each start has its own files"
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "k.lock",
        "k.log",
        "k.previous.log",
    ]


def test_old_crashes_are_forgotten(tmp_path: Path) -> None:
    crashes = [time.time() - 901] * 4
    own_record(tmp_path, created=0.0, crashes=crashes).save(tmp_path)
    script = Script("exec sleep 100")
    with pytest.raises(UnavailableError, match="not ready in 0"):
        Supervisor(script, tmp_path, 0, max_crashes=2).find()
    record = record_in(tmp_path)
    assert len(record.crashes) == 1, "the server of the record crashed"
    stop_server(record, tmp_path)


def test_a_server_that_could_not_start_is_no_crash(tmp_path: Path) -> None:
    """A new task may have mended the cause."""
    failure = Failure(code=ErrorCode.MODEL_MISSING, message="no model", permanent=False)
    own_record(tmp_path, created=0.0, failure=failure).save(tmp_path)
    with pytest.raises(UnavailableError, match="not ready"):
        Supervisor(Script("exec sleep 100"), tmp_path, 0).find()
    assert record_in(tmp_path).crashes == []
    stop_server(record_in(tmp_path), tmp_path)


def test_the_servers_error_is_raised(tmp_path: Path) -> None:
    """A server registers its error before it exits."""
    failure = '{"code": "device", "message": "no cuda:7", "permanent": true}'
    script = Script(
        "while [ ! -e $RECORD ]; do sleep 0.02; done; "
        f'sed -i \'s/"failure": null/"failure": {failure}/\' $RECORD; exit 1'
    )
    with pytest.raises(ConfigurationError, match=r"could not start: no cuda:7") as caught:
        Supervisor(script, tmp_path, 100).find()
    assert caught.value.code is ErrorCode.DEVICE
    assert len(script.starts) == 1


def test_a_server_that_is_not_ready_in_time_keeps_loading(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match=r"not ready in 0.1 s.*k\.log") as caught:
        Supervisor(Script("exec sleep 100"), tmp_path, 0.1).find()
    assert caught.value.code is ErrorCode.SERVER_START_TIMEOUT
    record = record_in(tmp_path)
    assert record.process() is not None
    stop_server(record, tmp_path)
    assert record.process() is None


def test_a_server_is_found_when_it_answers_with_its_key(tmp_path: Path) -> None:
    with fault_server(Faults()) as server:
        script = Script("exec sleep 100", url=server.url)
        supervisor = Supervisor(script, tmp_path, 60)
        endpoint = supervisor.find()
        assert endpoint.url == server.url
        assert supervisor.find() == endpoint
        assert len(script.starts) == 1
    stop_server(record_in(tmp_path), tmp_path)


@pytest.mark.parametrize(("version", "starts"), [("0.0.9", 1), ("999.0", 0)])
def test_a_server_of_an_older_version_is_replaced(
    tmp_path: Path, version: str, starts: int
) -> None:
    """A newer one serves older tasks."""
    with fault_server(Faults()) as server:
        script = Script("exec sleep 100", url=server.url)
        supervisor = Supervisor(script, tmp_path, 60)
        supervisor.find()
        first = record_in(tmp_path)
        replace(first, version=version).save(tmp_path)
        supervisor.find()
        assert len(script.starts) == 1 + starts
        assert (first.process() is None) == bool(starts)
    stop_server(record_in(tmp_path), tmp_path)


def test_another_containers_server_of_an_older_version_is_used(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It is out of reach, and a second one may not fit the GPU."""
    with fault_server(Faults()) as server:
        script = Script("exec sleep 100", url=server.url)
        supervisor = Supervisor(script, tmp_path, 60)
        supervisor.find()
        own = record_in(tmp_path)
        older = replace(own, version="0.0.9", namespace="other", hostname="worker-2")
        older.save(tmp_path)
        supervisor.find()
        assert len(script.starts) == 1
        assert f"process {own.pid} of the container or host worker-2" in caplog.text
        assert own.process() is not None
        stop_server(own, tmp_path)
        # The other container has ended, and left its record.
        older.save(tmp_path)
        supervisor.find()
        assert len(script.starts) == 2
        assert len(record_in(tmp_path).crashes) == 1
    stop_server(record_in(tmp_path), tmp_path)


def test_a_lock_that_is_not_released_is_named(tmp_path: Path) -> None:
    with (
        filelock.FileLock(tmp_path / "k.lock"),
        pytest.raises(UnavailableError, match=r"holds the lock .*k\.lock") as caught,
    ):
        Supervisor(Script("exit 0"), tmp_path, 0).find()
    assert caught.value.code is ErrorCode.SERVER_START_TIMEOUT


def test_a_path_too_long_for_a_socket_is_refused(tmp_path: Path) -> None:
    directory = tmp_path / ("d" * 100)
    directory.mkdir()
    with pytest.raises(ConfigurationError, match="DEEPSEEK_OCR_SERVERS") as caught:
        Supervisor(Script("exit 0"), directory, 1).find()
    assert caught.value.code is ErrorCode.SERVERS_DIRECTORY


@pytest.mark.parametrize(
    "wrong", [{"vllm_options": "'"}, {"vllm_command": "'"}, {"server_python": "/nowhere/python"}]
)
def test_a_command_that_cannot_be_started_leaves_no_api_key(
    wrong: dict[str, str], tmp_path: Path
) -> None:
    settings = Settings.of(wrong)
    engine = "resident" if settings.server_python else "vllm"
    with pytest.raises(ConfigurationError):
        Supervisor(server_spec(settings, engine, TINY_MODEL), tmp_path, 5).find()
    assert list(tmp_path.glob("*.api_key")) == []


def test_a_server_that_cannot_be_registered_is_ended(tmp_path: Path) -> None:
    """No task would find it, and it would keep the device's memory."""
    (tmp_path / f"k.{os.getpid()}.partial").mkdir()
    before = set(psutil.Process().children())
    with pytest.raises(UnavailableError, match="cannot be registered") as caught:
        Supervisor(Script("exec sleep 100"), tmp_path, 60).find()
    assert caught.value.code is ErrorCode.LOCAL_DISK
    _, alive = psutil.wait_procs(set(psutil.Process().children()) - before, 10)
    assert not alive
    assert (tmp_path / "k.log").exists(), "it was started"
    assert list(tmp_path.glob("*.api_key")) == []


def test_a_server_whose_key_is_gone_is_not_ready(tmp_path: Path) -> None:
    with fault_server(Faults()) as server:
        supervisor = Supervisor(Script("exec sleep 100", url=server.url), tmp_path, 0.1)
        supervisor.find()
        record = record_in(tmp_path)
        Path(record.api_key_file).unlink()
        with pytest.raises(UnavailableError, match="not ready"):
            supervisor.find()
        create_api_key(Path(record.api_key_file))
        assert supervisor.find() == record.endpoint
    stop_server(record_in(tmp_path), tmp_path)
