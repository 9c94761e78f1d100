"""The directory for the copies of documents, and the removal of directories that killed tasks left."""

from __future__ import annotations

import fcntl
import logging
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from airflow_deepseek_ocr.exceptions import local_disk
from airflow_deepseek_ocr.temporary_directory import temporary_directory

log = logging.getLogger(__name__)

_PREFIX = "deepseek-ocr-"

#: File whose lock the process holds for as long as it uses the directory; the kernel releases it when the
#: process dies.
_LOCK = "lock"

#: Beginning of the names of copies.
_DOCUMENT = "document"

#: Seconds after which an unlocked directory belongs to a dead process. A process needs less than one to
#: create the directory and to lock it.
_YOUNGEST_S = 60.0

#: The same for a directory without a lock, which earlier versions made: no task takes longer for a document.
_YOUNGEST_WITHOUT_LOCK_S = 7 * 86_400.0


@contextmanager
def working_directory() -> Iterator[Path]:
    """Yield a new private directory for the copies of documents; remove it at the end.

    Directories of this user that killed processes left are removed first: each may hold gigabytes.

    :raises UnavailableError: ``local_disk`` if no directory can be created.
    """
    parent = temporary_directory()
    _sweep(parent)
    try:
        directory = tempfile.TemporaryDirectory(prefix=_PREFIX, dir=parent)
    except OSError as error:
        raise local_disk(f"A temporary directory cannot be created in {parent}", error) from error
    with directory as name, _locked(Path(name) / _LOCK):
        yield Path(name)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the lock of a directory."""
    with ExitStack() as stack:
        # A full disk, or a file system without locks: the directory is only not swept while it is young.
        with suppress(OSError):
            lock = stack.enter_context(path.open("w"))
            # Another process that checks whether this one is dead holds the lock for a moment.
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _sweep(parent: Path) -> None:
    """Remove the directories of dead processes; errors keep a directory for the next time."""
    with suppress(OSError):
        for directory in parent.glob(f"{_PREFIX}*"):
            with suppress(OSError):
                if _is_ours(directory) and _is_dead(directory):
                    shutil.rmtree(directory)
                    log.info("Removed %s, which a killed process left.", directory)


def _is_ours(directory: Path) -> bool:
    """Return whether this package made a directory: private, of this user, with its files only."""
    status = directory.lstat()
    return (
        stat.S_ISDIR(status.st_mode)
        and stat.S_IMODE(status.st_mode) == stat.S_IRWXU
        and status.st_uid == os.geteuid()
        and all(
            each.name == _LOCK or each.name.startswith(_DOCUMENT) for each in directory.iterdir()
        )
    )


def _is_dead(directory: Path) -> bool:
    age = time.time() - directory.stat().st_mtime
    try:
        descriptor = os.open(directory / _LOCK, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return age > _YOUNGEST_WITHOUT_LOCK_S
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return age > _YOUNGEST_S
