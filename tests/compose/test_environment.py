"""The file of secrets: random, private, and never overwritten."""

from __future__ import annotations

import base64
import stat
from pathlib import Path

import pytest

from tests.compose.program import DOCKER

from stack import environment  # isort: skip
from stack.errors import StackError  # isort: skip

EXAMPLE = DOCKER / ".env.example"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / ".env"
    environment.create(path, EXAMPLE)
    return path


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_secrets_are_random_and_private(path: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    environment.create(other, EXAMPLE)

    first, second = environment.read(path), environment.read(other)
    values = [first[name] for name in environment.SECRETS]
    assert len(set(values)) == len(values)
    assert all(len(value) >= 32 for value in values)
    assert all(first[name] != second[name] for name in environment.SECRETS)
    assert len(base64.urlsafe_b64decode(first["FERNET_KEY"])) == 32
    assert mode(path) == 0o600


def test_the_description_has_no_secret() -> None:
    assert not [
        name
        for name, value in environment.read(EXAMPLE).items()
        if value and name in environment.SECRETS
    ]


def test_an_existing_file_is_not_overwritten(path: Path) -> None:
    before = path.read_text()

    with pytest.raises(FileExistsError):
        environment.create(path, EXAMPLE)
    assert path.read_text() == before


def test_an_update_keeps_everything_else(path: Path) -> None:
    path.write_text(path.read_text() + "AIRFLOW_PORT=9000\n# mine\n")
    path.chmod(0o600)
    before = environment.read(path)

    environment.update(path, {"OCR_MODEL": r"/checkpoints/a\1b", "NEW": "value"})

    assert environment.read(path) == before | {"OCR_MODEL": r"/checkpoints/a\1b", "NEW": "value"}
    assert "# mine" in path.read_text()
    assert mode(path) == 0o600


def test_nothing_is_written_if_nothing_changes(path: Path) -> None:
    before = path.stat()

    environment.update(path, {"OCR_MODEL": environment.read(path)["OCR_MODEL"]})

    assert path.stat().st_ino == before.st_ino


@pytest.mark.parametrize("values", [{"FERNET_KEY": "x"}, {"OCR_MODEL": "a\nFERNET_KEY=x"}])
def test_an_update_cannot_change_a_secret(path: Path, values: dict[str, str]) -> None:
    before = path.read_text()

    with pytest.raises(StackError, match="cannot be changed"):
        environment.update(path, values)
    assert path.read_text() == before


def test_secrets_of_a_newer_version_are_added(path: Path) -> None:
    text = path.read_text().replace(f"OCR_API_KEY={environment.read(path)['OCR_API_KEY']}\n", "")
    path.write_text(text)
    before = environment.read(path)

    assert environment.add_missing_secrets(path) == ["OCR_API_KEY"]
    after = environment.read(path)
    assert len(after.pop("OCR_API_KEY")) == 64
    assert after == before
    assert environment.add_missing_secrets(path) == []


def test_a_description_without_a_secret_is_refused(tmp_path: Path) -> None:
    example = tmp_path / "example"
    example.write_text("ADMIN_PASSWORD=\n")

    with pytest.raises(StackError, match="FERNET_KEY="):
        environment.create(tmp_path / ".env", example)
    assert not (tmp_path / ".env").exists()
