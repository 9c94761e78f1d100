"""Lineage of a batch, as OpenLineage's provider takes it from the operator."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from airflow.providers.openlineage.extractors.base import DefaultExtractor
from airflow.providers.openlineage.utils.utils import OpenLineageRedactor
from openlineage.client.serde import Serde
from sqlalchemy import create_engine

from airflow_deepseek_ocr import __version__
from airflow_deepseek_ocr.airflow_support.lineage import (
    FACET,
    MAX_INPUTS,
    batch_lineage,
    dataset_name,
    table_name,
)
from airflow_deepseek_ocr.hooks.deepseek_ocr import DeepSeekOCRHook
from airflow_deepseek_ocr.ocr.documents.reference import DocumentRef
from airflow_deepseek_ocr.operators.deepseek_ocr import DeepSeekOCROperator
from airflow_deepseek_ocr.store.names import Names
from tests.conftest import ROOT
from tests.support.airflow_connections import define_model, define_sqlite
from tests.support.fakes.batch_engine import FakeEngine

TABLE = ROOT / "demo" / "documents" / "table.png"


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("s3://scans/in/a b#1.pdf", ("s3://scans", "in/a b#1.pdf")),
        ("S3://scans/out/", ("s3://scans", "out")),
        ("s3://scans/", ("s3://scans", "/")),
        (
            "s3://arn:aws:s3:eu-west-1:123456789012:accesspoint/docs/in/a.pdf",
            ("s3://arn:aws:s3:eu-west-1:123456789012:accesspoint/docs", "in/a.pdf"),
        ),
        ("file:///data/a%20b.pdf", ("file", "/data/a b.pdf")),
        ("gs://archive/in/a.pdf", ("gs://archive", "in/a.pdf")),
        ("s3://no bucket/a.pdf", ("s3://no bucket", "a.pdf")),
    ],
)
def test_documents_have_the_names_of_the_specification(uri: str, expected: tuple[str, str]) -> None:
    assert dataset_name(uri) == expected


@pytest.mark.parametrize(
    ("url", "names", "expected"),
    [
        (
            "postgresql+psycopg2://u:secret@db.example:6432/results",
            Names(),
            ("postgres://db.example:6432", "results.public.ocr_pages"),
        ),
        (
            "postgresql+psycopg2://db.example/results",
            Names("scans_", "archive"),
            ("postgres://db.example:5432", "results.archive.scans_ocr_pages"),
        ),
        ("mysql+pymysql://u:secret@db/results", Names(), ("mysql://db:3306", "results.ocr_pages")),
        ("mysql+pymysql://db/results", Names(schema="b"), ("mysql://db:3306", "b.ocr_pages")),
        ("sqlite:////data/results.db", Names("a_"), ("sqlite", "/data/results.db.a_ocr_pages")),
    ],
)
def test_tables_have_the_names_of_the_specification_and_no_password(
    url: str, names: Names, expected: tuple[str, str]
) -> None:
    assert table_name(create_engine(url), names, "ocr_pages") == expected


def test_many_documents_are_named_up_to_a_limit() -> None:
    refs = [DocumentRef(f"s3://b/{number}", version=str(number)) for number in range(150)]
    inputs = batch_lineage([*refs, *refs], None).inputs
    assert [each.name for each in inputs] == [str(number) for number in range(MAX_INPUTS)]
    assert inputs[7].facets["version"].datasetVersion == "7"


@pytest.fixture
def results(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    define_model(
        monkeypatch,
        "deepseek_ocr_default",
        model="/nowhere",
        revision="r7",
        engine="in_process",
        api_key="a-secret-key",
    )
    define_sqlite(monkeypatch, "deepseek_ocr_db", tmp_path / "results.db")
    monkeypatch.setattr(DeepSeekOCRHook, "get_conn", lambda _: FakeEngine())
    return tmp_path / "results.db"


def as_sent(lineage: Any) -> dict[str, Any]:
    """Return the JSON of an event's parts, masked as the provider masks them."""
    redactor = OpenLineageRedactor()
    sent: dict[str, Any] = json.loads(Serde.to_json(redactor.redact(lineage)))
    return sent


def test_a_task_that_fails_has_inputs_outputs_and_counts(results: Path, tmp_path: Path) -> None:
    operator = DeepSeekOCROperator(
        task_id="read",
        documents=[TABLE.as_uri(), "file:///no/such.pdf"],
        exports=["text"],
        export_to=str(tmp_path / "out"),
        db_table_prefix="scans_",
        fail_on_document_errors=True,
    )
    extractor = DefaultExtractor(operator)
    assert extractor.extract_on_failure(None).inputs == []
    with pytest.raises(AirflowFailException):
        operator.execute({})
    sent = as_sent(extractor.extract_on_failure(None))
    assert sent == as_sent(extractor.extract_on_complete(None))
    assert [(each["namespace"], each["name"]) for each in sent["inputs"]] == [
        ("file", str(TABLE)),
        ("file", "/no/such.pdf"),
    ]
    outputs = {each["name"]: each for each in sent["outputs"]}
    assert list(outputs) == [
        *(
            f"{results}.scans_ocr_{name}"
            for name in ("documents", "pages", "regions", "tables", "table_cells", "exports")
        ),
        str(tmp_path / "out"),
    ]
    written = outputs[str(tmp_path / "out")]["outputFacets"]["outputStatistics"]
    assert written["fileCount"] == len(
        [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    )
    pages = outputs[f"{results}.scans_ocr_pages"]["outputFacets"]["outputStatistics"]
    assert pages["rowCount"] == 1
    facet = {name: value for name, value in sent["run_facets"][FACET].items() if name[0] != "_"}
    assert len(facet.pop("configuration_key")) == 64
    assert facet == {
        "version": __version__,
        "model": "/nowhere",
        "revision": "r7",
        "prompt": "markdown",
        "resolution": "gundam",
        "inputs": 2,
        "inputs_left_out": 0,
        "documents": {"done": 1, "failed": 1},
        "failed_codes": {"missing_file": 1},
        "pages": 1,
        "pages_by_status": {"ok": 1},
        "failed_pages": 0,
        "retried_attempts": 0,
        "text_tokens": 12,
        "vision_tokens": 111,
    }
    assert "a-secret-key" not in json.dumps(sent)
