"""A full disk below the registry of servers."""

from __future__ import annotations

import tempfile

import psutil
import pytest

from airflow_deepseek_ocr.engines.supervisor.registry import DIRECTORY_VARIABLE, servers_directory
from airflow_deepseek_ocr.engines.supervisor.server_spec import LaunchCommand, ServerPaths
from airflow_deepseek_ocr.engines.supervisor.supervisor import Supervisor
from airflow_deepseek_ocr.exceptions import UnavailableError
from tests.support.servers.disk import small_disk_or_skip

#: Allocation unit of the disk, in bytes.
BLOCK = 4096


class Sleeper:
    """A server that only has to be registered."""

    kind, key, description = "resident", "sleeper", "nothing"

    def launch_command(self, paths: ServerPaths) -> LaunchCommand:
        return LaunchCommand(
            arguments=["sleep", "60"], url="http://nowhere", socket=paths.socket, environment={}
        )


@pytest.mark.parametrize("left", [0, BLOCK])
def test_a_server_that_cannot_be_registered_is_not_left_running(
    left: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with small_disk_or_skip(8) as disk:
        monkeypatch.setenv(DIRECTORY_VARIABLE, str(disk.path / "servers"))
        supervisor = Supervisor(Sleeper(), servers_directory(), 5.0)
        before = set(psutil.Process().children())
        # One block is enough for the API key; the server runs when its record fails.
        disk.fill(leave=left)
        with pytest.raises(UnavailableError, match="Free disk space") as caught:
            supervisor.find()
        assert caught.value.code == "local_disk"
        _, alive = psutil.wait_procs(set(psutil.Process().children()) - before, 5)
        assert not alive
        kept = {path.suffix for path in servers_directory().iterdir()}
        # The log is created at the start, so it exists only if the server started.
        assert kept - {".lock"} == ({".log"} if left else set())


def test_a_full_disk_does_not_change_the_directory_of_the_registry(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In another directory, servers would be started a second time."""
    monkeypatch.delenv(DIRECTORY_VARIABLE, raising=False)
    with small_disk_or_skip(8) as disk:
        monkeypatch.setenv("TMPDIR", str(disk.path))
        before = servers_directory()
        disk.fill()
        # As in a new process: tempfile probes the directory again.
        monkeypatch.setattr(tempfile, "tempdir", None)
        assert servers_directory() == before == disk.path / before.name
