"""Manifests of exports."""

from __future__ import annotations

import pytest

from airflow_deepseek_ocr.exceptions import ErrorCode
from airflow_deepseek_ocr.ocr.exports.formats import Format
from airflow_deepseek_ocr.pipeline.exports.manifest import (
    FileEntry,
    FormatEntry,
    Manifest,
    decode,
)
from tests.support.exported import sample

FILE = FileEntry("document.md", None, "text/markdown", 3, "ab")
MANIFEST = Manifest({Format.MARKDOWN: FormatEntry("one", (FILE,))})


def test_a_manifest_survives_json_and_is_the_same_each_time() -> None:
    encoded = MANIFEST.encode(sample())
    assert decode(encoded) == MANIFEST
    assert encoded == MANIFEST.encode(sample())
    assert MANIFEST.files() == {"document.md": (Format.MARKDOWN, FILE)}


@pytest.mark.parametrize(
    "content",
    [None, b"", b"{", b"[]", b'{"schema": 2}', b'{"schema": 1, "formats": {"docx": {}}}'],
)
def test_another_file_is_no_manifest(content: bytes | None) -> None:
    assert decode(content) == Manifest()


def test_formats_are_outdated_when_the_results_have_changed() -> None:
    wanted = (Format.MARKDOWN, Format.TEXT)
    assert MANIFEST.outdated(wanted, "one") == (Format.TEXT,)
    assert MANIFEST.outdated(wanted, "two") == wanted


@pytest.mark.parametrize(
    ("code", "again"), [(ErrorCode.EXPORT_SIGNED, False), (ErrorCode.CRASHED, True)]
)
def test_a_failure_that_may_pass_is_tried_again(code: ErrorCode, again: bool) -> None:
    manifest = Manifest({Format.PDF: FormatEntry("one", (), code, "why")})
    assert bool(manifest.outdated([Format.PDF], "one")) is again
