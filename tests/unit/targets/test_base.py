"""The protocol of a place for exports."""

from __future__ import annotations

from pathlib import Path

from airflow_deepseek_ocr.targets.base import ExportTarget
from airflow_deepseek_ocr.targets.directory import DirectoryTarget
from airflow_deepseek_ocr.targets.s3 import S3Target


def test_both_places_have_it(tmp_path: Path) -> None:
    places: list[ExportTarget] = [DirectoryTarget(tmp_path), S3Target(None, "b", "ocr/")]
    assert [place.uri("a/b") for place in places] == [f"file://{tmp_path}/a/b", "s3://b/ocr/a/b"]
