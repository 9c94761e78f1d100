"""The manifest of a document's exports: which files there are, and of which results they were made."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from airflow_deepseek_ocr.exceptions import ErrorCode
from airflow_deepseek_ocr.ocr.exports.exported import ExportedDocument
from airflow_deepseek_ocr.ocr.exports.formats import Format

#: Name of its file, in the directory of the document.
NAME, MEDIA_TYPE = "manifest.json", "application/json"
#: Outcomes of a format that stay the same as long as the results do. After others, such as a crash or a
#: missing package, the format is tried again.
_FINAL = (None, ErrorCode.EXPORT_PROTECTED, ErrorCode.EXPORT_SIGNED)
#: Version of its format.
_SCHEMA = 1
#: Names of exports: letters, digits and dots, in one directory at most. A manifest with others is forged, so
#: that files are removed elsewhere.
_FILE_NAME = re.compile(r"(?:[a-z]+/)?[a-z0-9][a-z0-9.-]*")


@dataclass(frozen=True)
class FileEntry:
    """A file that was written.

    :param name: its name in the directory of the document.
    :param page_number: the page; None for a file of the whole document.
    :param media_type: its media type.
    :param size_bytes: its size.
    :param sha256: hash of its content.
    """

    name: str
    page_number: int | None
    media_type: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True)
class FormatEntry:
    """The files of a format.

    :param content: hash of the results that they were made of; empty while they are written again.
    :param files: the files.
    :param error_code: why there are no files, or not all.
    :param error: the same in words.
    """

    content: str
    files: tuple[FileEntry, ...] = ()
    error_code: str | None = None
    error: str | None = None


@dataclass(frozen=True)
class Manifest:
    """All exports of a document.

    :param formats: the files of each format.
    """

    formats: Mapping[Format, FormatEntry] = field(default_factory=dict)

    def outdated(self, formats: Iterable[Format], content: str) -> tuple[Format, ...]:
        """Return the formats that have to be made.

        :param formats: those wanted.
        :param content: hash of the results as they are now.
        """
        return tuple(
            each
            for each in formats
            if (entry := self.formats.get(each)) is None
            or entry.content != content
            or entry.error_code not in _FINAL
        )

    def unfinished(self, formats: Iterable[Format]) -> Manifest:
        """Return it as it is while formats are written again: their files may be old or new.

        A task that is killed then leaves a manifest by which the formats are outdated for any results.
        """
        written = {each: self.formats[each] for each in formats if each in self.formats}
        unfinished = {
            key: replace(entry, content="") for key, entry in written.items() if entry.files
        }
        return Manifest({**self.formats, **unfinished})

    def finished_files(self) -> dict[str, tuple[Format, FileEntry]]:
        """Return the files by name whose bytes are certainly those of the manifest."""
        finished = {key: each for key, each in self.formats.items() if each.content}
        return Manifest(finished).files()

    def files(self) -> dict[str, tuple[Format, FileEntry]]:
        """Return all files by name."""
        return {
            file.name: (format_, file)
            for format_, entry in self.formats.items()
            for file in entry.files
        }

    def encode(self, document: ExportedDocument) -> bytes:
        """Return the manifest as JSON; the same files make the same bytes.

        :param document: the document.
        """
        values = {
            "schema": _SCHEMA,
            "uri": document.uri,
            "version": document.version,
            "version_key": document.version_key,
            "config_key": document.config_key,
            "model": document.model,
            "revision": document.revision,
            "prompt": document.prompt,
            "formats": {
                format_.value: asdict(self.formats[format_])
                for format_ in Format
                if format_ in self.formats
            },
        }
        return (json.dumps(values, indent=1) + "\n").encode()


def decode(content: bytes | None) -> Manifest:
    """Return a manifest that was read; an empty one if there is none, or it has another format."""
    try:
        values: Any = json.loads(content or b"null")
        if values["schema"] != _SCHEMA:
            return Manifest()
        return Manifest(
            {
                Format(name): FormatEntry(
                    entry["content"],
                    tuple(_file(file) for file in entry["files"]),
                    entry["error_code"],
                    entry["error"],
                )
                for name, entry in values["formats"].items()
            }
        )
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError):
        return Manifest()


def _file(values: Any) -> FileEntry:
    entry = FileEntry(**values)
    if not _FILE_NAME.fullmatch(entry.name):
        raise ValueError(entry.name)
    return entry


def sha256(content: bytes) -> str:
    """Return the hash of a file's content as 64 hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()
