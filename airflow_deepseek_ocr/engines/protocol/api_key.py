"""API key of a server: in a file or an environment variable, never an argument or a line of a log."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from airflow_deepseek_ocr.engines.protocol.secret_file import read_secret_file
from airflow_deepseek_ocr.exceptions import (
    ConfigurationError,
    ErrorCode,
    UnavailableError,
    is_full,
    local_disk,
)

#: Random bytes of a key; ``secrets`` calls 32 sufficient against brute force.
_KEY_BYTES = 32
#: Fewest characters of a server's key: as hexadecimal digits they have the 64 bits that OWASP's cheat sheet
#: on sessions requires of a session's id.
MIN_LENGTH = 16


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

    :param path: file of :func:`create_api_key`, of a secret store, or one that a user wrote; see
        :func:`~.secret_file.read_secret_file` for its owner and mode.
    :raises UnavailableError: ``server_api_key`` if the file cannot be read.
    :raises ConfigurationError: ``server_api_key`` if other users may read or replace the file, it is empty,
        or an HTTP header cannot carry its content.
    """

    def refuse(reason: str) -> ConfigurationError:
        return _refused(
            f"{reason} It must belong to the user of this process (chmod 600) or to root, and be closed to "
            "others; a group of this process may read it (chmod 640). Otherwise other users could use the "
            "server."
        )

    try:
        content = read_secret_file(path, refuse)
    except OSError as error:
        raise UnavailableError(
            ErrorCode.SERVER_API_KEY,
            f"The API key file {path} cannot be read: {error.strerror}. Check its path and permissions.",
        ) from error
    api_key = content.decode("latin-1").strip()
    if not api_key:
        raise _refused(
            f"The API key file {path} is empty. Write a key into it, or remove it: a server creates a new "
            "one at its start."
        )
    _require_header_text(api_key, f"The API key in {path}")
    return api_key


def take_api_key(variable: str) -> str:
    """Return the API key in an environment variable, and remove the variable, so that no child inherits it.

    The kernel keeps a process's first environment in ``/proc/PID/environ``, which its user and root may read.

    :param variable: name of the variable.
    :raises ConfigurationError: ``server_api_key`` if it is missing or empty, or an HTTP header cannot carry
        its value.
    """
    api_key = os.environ.pop(variable, "").strip()
    if not api_key:
        raise _refused(
            f"The environment variable {variable} is missing or empty. Set it to the API key."
        )
    _require_header_text(api_key, f"The API key in the environment variable {variable}")
    return api_key


def require_strong(api_key: str) -> None:
    """Raise unless a key is long enough for a server to accept it from clients.

    :param api_key: key of a server that is about to start.
    :raises ConfigurationError: ``server_api_key``.
    """
    if len(api_key) < MIN_LENGTH:
        raise _refused(
            f"The API key has {len(api_key)} characters; it needs at least {MIN_LENGTH} random ones. To make "
            "one: openssl rand -hex 32"
        )


def fits_header(text: str) -> bool:
    """Return whether an HTTP header can carry the text."""
    return text.isascii() and text.isprintable() and text == text.strip()


def _require_header_text(api_key: str, where: str) -> None:
    if not fits_header(api_key):
        raise _refused(
            f"{where} has characters that an HTTP header cannot carry. Use one line of printable ASCII."
        )


def _refused(message: str) -> ConfigurationError:
    return ConfigurationError(ErrorCode.SERVER_API_KEY, message)
