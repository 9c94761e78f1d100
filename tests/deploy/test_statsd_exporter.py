"""The mapping of deploy/monitoring gives what tasks send the names that the dashboard selects."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from airflow_deepseek_ocr.airflow_support.task_metrics import send_batch, send_found
from airflow_deepseek_ocr.store.row_values import TaskInfo
from tests.conftest import ROOT
from tests.deploy.test_monitoring import DASHBOARD, MONITORING
from tests.support.airflow_metrics import packets, statsd_server
from tests.support.fixtures.full_summary import full_summary

MAPPINGS = yaml.safe_load((MONITORING / "statsd_exporter.yaml").read_text("utf-8"))["mappings"]
PAGE = (ROOT / "docs" / "reference" / "metrics.md").read_text("utf-8")
_ROW = re.compile(r"^\| `(airflow_\w+)` \| (\w+) \|(.*?)\| .*`([\w.*]+)` \|$", re.MULTILINE)
#: Kinds of packets, as statsd_exporter's match_metric_type calls them, and their types in Prometheus.
_KINDS = {"c": ("counter", "counter"), "ms": ("observer", "histogram")}
#: Sent by Airflow itself, in milliseconds.
_QUEUED = {"airflow.task.queued_duration": "1500.000000|ms"}


def mapped(name: str, kind: str) -> tuple[str, dict[str, str]] | None:
    """Return name and labels of the first mapping that matches, as statsd_exporter reads its file.

    A ``*`` matches what has no dot, ``$1`` and ``${1}`` are what it matched.
    """
    for mapping in MAPPINGS:
        pattern = re.escape(mapping["match"]).replace(r"\*", r"([^.]*)")
        found = re.fullmatch(pattern, name)
        if found and mapping.get("match_metric_type", kind) == kind:

            def filled(text: str, groups: tuple[str, ...] = found.groups()) -> str:
                return re.sub(r"\$\{?(\d)\}?", lambda each: groups[int(each[1]) - 1], text)

            labels = {key: filled(value) for key, value in mapping.get("labels", {}).items()}
            return filled(mapping["name"]), labels
    return None


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """All packets that tasks send, by name."""
    with statsd_server(monkeypatch) as server:
        send_batch(full_summary(), 1.0, TaskInfo())
        send_found(1, 1, None, None)
        return packets(server) | _QUEUED


def test_each_packet_has_the_name_type_and_labels_of_the_page(sent: dict[str, str]) -> None:
    seen: dict[str, tuple[str, set[str]]] = {}
    sources: dict[str, set[str]] = {}
    for name, value in sent.items():
        kind, prometheus_type = _KINDS[value.partition("|")[2]]
        found = mapped(name, kind)
        assert found is not None, name
        seen[found[0]] = (prometheus_type, set(found[1]))
        sources.setdefault(found[0], set()).add(name.removeprefix("airflow."))
    rows = _ROW.findall(PAGE)
    assert seen == {
        name: (kind, set(re.findall(r"`(\w+)`", labels))) for name, kind, labels, _ in rows
    }
    for name, _, _, source in rows:
        pattern = re.escape(source).replace(r"\*", ".*")
        assert all(re.fullmatch(pattern, each) for each in sources[name]), name


def test_statuses_and_codes_are_labels() -> None:
    assert mapped("airflow.deepseek_ocr.pages.text_layer", "counter") == (
        "airflow_deepseek_ocr_pages_total",
        {"status": "text_layer"},
    )
    assert mapped("airflow.deepseek_ocr.failures.too_slow", "counter") == (
        "airflow_deepseek_ocr_failures_total",
        {"code": "too_slow"},
    )
    assert mapped("airflow.dagbag_size", "gauge") is None


def test_the_dashboard_draws_each_count_of_documents_and_pages() -> None:
    drawn = " ".join(target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"])
    # Bytes, and batches of documents, say little beside files and documents.
    left_out = {
        "airflow_deepseek_ocr_exports_bytes_total",
        "airflow_deepseek_ocr_found_batches_total",
    }
    missing = {name for name, *_ in _ROW.findall(PAGE) if name not in drawn}
    assert missing == left_out


def test_buckets_rise_and_each_mapping_is_reached(sent: dict[str, str]) -> None:
    kinds = {name: _KINDS[value.partition("|")[2]][0] for name, value in sent.items()}
    reached: list[Any] = [mapped(name, kind) for name, kind in kinds.items()]
    names = {each[0] for each in reached if each}
    for mapping in MAPPINGS:
        pattern = re.escape(mapping["name"]).replace(r"\$\{1\}", r"\w+")
        assert any(re.fullmatch(pattern, name) for name in names), mapping["match"]
        buckets = mapping.get("histogram_options", {}).get("buckets", [])
        assert buckets == sorted(set(buckets))
        assert bool(buckets) == (mapping["match_metric_type"] == "observer")
