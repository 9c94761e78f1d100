"""A full disk where servers are written down."""

from __future__ import annotations

import tempfile

import psutil
import pytest

from airflow_deepseek_ocr.engines.supervisor.registry import DIRECTORY_VARIABLE, servers_directory
from airflow_deepseek_ocr.engines.supervisor.supervisor import Launch, Place, Supervisor
from airflow_deepseek_ocr.exceptions import UnavailableError
from tests.support.servers.disk import small_disk_or_skip

#: Bytes of which space is given out.
BLOCK = 4096


class Sleeper:
    """A server that does nothing: it is to be written down, not asked."""

    kind, key, description = "resident", "sleeper", "nothing"

    def launch(self, place: Place) -> Launch:
        return Launch(["sleep", "60"], "http://nowhere", place.socket, {})


@pytest.mark.parametrize("left", [0, BLOCK])
def test_a_server_that_cannot_be_written_down_is_not_left_behind(
    left: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with small_disk_or_skip(8) as disk:
        monkeypatch.setenv(DIRECTORY_VARIABLE, str(disk.path / "servers"))
        supervisor = Supervisor(Sleeper(), servers_directory(), 5.0)
        before = set(psutil.Process().children())
        # One block is enough for the secret, and then the server runs already.
        disk.fill(leave=left)
        with pytest.raises(UnavailableError, match="Free disk space") as caught:
            supervisor.find()
        assert caught.value.code == "local_disk"
        _, alive = psutil.wait_procs(set(psutil.Process().children()) - before, 5)
        assert not alive
        kept = {path.suffix for path in servers_directory().iterdir()}
        # Its log is there from when it starts.
        assert kept - {".lock"} == ({".log"} if left else set())


def test_servers_of_a_full_disk_are_looked_for_where_they_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """On another disk they would be started a second time."""
    monkeypatch.delenv(DIRECTORY_VARIABLE, raising=False)
    with small_disk_or_skip(8) as disk:
        monkeypatch.setenv("TMPDIR", str(disk.path))
        before = servers_directory()
        disk.fill()
        # A task that has not looked for a temporary directory before.
        monkeypatch.setattr(tempfile, "tempdir", None)
        assert servers_directory() == before == disk.path / before.name
