"""Metrics, and the page that documents them."""

from __future__ import annotations

import re

from prometheus_client.parser import text_string_to_metric_families

from airflow_deepseek_ocr.engines.in_process.capacity import Occupancy
from airflow_deepseek_ocr.exceptions import ErrorCode, UnavailableError
from airflow_deepseek_ocr.model_server.metrics import Load, Metrics
from airflow_deepseek_ocr.ocr.engine_protocol import FinishReason, PageOutput
from tests.conftest import ROOT

PAGE = (ROOT / "docs" / "reference" / "metrics.md").read_text("utf-8")
ROW = re.compile(r"^\| `((?:deepseek_ocr|process)_\w+)` \| (\w+) \| (.*?) \|", re.MULTILINE)


def measured() -> Metrics:
    metrics = Metrics()
    metrics.watch(
        lambda: Load(
            device_seconds={"decode": 2.5, "vision": 1.0},
            preempted_pages=3,
            occupancy=Occupancy(slots=4, running=2, blocks=100, used_blocks=25),
            queued_pages=7,
            oldest_page_s=1.5,
            max_pending_tokens=64_000,
            device_memory=(80, 30),
        )
    )
    metrics.describe(version="1", model="m", revision="r", device="cuda:0", dtype="bfloat16")
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
        'deepseek_ocr_info{device="cuda:0",dtype="bfloat16",model="m",revision="r",version="1"} 1.0',
        "deepseek_ocr_slots 4.0",
        "deepseek_ocr_running_pages 2.0",
        "deepseek_ocr_queued_pages 7.0",
        "deepseek_ocr_oldest_page_seconds 1.5",
        "deepseek_ocr_max_pending_tokens 64000.0",
        "deepseek_ocr_cache_blocks 100.0",
        "deepseek_ocr_cache_blocks_used 25.0",
        'deepseek_ocr_device_memory_bytes{kind="total"} 80.0',
        'deepseek_ocr_device_memory_bytes{kind="free"} 30.0',
    ):
        assert line in lines
