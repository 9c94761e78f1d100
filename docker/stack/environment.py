"""The file ``.env``: secrets that are written once, and arguments of earlier calls."""

from __future__ import annotations

import base64
import os
import re
import secrets
from pathlib import Path

from stack.errors import StackError

#: Each one is random, and written once. Passwords are part of URLs: hexadecimal digits need no quoting there.
SECRETS = (
    "ADMIN_PASSWORD",
    "FERNET_KEY",
    "API_SECRET_KEY",
    "JWT_SECRET",
    "POSTGRES_PASSWORD",
    "AIRFLOW_DB_PASSWORD",
    "OCR_DB_PASSWORD",
    "VALKEY_PASSWORD",
    "S3_ACCESS_KEY",
    "S3_SECRET_KEY",
    "OCR_API_KEY",
)
_LINE = re.compile(r"^([A-Za-z_][A-Za-z0-9_]*)=(.*)$")


def make_secret(name: str) -> str:
    """Return a new random value.

    :param name: variable; the Fernet key has a form of its own, 32 bytes in URL-safe Base64.
    """
    if name == "FERNET_KEY":
        return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
    return secrets.token_hex(16 if name == "ADMIN_PASSWORD" else 32)


def read(path: Path) -> dict[str, str]:
    """Return the variables that a file sets."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return dict(match.groups() for line in lines if (match := _LINE.match(line)))


def create(path: Path, example: Path) -> None:
    """Write the file with random secrets, readable by its owner only; an existing file is an error.

    :param path: file to write.
    :param example: file whose text it gets.
    :raises StackError: a secret has no line in the example.
    """
    text = example.read_text(encoding="utf-8")
    for name in SECRETS:
        text, found = re.subn(
            rf"^{name}=$", f"{name}={make_secret(name)}", text, flags=re.MULTILINE
        )
        if not found:
            raise StackError(
                f"{example} has no line {name}=. Restore the file from the repository."
            )
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)


def add_missing_secrets(path: Path) -> list[str]:
    """Append secrets that a newer version needs, and return their names; others stay as they are."""
    present = read(path)
    missing = [name for name in SECRETS if not present.get(name)]
    if missing:
        _replace(
            path, path.read_text(encoding="utf-8"), {name: make_secret(name) for name in missing}
        )
    return missing


def update(path: Path, values: dict[str, str]) -> None:
    """Set variables; all other lines, secrets among them, stay as they are.

    :param path: an existing file.
    :param values: variables and their values.
    :raises StackError: a value spans lines, or a secret is among the variables.
    """
    for name, value in values.items():
        if name in SECRETS or "\n" in value:
            raise StackError(f"{name} cannot be changed to {value!r} in {path}.")
    text = path.read_text(encoding="utf-8")
    changed = {name: value for name, value in values.items() if read(path).get(name) != value}
    if changed:
        _replace(path, text, changed)


def _replace(path: Path, text: str, values: dict[str, str]) -> None:
    for name, value in values.items():
        line = f"{name}={value}"
        text, found = re.subn(rf"^{name}=.*$", lambda _, new=line: new, text, flags=re.MULTILINE)
        if not found:
            text = f"{text.rstrip()}\n{line}\n"
    # A process that is interrupted while writing must not lose the secrets.
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
