"""Settings that the pages name reach Airflow's containers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_deepseek_ocr.get_provider_info import get_provider_info
from tests.compose.program import DOCKER, merged
from tests.conftest import ROOT

from stack import environment  # isort: skip

PARTS = ("api-server", "scheduler", "dag-processor", "triggerer", "worker")
_NAME = re.compile(r"\b(?:AIRFLOW__[A-Z]+_?[A-Z]+__|DEEPSEEK_OCR_(?!_))[A-Z_]+[A-Z]\b")
#: Settings that pages name for other places.
ELSEWHERE = {
    "AIRFLOW__CELERY__WORKER_CONCURRENCY": "WORKER_CONCURRENCY of .env",
    "AIRFLOW__CORE__DAGS_FOLDER": "OCR_DAGS of .env",
    "DEEPSEEK_OCR_API_KEY": "OCR_API_KEY of .env; of a server that is started by hand",
    "DEEPSEEK_OCR_SERVERS": "directory of resident servers, which share a host without containers",
}


def named() -> Iterator[str]:
    """Yield the variables that pages, examples and the provider's options name."""
    pages = [
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "airflow_deepseek_ocr").rglob("example_dags/*.py"),
    ]
    for page in pages:
        # AIRFLOW_CONN_DEEPSEEK_OCR_DEFAULT is a connection.
        yield from _NAME.findall(page.read_text().replace("AIRFLOW_CONN_", "AIRFLOW_CONN"))
    for option in get_provider_info()["config"]["deepseek_ocr"]["options"]:
        yield f"AIRFLOW__DEEPSEEK_OCR__{option.upper()}"


@pytest.fixture
def variables(tmp_path: Path) -> Path:
    path = tmp_path / ".env"
    environment.create(path, DOCKER / ".env.example")
    return path


def test_named_settings_reach_each_part_of_airflow(variables: Path) -> None:
    wanted = set(named())
    assert {"DEEPSEEK_OCR_QUEUE_URL", "AIRFLOW__DEEPSEEK_OCR__AUTO_MIGRATE", *ELSEWHERE} <= wanted
    settings = {name: f"value of {name}" for name in wanted - set(ELSEWHERE)}
    fixed = {"AIRFLOW__CORE__LOAD_EXAMPLES", "AIRFLOW__CORE__TEST_CONNECTION"}
    renamed = {"DEEPSEEK_OCR_POLL_SECONDS": "POLL_SECONDS"}
    lines = [f"{renamed.get(name, name)}={value}\n" for name, value in settings.items()]
    variables.write_text(variables.read_text() + "".join(lines))

    services = merged(["compose.yaml"], variables)["services"]
    for part in PARTS:
        passed = services[part]["environment"]
        assert {name for name in settings if name not in passed} == set(), part
        assert {name for name in settings if passed[name] != settings[name]} == fixed, part


def test_settings_that_are_not_set_are_not_passed(variables: Path) -> None:
    """An empty option would be a value to Airflow."""
    services = merged(["compose.yaml"], variables)["services"]
    for part in PARTS:
        passed = services[part]["environment"]
        assert [name for name in set(named()) if passed.get(name) == ""] == []
        assert passed.get("DEEPSEEK_OCR_QUEUE_URL") is None
        assert passed["DEEPSEEK_OCR_BUCKET"] == "documents"
