"""The registry of the servers on this host."""

from __future__ import annotations

import json
import os
import socket
from dataclasses import asdict, replace
from pathlib import Path

import psutil
import pytest

from airflow_deepseek_ocr.engines.protocol.api_key import create_api_key
from airflow_deepseek_ocr.engines.protocol.page_files import page_directory
from airflow_deepseek_ocr.engines.supervisor.life_lock import life_lock
from airflow_deepseek_ocr.engines.supervisor.process_namespace import process_namespace
from airflow_deepseek_ocr.engines.supervisor.registry import (
    DIRECTORY_VARIABLE,
    Failure,
    all_records,
    load_record,
    record_exit,
    servers_directory,
)
from airflow_deepseek_ocr.exceptions import (
    ConfigurationError,
    DeepSeekOCRError,
    ErrorCode,
    UnavailableError,
)
from tests.support.fixtures.server_records import own_record


def test_a_directory_that_others_may_enter_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "open").mkdir(mode=0o755)
    (tmp_path / "link").symlink_to(tmp_path / "open")
    for name in ("open", "link"):
        monkeypatch.setenv(DIRECTORY_VARIABLE, str(tmp_path / name))
        with pytest.raises(ConfigurationError, match=f"700.*set {DIRECTORY_VARIABLE}") as caught:
            servers_directory()
        assert caught.value.code is ErrorCode.SERVERS_DIRECTORY
    monkeypatch.setenv(DIRECTORY_VARIABLE, str(tmp_path / "parent" / "new"))
    assert servers_directory().stat().st_mode & 0o777 == 0o700


def test_a_relative_directory_is_made_absolute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Servers have another working directory than tasks."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(DIRECTORY_VARIABLE, "new")
    assert servers_directory() == tmp_path / "new"


def test_each_user_has_a_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(DIRECTORY_VARIABLE, raising=False)
    assert servers_directory().name == f"airflow-deepseek-ocr-{os.geteuid()}"


def test_a_saved_record_is_loaded_unchanged(tmp_path: Path) -> None:
    record = own_record(tmp_path, crashes=[1.5, 2.5]).with_failure(
        ConfigurationError(ErrorCode.DEVICE, "No such GPU.")
    )
    record.save(tmp_path)
    replace(record, key="other").save(tmp_path)
    assert load_record(tmp_path, "k") == record
    assert [each.key for each in all_records(tmp_path)] == ["k", "other"]
    assert not list(tmp_path.glob("*.partial"))


def test_records_that_cannot_be_read_are_skipped(tmp_path: Path) -> None:
    whole = asdict(own_record(tmp_path))
    for value in (
        [],
        {},
        1,
        {"key": "k"},
        whole | {"unknown": 1},
        whole | {"failure": {"code": 1}},
    ):
        (tmp_path / "k.json").write_text(json.dumps(value))
        assert load_record(tmp_path, "k") is None, value
    (tmp_path / "k.json").write_text("")
    assert list(all_records(tmp_path)) == []


@pytest.mark.parametrize(
    "error",
    [
        ConfigurationError(ErrorCode.DEVICE, "No such GPU."),
        UnavailableError(ErrorCode.MODEL_MISSING, "No model."),
    ],
)
def test_a_failure_keeps_code_message_and_kind(error: DeepSeekOCRError) -> None:
    failure = Failure.from_json(json.loads(json.dumps(asdict(Failure.from_error(error)))))
    again = failure.to_error()
    assert (type(again), again.code, str(again)) == (type(error), error.code, str(error))
    assert failure.before_ready


def test_the_codes_of_failures() -> None:
    """A server of another version may register a code that this one does not know."""
    unknown = Failure.from_json({"code": "from_the_future", "message": "m", "permanent": False})
    assert unknown.code is ErrorCode.SERVER_FAILED
    assert unknown.before_ready
    broken = Failure.from_json({"code": "server_broken", "message": "m", "permanent": False})
    assert not broken.before_ready


