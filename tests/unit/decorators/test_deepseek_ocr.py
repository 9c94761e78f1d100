"""The decorator ``@task.deepseek_ocr``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_deepseek_ocr.decorators.deepseek_ocr import deepseek_ocr_task
from airflow_deepseek_ocr.operators.deepseek_ocr import DeepSeekOCROperator
from tests.support.airflow_connections import define_model, define_sqlite


def task(documents: Any, **arguments: Any) -> Any:
    @deepseek_ocr_task(task_id="read", **arguments)
    def found(names: list[str]) -> Any:
        return names

    return found(documents).operator


def test_the_function_s_documents_are_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    define_model(monkeypatch, "deepseek_ocr_default", model="/nowhere", engine="in_process")
    define_sqlite(monkeypatch, "deepseek_ocr_db", tmp_path / "results.db")
    broken = tmp_path / "broken.pdf"
    broken.write_bytes(b"%PDF-1.7")
    summary = task([f"file://{broken}"]).execute({})
    assert summary["documents"] == {"failed": 1}
    with pytest.raises(AirflowFailException, match="s3://bucket/key"):
        task(["no-uri"]).execute({})


def test_it_takes_the_operator_s_arguments_and_checks_them() -> None:
    operator = task([], resolution="base", pages="{{ params.pages }}")
    assert set(DeepSeekOCROperator.template_fields) < set(operator.template_fields)
    assert (operator.resolution, operator.custom_operator_name) == ("base", "@task.deepseek_ocr")
    with pytest.raises(AirflowFailException, match="tiny, small, base"):
        task([], resolution="huge")
