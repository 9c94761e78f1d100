"""Directories of exports, which listings of documents leave out."""

from __future__ import annotations

import pytest

from airflow_deepseek_ocr.sources.export_directories import export_directory, is_export


@pytest.mark.parametrize("prefix", ["", "out/", "in/scans/a.pdf/"])
def test_files_in_an_exports_directory_are_exports(prefix: str) -> None:
    directory = export_directory("ab" * 32, "cd" * 32)
    assert directory == "abababababab-cdcdcdcdcdcd.ocr"
    assert is_export(f"{prefix}{directory}/document.pdf")
    assert is_export(f"{prefix}{directory}/figures/p0001-2.webp")


@pytest.mark.parametrize(
    "key", ["a.pdf", "scans.ocr/a.pdf", "0123456789ab-0123456789ab.ocr", "x-0123456789ab.ocr/a.pdf"]
)
def test_other_keys_are_documents(key: str) -> None:
    assert not is_export(key)
