"""Directories of this host that only one user may enter."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

from airflow_deepseek_ocr.exceptions import DeepSeekOCRError, is_full, local_disk

#: Permission bits of the group and of others.
_OTHERS = 0o077


def make_private_directory(
    path: Path, refuse: Callable[[str], DeepSeekOCRError], *, parents: bool = False
) -> None:
    """Create a directory with mode 0700, or check that an existing one belongs to this process's user alone.

    Another user could otherwise read pages and API keys, or put files there for this process to use.

    :param path: directory.
    :param refuse: return the error to raise for a reason such as "/tmp/x cannot be created: Permission
        denied.", with the advice that fits the caller.
    :param parents: create missing parents as well.
    :raises UnavailableError: ``local_disk`` if the disk is full.
    """
    try:
        path.mkdir(mode=0o700, parents=parents, exist_ok=True)
        status = path.lstat()
    except OSError as error:
        if is_full(error):
            raise local_disk(f"{path} cannot be created", error) from error
        raise refuse(f"{path} cannot be created: {error.strerror or error}.") from error
    private = status.st_uid == os.geteuid() and not stat.S_IMODE(status.st_mode) & _OTHERS
    if not stat.S_ISDIR(status.st_mode) or not private:
        raise refuse(
            f"{path} must be a directory that belongs to this process's user and is closed to others "
            "(chmod 700)."
        )
