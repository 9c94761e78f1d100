"""Alerts, dashboard and exporter of deploy/monitoring name metrics, labels and sections that exist."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import ROOT
from tests.support.house.links import anchors

MONITORING = ROOT / "deploy" / "monitoring"
ALERTS = yaml.safe_load((MONITORING / "alerts.yaml").read_text("utf-8"))
RULES = [rule for group in ALERTS["groups"] for rule in group["rules"]]
DASHBOARD = json.loads((MONITORING / "grafana-dashboard.json").read_text("utf-8"))
PANELS = DASHBOARD["panels"]
EXPORTER = yaml.safe_load((MONITORING / "sql_exporter.yaml").read_text("utf-8"))
SCRAPES = yaml.safe_load((MONITORING / "prometheus.yaml").read_text("utf-8"))["scrape_configs"]
GUIDE = ROOT / "docs" / "guides" / "operations.md"

_ROW = re.compile(
    r"^\| `((?:deepseek_ocr|process|airflow)_\w+)` \| (\w+) \| (.*?) \|", re.MULTILINE
)
_METRIC = re.compile(r"\b((?:deepseek_ocr|process|sql_ocr|airflow)_\w+|up)\b(?:\{([^}]*)\})?")
_MATCHER = re.compile(r'(\w+)\s*(?:=~|!~|!=|=)\s*"([^"]*)"')
_BY = re.compile(r"\b(?:by|on|ignoring)\s*\(([^)]*)\)")
#: Labels that Prometheus adds to each series of a target.
_TARGET = {"job", "instance"}
#: Airflow's tags, which are labels of the tasks' metrics.
_TASK = {"dag_id", "task_id"}


def known_metrics() -> dict[str, set[str]]:
    """Return the labels of each metric.

    tests/unit/model_server compares this page with the server, test_statsd_exporter.py with the mapping.
    """
    page = (ROOT / "docs" / "reference" / "metrics.md").read_text("utf-8")
    known = {"up": set(_TARGET)}
    for name, kind, labels in _ROW.findall(page):
        own = set(re.findall(r"`(\w+)`", labels)) | _TARGET
        if name.startswith("airflow_"):
            own |= _TASK
        known[name] = own
        if kind == "histogram":
            known |= {f"{name}_bucket": own | {"le"}, f"{name}_sum": own, f"{name}_count": own}
    for query in (each for job in EXPORTER["jobs"] for each in job["queries"]):
        known[f"sql_{query['name']}"] = set(query.get("labels", ())) | _TARGET
    return known


METRICS = known_metrics()


def expressions() -> Iterator[Any]:
    for rule in RULES:
        yield pytest.param(rule["expr"], id=rule["alert"])
    for panel in PANELS:
        for target in panel["targets"]:
            yield pytest.param(target["expr"], id=f"{panel['title']}, {target['refId']}")


@pytest.mark.parametrize("expression", expressions())
def test_metrics_and_labels_exist(expression: str) -> None:
    found = list(_METRIC.finditer(expression))
    assert found
    labels: set[str] = set()
    for metric in found:
        assert metric[1] in METRICS
        labels |= METRICS[metric[1]]
        for label, value in _MATCHER.findall(metric[2] or ""):
            assert label in METRICS[metric[1]], metric[1]
            if label == "job":
                assert value in {scrape["job_name"] for scrape in SCRAPES}
    for group in _BY.findall(expression):
        assert {label.strip() for label in group.split(",")} <= labels


def test_a_wrong_metric_or_label_is_found() -> None:
    for wrong in (
        "deepseek_ocr_nothing > 1",
        'deepseek_ocr_ready{status="1"}',
        "sum by (phase) (up)",
    ):
        with pytest.raises(AssertionError):
            test_metrics_and_labels_exist(wrong)


@pytest.mark.parametrize("rule", [pytest.param(rule, id=rule["alert"]) for rule in RULES])
def test_each_alert_has_a_section_in_the_guide(rule: dict[str, Any]) -> None:
    page, _, anchor = rule["annotations"]["runbook"].partition("#")
    assert ROOT / page == GUIDE
    assert anchor in anchors(GUIDE.read_text("utf-8"))
    assert rule["labels"]["severity"] in ("critical", "warning")
    for label in re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"]):
        metrics = [METRICS[metric[1]] for metric in _METRIC.finditer(rule["expr"])]
        assert all(label in labels for labels in metrics)


def test_each_alert_is_tried_by_promtool() -> None:
    tests = yaml.safe_load((MONITORING / "alerts_test.yaml").read_text("utf-8"))["tests"]
    tried = [case for test in tests for case in test["alert_rule_test"]]
    assert {case["alertname"] for case in tried if case["exp_alerts"]} == {
        rule["alert"] for rule in RULES
    }


def test_panels_have_their_own_ids_and_places() -> None:
    ids = Counter(panel["id"] for panel in PANELS)
    assert max(ids.values()) == 1
    cells = Counter(
        (x, y)
        for place in (panel["gridPos"] for panel in PANELS)
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    )
    assert max(cells.values()) == 1
    assert max(x for x, _ in cells) < 24
    for panel in PANELS:
        references = [target["refId"] for target in panel["targets"]]
        assert len(references) == len(set(references))


def test_the_dashboard_has_no_dangling_references() -> None:
    variables = {each["name"]: each for each in DASHBOARD["templating"]["list"]}
    text = json.dumps(DASHBOARD)
    used = set(re.findall(r"\$\{?(\w+)\}?", text))
    assert used == set(variables)
    sources = set(re.findall(r'"uid": "([^"]*)"', text)) - {DASHBOARD["uid"]}
    assert sources == {"${datasource}"}
    for name in ("instance", "dag_id"):
        (metric,) = _METRIC.finditer(variables[name]["query"]["query"])
        assert name in METRICS[metric[1]]
    for panel in PANELS:
        for target in panel["targets"]:
            labels = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
            grouped = {
                label.strip() for group in _BY.findall(target["expr"]) for label in group.split(",")
            }
            if re.search(r"\bby\b", target["expr"]):
                assert labels <= grouped
            else:
                assert labels <= _TARGET


def test_no_file_holds_a_secret() -> None:
    scrape = SCRAPES[0]["authorization"]
    assert set(scrape) == {"credentials_file"}
    for connection in (each for job in EXPORTER["jobs"] for each in job["connections"]):
        assert ":" not in connection.partition("//")[2].partition("@")[0]


def promtool(*arguments: object) -> str:
    program = shutil.which("promtool") or ROOT / ".promtool" / "usr" / "bin" / "promtool"
    if not Path(program).exists():
        raise RuntimeError("promtool is missing: make .promtool/usr/bin/promtool")
    done = subprocess.run(
        [program, *map(str, arguments)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_promtool_accepts_the_alerts() -> None:
    assert f"{len(RULES)} rules found" in promtool("check", "rules", MONITORING / "alerts.yaml")
    promtool("test", "rules", MONITORING / "alerts_test.yaml")


def test_promtool_accepts_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("key")
    configuration = (MONITORING / "prometheus.yaml").read_text("utf-8")
    path = SCRAPES[0]["authorization"]["credentials_file"]
    (tmp_path / "prometheus.yaml").write_text(configuration.replace(path, str(tmp_path / "key")))
    shutil.copy(MONITORING / "alerts.yaml", tmp_path)
    promtool("check", "config", tmp_path / "prometheus.yaml")


def test_promtool_accepts_the_panels(tmp_path: Path) -> None:
    rules = [
        {
            "record": f"panel:{panel['id']}:{target['refId']}",
            "expr": re.sub(r"\$\w+", ".*", target["expr"]),
        }
        for panel in PANELS
        for target in panel["targets"]
    ]
    path = tmp_path / "panels.yaml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    promtool("check", "rules", path)
