"""Test documents of other projects: source distributions of PDF tools, and Debian's sources of OCR tools."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

#: From pip's package index.
DISTRIBUTIONS = ("pikepdf", "ocrmypdf", "pypdf")
#: From apt's archive.
SOURCE_PACKAGES = ("leptonlib", "tesseract")

_TIMEOUT_S = 600
_APT = Path("/etc/apt")


class FetchError(Exception):
    """A collection cannot be fetched; the message says why."""


def fetch(name: str, directory: Path) -> Path:
    """Return the directory of a collection's unpacked files; fetch them if they are missing.

    :param name: one of ``DISTRIBUTIONS`` or ``SOURCE_PACKAGES``.
    :param directory: directory of all collections.
    :raises FetchError: the collection cannot be fetched.
    """
    unpacked = directory / name
    if unpacked.is_dir():
        return unpacked
    archives = directory / "archives" / name
    archives.mkdir(parents=True, exist_ok=True)
    if name in DISTRIBUTIONS:
        _pip(name, archives)
    else:
        _apt(name, archives)
    found = sorted(archives.glob("*.tar.*"))
    if not found:
        raise FetchError(f"{name}: no archive was downloaded")
    half = directory / f"{name}.half"
    shutil.rmtree(half, ignore_errors=True)
    for archive in found:
        with tarfile.open(archive) as opened:
            opened.extractall(half / archive.name.partition(".tar")[0], filter="data")
    half.rename(unpacked)
    return unpacked


def _pip(name: str, directory: Path) -> None:
    pip = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--no-deps",
        "--dest",
        str(directory),
    ]
    _run([*pip, "--no-binary", name, name])


def _apt(name: str, directory: Path) -> None:
    """Use separate package lists: those of the system may not include sources."""
    if shutil.which("apt-get") is None:
        raise FetchError(f"{name}: apt-get is missing; it needs Debian")
    state = (directory.parent / "apt").resolve()
    parts = state / "sources.list.d"
    for path in (parts, state / "lists" / "partial", state / "archives" / "partial"):
        path.mkdir(parents=True, exist_ok=True)
    for path in (_APT / "sources.list", *sorted((_APT / "sources.list.d").glob("*"))):
        if path.is_file():
            sources = path.read_text()
            sources = re.sub(r"(?m)^deb\b", "deb-src", sources)
            sources = re.sub(r"(?m)^Types:.*$", "Types: deb-src", sources)
            if "debian" in sources.lower():
                (parts / path.name).write_text(sources)
    options = [
        f"Dir::Etc::sourceparts={parts}",
        "Dir::Etc::sourcelist=-",
        f"Dir::State::lists={state / 'lists'}",
        f"Dir::Cache={state}",
        "APT::Sandbox::User=root",
    ]
    apt = ["apt-get", "-qq", *(part for each in options for part in ("-o", each))]
    if not any((state / "lists").glob("*Sources*")):
        _run([*apt, "update"])
    _run([*apt, "source", "--download-only", name], directory)


def _run(command: list[str], directory: Path | None = None) -> None:
    try:
        done = subprocess.run(
            command, cwd=directory, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise FetchError(f"{command[0]}: {error}") from error
    if done.returncode:
        raise FetchError(f"{' '.join(command[:4])} ...: {done.stderr.strip()[-500:]}")
