"""Arguments of the operator; tests/integration/airflow reads with it."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException

from airflow_deepseek_ocr.connection.options import OcrOptions
from airflow_deepseek_ocr.operators.deepseek_ocr import DeepSeekOCROperator
from tests.support.airflow_connections import define_model, define_sqlite


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