def test_a_process_id_that_was_reused_is_not_the_server(tmp_path: Path) -> None:
    created = psutil.Process().create_time()
    assert own_record(tmp_path, created=created).process() == psutil.Process()
    assert own_record(tmp_path, created=created - 100).process() is None
    assert not own_record(tmp_path, created=created - 100).owns_process_group()


def test_a_group_outlives_its_leader_but_no_reboot(tmp_path: Path) -> None:
    ended = psutil.Popen(["true"])
    ended.wait()
    record = own_record(tmp_path, pid=ended.pid)
    assert record.owns_process_group(), "members may be left"
    assert not replace(record, created=psutil.boot_time() - 100).owns_process_group()


def test_a_server_of_another_container_lives_by_its_lock_or_socket(tmp_path: Path) -> None:
    """Its process id, which is that of this process here, says nothing."""
    lock, path = tmp_path / "k.alive", tmp_path / "k.sock"
    record = own_record(tmp_path, namespace="other", life_file=str(lock), socket=str(path))
    assert own_record(tmp_path, namespace=process_namespace()).is_alive()
    assert record.is_foreign
    assert record.process() is None
    assert not record.owns_process_group()
    assert not record.is_alive()
    with life_lock(lock):
        assert record.is_alive()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        assert record.is_alive()
    assert not record.is_alive()


def test_a_server_of_another_container_keeps_its_record(tmp_path: Path) -> None:
    """A server here, whose process id is the same, ends."""
    other = own_record(tmp_path, namespace="other")
    other.save(tmp_path)
    with record_exit(tmp_path / "k.json"):
        pass
    assert load_record(tmp_path, "k") == other


def test_removing_a_record_removes_key_socket_and_pages(tmp_path: Path) -> None:
    record = own_record(
        tmp_path, socket=str(tmp_path / "k.sock"), life_file=str(tmp_path / "k.alive")
    )
    record.save(tmp_path)
    Path(record.life_file).touch()
    create_api_key(Path(record.api_key_file))
    Path(record.log_file).touch()
    Path(str(record.socket)).touch()
    page_directory(Path(str(record.socket))).mkdir()
    assert record.endpoint.socket_path == tmp_path / "k.sock"
    record.remove(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["k.log"]
    record.remove(tmp_path)


def test_a_server_that_fails_registers_its_error(tmp_path: Path) -> None:
    own_record(tmp_path).save(tmp_path)
    with pytest.raises(UnavailableError), record_exit(tmp_path / "k.json"):
        raise UnavailableError(ErrorCode.MODEL_MISSING, "the model is gone")
    record = load_record(tmp_path, "k")
    assert record is not None
    assert record.failure == Failure(
        code=ErrorCode.MODEL_MISSING, message="the model is gone", permanent=False
    )


def test_a_server_that_stops_removes_its_record_and_no_other(tmp_path: Path) -> None:
    own_record(tmp_path).save(tmp_path)
    with record_exit(tmp_path / "k.json"):
        pass
    assert load_record(tmp_path, "k") is None
    replaced = own_record(tmp_path, pid=1)
    replaced.save(tmp_path)
    with record_exit(tmp_path / "k.json"):
        pass
    assert load_record(tmp_path, "k") == replaced, "its successor has registered already"


def test_a_server_without_a_record_registers_nothing() -> None:
    with pytest.raises(UnavailableError), record_exit(None):
        raise UnavailableError(ErrorCode.MODEL_MISSING, "the model is gone")


def test_an_error_that_cannot_be_registered_is_raised_all_the_same(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    own_record(tmp_path).save(tmp_path)
    (tmp_path / f"k.{os.getpid()}.partial").mkdir()
    with (
        pytest.raises(UnavailableError, match="the model is gone"),
        record_exit(tmp_path / "k.json"),
    ):
        raise UnavailableError(ErrorCode.MODEL_MISSING, "the model is gone")
    assert f"cannot be registered in {tmp_path}" in caplog.text


def test_a_record_that_cannot_be_removed_does_not_fail_the_server(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "k.api_key").mkdir()
    own_record(tmp_path).save(tmp_path)
    with record_exit(tmp_path / "k.json"):
        pass
    assert f"cannot be removed from {tmp_path}" in caplog.text
