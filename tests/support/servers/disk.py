"""A disk that tests can fill."""

from __future__ import annotations

import errno
import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from .process import ServerUnavailable, find_program

_BLOCK = bytes(1 << 16)


class Disk:
    """A small, separate file system.

    :ivar path: its mount point.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._filler = path / ".filler"

    def fill(self, leave: int = 0) -> None:
        """Fill the free space.

        :param leave: bytes to leave free; the file system allocates pages of 4 KiB.
        """
        with self._filler.open("ab", buffering=0) as file:
            for size in (len(_BLOCK), 512):
                self._append(file.fileno(), _BLOCK[:size])
            if leave:
                os.ftruncate(file.fileno(), os.fstat(file.fileno()).st_size - leave)

    def free(self) -> None:
        """Remove the filling."""
        self._filler.unlink(missing_ok=True)

    @staticmethod
    def _append(file: int, block: bytes) -> None:
        try:
            while os.write(file, block) == len(block):
                pass
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise


@contextmanager
def small_disk(mebibytes: int) -> Iterator[Disk]:
    """Mount a file system in memory, writable for all users of this host.

    :param mebibytes: its size.
    :raises ServerUnavailable: this process may not mount file systems.
    """
    mount, umount = find_program("mount", "mount"), find_program("umount", "mount")
    # Servers run as other users: they cannot enter a directory that only root may enter.
    with tempfile.TemporaryDirectory(prefix="disk-", dir="/tmp") as directory:
        Path(directory).chmod(0o711)
        path = Path(directory) / "mounted"
        path.mkdir()
        options = f"size={mebibytes}m,mode=1777"
        command = [mount, "-t", "tmpfs", "-o", options, "tmpfs", str(path)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        if done.returncode:
            raise ServerUnavailable(
                f"a disk that can be filled needs the right to mount one, as root has it outside "
                f"containers: {done.stderr.strip()}"
            )
        try:
            yield Disk(path)
        finally:
            # A process that is ending may still use it.
            subprocess.run([umount, "--lazy", str(path)], check=True, timeout=60)


@contextmanager
def small_disk_or_skip(mebibytes: int) -> Iterator[Disk]:
    """Mount a file system, or skip the test where that is not permitted."""
    with ExitStack() as stack:
        try:
            disk = stack.enter_context(small_disk(mebibytes))
        except ServerUnavailable as error:
            pytest.skip(str(error))
        yield disk
