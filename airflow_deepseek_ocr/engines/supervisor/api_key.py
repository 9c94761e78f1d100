"""API key of a server: a file that only its user may read, never an argument or a line of a log."""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path

from airflow_deepseek_ocr.exceptions import (
    ConfigurationError,
    ErrorCode,
    UnavailableError,
    is_full,
    local_disk,
)

#: Random bytes of a key; ``secrets`` calls 32 sufficient against brute force.
_KEY_BYTES = 32
#: Most characters that are read of a file: a wrong path may name a large one.
_MAX_CHARACTERS = 4096


def create_api_key(path: Path) -> str:
    """Return a new random API key, written to a new file with mode 0600.

    :param path: file to create.
    :raises UnavailableError: ``server_api_key`` if the file exists or cannot be written; ``local_disk``
        if the disk is full.
    """
    api_key = secrets.token_urlsafe(_KEY_BYTES)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    try:
        with os.fdopen(os.open(path, flags, 0o600), "w") as file:
            file.write(api_key + "\n")
    except OSError as error:
        if not isinstance(error, FileExistsError):
            path.unlink(missing_ok=True)
        if is_full(error):
            raise local_disk(f"The API key cannot be written to {path}", error) from error
        raise UnavailableError(
            ErrorCode.SERVER_API_KEY,
            f"The API key cannot be written to {path}: {error.strerror}. Remove the file, or choose "
            "another path.",
        ) from error
    return api_key


def read_api_key(path: Path) -> str:
    """Return the API key in a file.

    :param path: file of :func:`create_api_key`, or one that a user wrote.
    :raises UnavailableError: ``server_api_key`` if the file cannot be read.
    :raises ConfigurationError: ``server_api_key`` if other users may read the file, or it is empty.
    """
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW)) as file:
            status = os.fstat(file.fileno())
            api_key = file.read(_MAX_CHARACTERS).strip()
    except OSError as error:
        raise UnavailableError(
            ErrorCode.SERVER_API_KEY,
            f"The API key file {path} cannot be read: {error.strerror}. Check its path and permissions.",
        ) from error
    if status.st_uid != os.geteuid() or stat.S_IMODE(status.st_mode) & 0o077:
        raise ConfigurationError(
            ErrorCode.SERVER_API_KEY,
            f"The API key file {path} must belong to the user of this process and be readable by that "
            "user alone (chmod 600); otherwise other users could use the server.",
        )
    if not api_key:
        raise ConfigurationError(
            ErrorCode.SERVER_API_KEY,
            f"The API key file {path} is empty. Write a key into it, or remove it: a server creates a "
            "new one at its start.",
        )
    return api_key
