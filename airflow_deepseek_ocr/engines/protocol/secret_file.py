"""Files that hold secrets: opened so that no other user can read them or choose another file."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path

from airflow_deepseek_ocr.exceptions import DeepSeekOCRError

#: Most bytes that are read of a file: a wrong path may name a large one. A private key of RSA with 16,384
#: bits has 13 KB.
_MAX_BYTES = 64 << 10
#: Most symbolic links in a path: the kernel's own limit (``path_resolution(7)``).
_MAX_LINKS = 40
#: Permission bits beyond those of the owner and the group's right to read.
_FORBIDDEN = 0o037
_WRITABLE_BY_OTHERS = 0o022


def read_secret_file(path: Path, refuse: Callable[[str], DeepSeekOCRError]) -> bytes:
    """Return the content of a file that holds a secret.

    The file must belong to this process's user or to root. Its group may read it if this process is in the
    group, as in volumes of secret stores. Symbolic links, of which such volumes consist, are followed if no
    other user could have made or replaced them.

    :param path: the file.
    :param refuse: return the error to raise for a reason such as "/k is readable by other users.".
    :raises OSError: the file is missing or cannot be read.
    """
    with open(path, "rb", opener=lambda *_: _open(path, refuse)) as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise refuse(f"{path} is no regular file.")
        if status.st_uid not in _trusted_users():
            raise refuse(f"{path} belongs to another user (id {status.st_uid}).")
        mode = stat.S_IMODE(status.st_mode)
        if mode & _FORBIDDEN:
            raise refuse(f"{path} can be read or changed by other users (mode {mode:04o}).")
        if mode & stat.S_IRGRP and status.st_gid not in (os.getegid(), *os.getgroups()):
            raise refuse(
                f"{path} can be read by the group with id {status.st_gid}, in which this process is not."
            )
        return file.read(_MAX_BYTES)


def _trusted_users() -> tuple[int, int]:
    return 0, os.geteuid()


def _open(path: Path, refuse: Callable[[str], DeepSeekOCRError]) -> int:
    # Opening a pipe would block.
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        return os.open(path, flags | os.O_NOFOLLOW)
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
    return os.open(_follow(path, refuse), flags | os.O_NOFOLLOW)


def _follow(path: Path, refuse: Callable[[str], DeepSeekOCRError]) -> Path:
    """Return the file behind the links of a path, none of which another user can replace.

    Every directory on the way is checked, and so every link in it can be changed by root and this process's
    user alone: the result stays the same until it is opened.
    """
    pending = list(path.absolute().parts[1:])[::-1]
    current, links = Path("/"), 0
    while pending:
        _require_unchangeable(current, path, refuse)
        name = pending.pop()
        if name == "..":
            current = current.parent
            continue
        entry = current / name
        status = entry.lstat()
        if not stat.S_ISLNK(status.st_mode):
            current = entry
            continue
        links += 1
        if links > _MAX_LINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
        if status.st_uid not in _trusted_users():
            raise refuse(f"{path} leads over the link {entry}, which belongs to another user.")
        target = entry.readlink()
        if target.is_absolute():
            current = Path("/")
        pending += [part for part in target.parts if part != "/"][::-1]
    return current


def _require_unchangeable(
    directory: Path, path: Path, refuse: Callable[[str], DeepSeekOCRError]
) -> None:
    status = directory.lstat()
    writable = status.st_mode & _WRITABLE_BY_OTHERS
    # In a sticky directory, as that of a Kubernetes volume, users can replace nothing but their files.
    if status.st_uid in _trusted_users() and (not writable or status.st_mode & stat.S_ISVTX):
        return
    raise refuse(
        f"{path} leads over a link, and other users can change the directory {directory} on the way."
    )
