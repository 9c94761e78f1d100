"""A server's secret: in a file that its user alone may read, never in an argument or a log."""

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

_BYTES = 32


def create_api_key(path: Path) -> str:
    """A new secret, in a new file with mode 0600.

    :raises UnavailableError: ``api_key`` if the file cannot be written, or is there already;
        ``local_disk`` if there is no space for it.
    """
    secret = secrets.token_urlsafe(_BYTES)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    try:
        with os.fdopen(os.open(path, flags, 0o600), "w") as file:
            file.write(secret + "\n")
    except OSError as error:
        if not isinstance(error, FileExistsError):
            path.unlink(missing_ok=True)
        if is_full(error):
            raise local_disk(f"The secret cannot be written to {path}", error) from error
        raise UnavailableError(
            ErrorCode.SERVER_API_KEY, f"The secret cannot be written to {path}: {error.strerror}."
        ) from error
    return secret


def read_api_key(path: Path) -> str:
    """The secret in that file.

    :raises UnavailableError: ``api_key`` if the file cannot be read.
    :raises ConfigurationError: ``api_key`` if others may read it, or it is empty.
    """
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW)) as file:
            status = os.fstat(file.fileno())
            secret = file.read(4096).strip()
    except OSError as error:
        raise UnavailableError(
            ErrorCode.SERVER_API_KEY, f"The secret in {path} cannot be read: {error.strerror}."
        ) from error
    if status.st_uid != os.geteuid() or stat.S_IMODE(status.st_mode) & 0o077:
        raise ConfigurationError(
            ErrorCode.SERVER_API_KEY,
            f"{path} must belong to the user of this process and be readable by that user alone "
            f"(chmod 600), or others could use the server.",
        )
    if not secret:
        raise ConfigurationError(
            ErrorCode.SERVER_API_KEY, f"{path} is empty; remove it to have a new one."
        )
    return secret
