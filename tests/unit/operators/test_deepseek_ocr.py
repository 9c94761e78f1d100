"""Arguments of the operator; tests/integration/airflow reads with it."""

from __future__ import annotations

import inspect
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import DAG, AirflowException, AirflowFailException

from airflow_deepseek_ocr.connection.options import OcrOptions
from airflow_deepseek_ocr.hooks.deepseek_ocr import DeepSeekOCRHook
from airflow_deepseek_ocr.operators.deepseek_ocr import DeepSeekOCROperator
from airflow_deepseek_ocr.pipeline.summary import Summary
from tests.conftest import ROOT
from tests.support.airflow_connections import define_model, define_sqlite
from tests.support.fakes.batch_engine import FakeEngine


@pytest.fixture(autouse=True)
def connections(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    define_model(monkeypatch, "deepseek_ocr_default", model="/nowhere", engine="in_process")
    define_sqlite(monkeypatch, "deepseek_ocr_db", tmp_path / "results.db")


def rendered(params: dict[str, Any], **arguments: Any) -> DeepSeekOCROperator:
    operator = DeepSeekOCROperator(task_id="read", **arguments)
    operator.render_template_fields({"params": params})
    return operator


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"prompt": "poem"}, "markdown, ocr, free"),
        ({"resolution": "huge"}, "tiny, small, base, large, gundam"),
        ({"retry_with": "halves"}, "slices_2, slices_4"),
        ({"text_layer": "always"}, "off, compare, first"),
        ({"pages": "x"}, "1-3,5,10-"),
        ({"dpi": 5}, "18 to 1200"),
        ({"min_score": 2}, "from 0 to 1"),
    ],
)
def test_a_literal_is_checked_at_construction_and_a_template_when_it_runs(
    arguments: dict[str, Any], said: str
) -> None:
    with pytest.raises(AirflowFailException, match=said):
        DeepSeekOCROperator(task_id="read", documents=[], **arguments)
    ((name, value),) = arguments.items()
    if name in DeepSeekOCROperator.template_fields:
        operator = rendered({"x": value}, documents=[], **{name: "{{ params.x }}"})
        with pytest.raises(AirflowFailException, match=said):
            operator.execute({})


def test_settings_are_checked_before_the_database_is_opened(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    define_sqlite(monkeypatch, "deepseek_ocr_db", tmp_path / "none" / "results.db")
    for arguments, said in (({"max_pages": 0}, "max_pages"), ({"max_failed_pages": 1.5}, "share")):
        with pytest.raises(AirflowFailException, match=said):
            DeepSeekOCROperator(task_id="read", documents=[], **arguments).execute({})


def test_documents_may_be_one_a_list_or_batches(tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / f"{number}.pdf").write_bytes(b"%PDF-1.7")
    uris = [f"file://{tmp_path}/{number}.pdf" for number in range(3)]

    def counts(documents: Any, **arguments: Any) -> Any:
        operator = DeepSeekOCROperator(task_id="read", documents=documents, **arguments)
        return operator.execute({})["documents"]

    assert counts([]) == {}
    assert counts(uris[0]) == {"failed": 1}
    assert counts([[{"uri": uris[0]}], [{"uri": uris[1]}, {"uri": uris[2]}]]) == {
        "skipped": 1,
        "failed": 2,
    }
    with pytest.raises(AirflowFailException, match="3 documents could not be read"):
        counts(uris, overwrite=True, fail_on_document_errors=True)


def test_the_log_has_a_record_of_the_run_also_after_an_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    records = []
    operator = DeepSeekOCROperator(task_id="read", documents=[], prompt="ocr")
    monkeypatch.setattr(operator.log, "info", lambda text, *values: records.append(text % values))
    operator.execute({})
    (record,) = (each for each in records if each.startswith("Run record:"))
    assert "  Line sent after the image: <|grounding|>OCR this image." in record.splitlines()
    records.clear()
    define_sqlite(monkeypatch, "deepseek_ocr_db", tmp_path / "none" / "results.db")
    with pytest.raises(AirflowException):
        operator.execute({})
    (record,) = (each for each in records if each.startswith("Run record:"))
    assert "  Result: ended early, see the error" in record.splitlines()


def test_documents_or_a_prefix() -> None:
    for arguments in ({}, {"documents": [], "s3_prefix": "s3://b/p"}):
        with pytest.raises(AirflowFailException, match="either documents or s3_prefix"):
            DeepSeekOCROperator(task_id="read", **arguments).execute({})


def test_defaults_are_those_of_the_options() -> None:
    parameters = inspect.signature(DeepSeekOCROperator.__init__).parameters
    assert {name: parameters[name].default for name in vars(OcrOptions())} == vars(OcrOptions())


def test_a_kill_before_the_start_is_harmless() -> None:
    DeepSeekOCROperator(task_id="read", documents=[]).on_kill()


class Stop(Exception):
    """Ends a task where it would open the database."""


@pytest.fixture
def without_database(monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: Any, **__: Any) -> None:
        raise Stop

    monkeypatch.setattr("airflow_deepseek_ocr.operators.deepseek_ocr.open_store", stop)


@pytest.mark.usefixtures("without_database")
@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("attachments", "read", "read"),
        ("overwrite", False, False),
        ("overwrite", True, True),
        ("fail_on_document_errors", "false", False),
        ("lease", timedelta(minutes=3), timedelta(minutes=3)),
        ("wait_for_others", None, None),
        ("wait_for_others", 30, timedelta(seconds=30)),
        ("max_bytes", 5000, 5000),
        ("max_page_seconds", 1.5, 1.5),
        ("storage_conn_id", None, None),
        ("aws_conn_id", None, None),
    ],
)
def test_each_argument_has_its_type_after_rendering(name: str, value: Any, expected: Any) -> None:
    operator = rendered({"x": value}, documents=["s3://b/a"], **{name: "{{ params.x }}"})
    with pytest.raises(Stop):
        operator.execute({})
    found = getattr(operator, name)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.usefixtures("without_database")
