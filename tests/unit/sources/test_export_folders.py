"""Folders of exports, which listings of documents leave out."""

from __future__ import annotations

import pytest

from airflow_deepseek_ocr.sources.export_folders import export_folder, is_export


@pytest.mark.parametrize("prefix", ["", "out/", "in/scans/a.pdf/"])
def test_files_in_an_exports_folder_are_exports(prefix: str) -> None:
    folder = export_folder("ab" * 32, "cd" * 32)
    assert folder == "abababababab-cdcdcdcdcdcd.ocr"
    assert is_export(f"{prefix}{folder}/document.pdf")
    assert is_export(f"{prefix}{folder}/figures/p0001-2.webp")


@pytest.mark.parametrize(
    "key", ["a.pdf", "scans.ocr/a.pdf", "0123456789ab-0123456789ab.ocr", "x-0123456789ab.ocr/a.pdf"]
)
def test_other_keys_are_documents(key: str) -> None:
    assert not is_export(key)
