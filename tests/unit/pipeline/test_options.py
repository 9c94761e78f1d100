"""Defaults of the pipeline."""

from __future__ import annotations

from datetime import timedelta

from airflow_deepseek_ocr.connection.fields import DEFAULTS
from airflow_deepseek_ocr.ocr.documents.limits import Limits
from airflow_deepseek_ocr.ocr.rendering.sandbox.mode import Sandbox
from airflow_deepseek_ocr.operators.deepseek_ocr import DeepSeekOCROperator
from airflow_deepseek_ocr.pipeline.error_budget import DEFAULT_MAX_FAILED_PAGES
from airflow_deepseek_ocr.pipeline.options import PipelineOptions


def test_defaults() -> None:
    options = PipelineOptions()
    assert options.limits == Limits()
    assert options.sandbox is Sandbox(DEFAULTS["sandbox"]) is Sandbox.AUTO
    assert not options.overwrite
    assert options.budget.max_failed_pages == DEFAULT_MAX_FAILED_PAGES
    assert (options.lease, options.wait_for_others) == (
        timedelta(minutes=2),
        timedelta(minutes=10),
    )


def test_the_operator_has_the_same_defaults() -> None:
    operator = DeepSeekOCROperator(task_id="read", documents=[])
    assert operator.lease == PipelineOptions.lease
    assert operator.wait_for_others == PipelineOptions.wait_for_others