@pytest.mark.parametrize("native", [False, True])
def test_a_list_in_a_template_is_its_documents(native: bool) -> None:
    uris = ["s3://b/a.pdf", 's3://b/it\'s, "so".pdf']
    dag = DAG("d", schedule=None, render_template_as_native_obj=native)
    operator = DeepSeekOCROperator(task_id="read", documents="{{ params.documents }}", dag=dag)
    operator.render_template_fields({"params": {"documents": uris}}, dag.get_template_env())
    with pytest.raises(Stop):
        operator.execute({})
    assert [ref.uri for ref in operator._references()] == uris


@pytest.mark.usefixtures("without_database")
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"documents": "{{ params.x }}"}, "documents"),
        ({"documents": "s3://b/a,s3://b/c"}, "documents"),
        ({"documents": ["s3://b/a", 3]}, "documents"),
        ({"documents": None}, "documents"),
        ({"documents": "None"}, "documents"),
        ({"documents": ""}, "documents"),
        ({"attachments": "all"}, "attachments is 'all'; it must be name or read"),
        ({"attachments": None}, "attachments"),
        ({"overwrite": "maybe"}, "overwrite"),
        ({"overwrite": None}, "overwrite"),
        ({"max_pages": "ten"}, "max_pages"),
        ({"max_bytes": True}, "max_bytes"),
        ({"lease": "soon"}, "lease"),
        ({"lease": 0}, "lease"),
        ({"wait_for_others": -1}, "wait_for_others"),
        ({"max_failed_pages": "{{ x }}"}, "max_failed_pages"),
        ({"db_conn_id": None}, "db_conn_id"),
        ({"db_schema": "a;b"}, "db_schema"),
        ({"db_table_prefix": "Scans"}, "db_table_prefix"),
        ({"deepseek_ocr_conn_id": "{{ x }}"}, "deepseek_ocr_conn_id"),
        ({"documents": None, "s3_prefix": "b/prefix"}, "b/prefix"),
    ],
)
def test_a_wrong_setting_is_named_before_anything_is_read(
    arguments: dict[str, Any], said: str
) -> None:
    with pytest.raises(AirflowFailException, match=said):
        DeepSeekOCROperator(task_id="read", **{"documents": []} | arguments).execute({})


def test_a_task_whose_documents_are_all_wrong_settings_fails() -> None:
    operator = DeepSeekOCROperator(task_id="read", documents=["nosuch://b/a", "nosuch://b/c"])
    with pytest.raises(AirflowFailException, match="Nothing was read"):
        operator.execute({})


def test_attached_files_are_documents_of_the_task(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DeepSeekOCRHook, "get_conn", lambda _: FakeEngine())
    path = ROOT / "tests" / "corpus" / "documents" / "portfolio.pdf"
    counts = {
        attachments: DeepSeekOCROperator(
            task_id="read", documents=path.as_uri(), attachments=attachments, overwrite=True
        ).execute({})
        for attachments in ("name", "read")
    }
    assert counts["name"]["documents"] == {"done": 1}
    assert list(counts["name"]["unread"]) == [path.as_uri()]
    assert (counts["read"]["documents"], counts["read"]["unread"]) == ({"done": 3}, {})


def test_metrics_are_sent_once_also_by_a_task_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[Summary] = []
    monkeypatch.setattr(
        "airflow_deepseek_ocr.operators.deepseek_ocr.send_batch",
        lambda summary, seconds, task: sent.append(summary),
    )
    monkeypatch.setattr(DeepSeekOCRHook, "get_conn", lambda _: FakeEngine())
    table = (ROOT / "demo" / "documents" / "table.png").as_uri()
    operator = DeepSeekOCROperator(
        task_id="read", documents=[table, "file:///no/such.pdf"], fail_on_document_errors=True
    )
    with pytest.raises(AirflowFailException, match="could not be read"):
        operator.execute({})
    (summary,) = sent
    assert summary.documents == {"done": 1, "failed": 1}
    assert (summary.pages, summary.model_seconds) == (1, pytest.approx(0.1))
    operator.documents = None
    with pytest.raises(AirflowFailException, match="Give either"):
        operator.execute({})
    assert len(sent) == 1


def test_exports_are_written_by_the_task_and_a_wrong_place_fails_it_before_anything_is_read(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    engine = FakeEngine()
    monkeypatch.setattr(DeepSeekOCRHook, "get_conn", lambda _: engine)
    documents = [(ROOT / "demo" / "documents" / "table.png").as_uri()]
    beside = rendered(
        {"place": str(ROOT / "demo")},
        documents=documents,
        exports="text,json",
        export_to="{{ params.place }}",
    )
    with pytest.raises(AirflowFailException, match="beside the documents"):
        beside.execute({})
    assert engine.pages == 0
    operator = DeepSeekOCROperator(
        task_id="read", documents=documents, exports=["text"], export_to=str(tmp_path / "out")
    )
    assert operator.execute({})["exports"] | {"bytes": 0} == {
        "documents": 1,
        "unchanged": 0,
        "files": 2,
        "bytes": 0,
        "refused": 0,
    }
    assert {path.name for path in (tmp_path / "out").rglob("*.*") if path.is_file()} == {
        "document.txt",
        "manifest.json",
    }
