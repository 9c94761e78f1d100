"""Events of OpenLineage from a real Airflow, in the file that its file transport writes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT, TINY_MODEL
from tests.support.servers.airflow import airflow

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

DOCUMENTS = ROOT / "demo" / "documents"


@pytest.fixture
def events(tmp_path: Path) -> Iterator[list[dict[str, Any]]]:
    """The events of one run of the DAG ``lineage``."""
    connections = {
        "deepseek_ocr_db": {"conn_type": "sqlite", "host": str(tmp_path / "results.db")},
        "deepseek_ocr_default": {
            "conn_type": "deepseek_ocr",
            "extra": {
                "engine": "in_process",
                "model": str(TINY_MODEL),
                "resolution": "tiny",
                "max_output_length": 60,
                "retry_with": "none",
            },
        },
    }
    file = tmp_path / "events.jsonl"
    transport = {"type": "file", "log_file_path": str(file), "append": True}
    settings = {
        "AIRFLOW__CORE__DAGS_FOLDER": str(Path(__file__).parent / "dags"),
        "AIRFLOW__OPENLINEAGE__TRANSPORT": json.dumps(transport),
        "LINEAGE_DOCUMENTS": str(DOCUMENTS),
    }
    with airflow(connections, settings) as instance:
        instance.test_dag("lineage")
    yield [json.loads(line) for line in file.read_text("utf-8").splitlines()]


def test_the_complete_event_of_a_mapped_task_has_inputs_outputs_and_counts(
    events: list[dict[str, Any]], tmp_path: Path
) -> None:
    complete = [
        event
        for event in events
        if event["eventType"] == "COMPLETE" and event["job"]["name"] == "lineage.read"
    ]
    assert len(complete) == 2
    (event,) = (each for each in complete if each["inputs"][0]["name"].endswith("table.png"))
    assert [(each["namespace"], each["name"]) for each in event["inputs"]] == [
        ("file", str(DOCUMENTS / "table.png"))
    ]
    names = {each["name"] for each in event["outputs"]}
    assert names == {
        f"{tmp_path}/results.db.ocr_{name}"
        for name in ("documents", "pages", "regions", "tables", "table_cells")
    }
    facet = event["run"]["facets"]["deepseekOcr_batch"]
    assert facet["model"] == str(TINY_MODEL)
    assert (facet["pages"], facet["inputs"], facet["inputs_left_out"]) == (1, 1, 0)
    assert facet["text_tokens"] > 0
    assert len(facet["configuration_key"]) == 64
    (other,) = (each for each in complete if each is not event)
    assert other["run"]["facets"]["deepseekOcr_batch"]["failed_codes"] == {"missing_file": 1}
