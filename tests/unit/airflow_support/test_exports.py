"""Exports from an operator's arguments and the connection."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from airflow_deepseek_ocr.airflow_support.exports import export_plan
from airflow_deepseek_ocr.connection.settings import Settings
from airflow_deepseek_ocr.exceptions import ConfigurationError, MissingExtraError
from airflow_deepseek_ocr.ocr.exports import formats
from airflow_deepseek_ocr.ocr.exports.formats import Format
from airflow_deepseek_ocr.targets.directory import DirectoryTarget
from airflow_deepseek_ocr.targets.s3 import S3Target


def test_there_are_none_by_default_and_arguments_precede_the_connection(tmp_path: Path) -> None:
    assert export_plan(None, None, Settings(), object) is None
    settings = Settings(exports="text, json", export_to="s3://archive/ocr")
    plan = export_plan(None, None, settings, object)
    assert plan is not None
    assert plan.formats == (Format.TEXT, Format.JSON)
    assert isinstance(plan.target, S3Target)
    other = export_plan(["csv"], str(tmp_path), settings, object)
    assert other is not None
    assert other.formats == (Format.CSV,)
    assert isinstance(other.target, DirectoryTarget)
    assert export_plan([], None, settings, object) is None


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ((["text"], None), "export_to"),
        ((["docx"], "/x"), "export_format"),
        ((["text"], "relative"), "export_to"),
        ((["text"], "s3://in/scans/ocr"), "export_to"),
    ],
)
def test_mistakes_are_refused(arguments: Any, code: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        export_plan(*arguments, Settings(), object, uris=["s3://in/scans/a.pdf"])
    assert refused.value.code == code


def test_a_format_whose_package_is_missing_is_refused_before_anything_is_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(formats, "find_spec", lambda _: None)
    with pytest.raises(MissingExtraError, match=r"\[exports\]"):
        export_plan(["pdf"], "/x", Settings(), object)
    assert export_plan(["text"], "/x", Settings(), object) is not None
