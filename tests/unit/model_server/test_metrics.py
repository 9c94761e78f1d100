"""Metrics, and the page that documents them."""

from __future__ import annotations

import re

from prometheus_client.parser import text_string_to_metric_families

from airflow_deepseek_ocr.exceptions import ErrorCode, UnavailableError
from airflow_deepseek_ocr.model_server.metrics import Metrics
from airflow_deepseek_ocr.ocr.engine_protocol import FinishReason, PageOutput
from tests.conftest import ROOT

PAGE = (ROOT / "docs" / "reference" / "metrics.md").read_text("utf-8")
ROW = re.compile(r"^\| `(deepseek_ocr_\w+)` \| (\w+) \| (.*?) \|", re.MULTILINE)


def measured() -> Metrics:
    metrics = Metrics()
    metrics.watch_engine(lambda: {"decode": 2.5, "vision": 1.0}, lambda: 3)
    metrics.responses.labels("200").inc()
    metrics.count("tiny", PageOutput(key=1, finish_reason=FinishReason.STOP, text_tokens=9), 0.2)
    error = UnavailableError(ErrorCode.ENGINE_ERROR, "failed")
    metrics.count("tiny", PageOutput(key=2, error=error), 0.2)
    return metrics


def test_the_page_lists_the_metrics_with_type_and_labels() -> None:
    exposed = {}
    for family in text_string_to_metric_families(measured().text().decode()):
        if family.name.endswith("_created"):
            continue
        name = f"{family.name}_total" if family.type == "counter" else family.name
        labels = {label for sample in family.samples for label in sample.labels} - {"le"}
        exposed[name] = (family.type, labels)
    documented = {
        name: (kind, set(re.findall(r"`(\w+)`", labels)))
        for name, kind, labels in ROW.findall(PAGE)
    }
    assert documented == exposed


def test_the_values() -> None:
    lines = measured().text().decode().splitlines()
    for line in (
        'deepseek_ocr_pages_total{resolution="tiny",result="stop"} 1.0',
        'deepseek_ocr_pages_total{resolution="tiny",result="engine_error"} 1.0',
        "deepseek_ocr_generated_tokens_total 9.0",
        "deepseek_ocr_page_duration_seconds_count 2.0",
        'deepseek_ocr_device_seconds_total{phase="decode"} 2.5',
        "deepseek_ocr_pages_preempted_total 3.0",
        "deepseek_ocr_ready 0.0",
    ):
        assert line in lines
