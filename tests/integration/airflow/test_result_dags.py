"""Tasks of the example DAGs, called with what Airflow would pass them."""

from __future__ import annotations

import json
import logging
import runpy
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import boto3
import pytest
from airflow.providers.amazon.aws.hooks.s3 import S3Hook
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_deepseek_ocr.airflow_support.results_database import open_store
from airflow_deepseek_ocr.hooks.deepseek_ocr import DeepSeekOCRHook
from airflow_deepseek_ocr.hooks.ocr_results import OcrResults
from airflow_deepseek_ocr.ocr.engine_protocol import PageRequest
from airflow_deepseek_ocr.ocr.recognition.figures import FIGURE_PROMPT
from airflow_deepseek_ocr.store.ledger import Ledger
from tests.support.airflow_connections import define, define_model, define_sqlite
from tests.support.fakes.scripted_engine import GOOD, ScriptedEngine, sheet
from tests.support.fixtures.stored_documents import CONFIG, REF, TASK, failed, page, read
from tests.support.servers.airflow import DAGS, aws_connection
from tests.support.servers.moto_s3 import moto_s3

DB_CONN_ID = "deepseek_ocr_db"
RETURNED = {"document_ids": [1], "not_listed": {}}
HOSTILE = "0rder {{ 7 * 7 }}"


@pytest.fixture(autouse=True)
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[OcrResults]:
    define_sqlite(monkeypatch, DB_CONN_ID, tmp_path / "results.db")
    with closing(open_store(DB_CONN_ID)) as store:
        pages = [page(1, "good", score=0.9), page(2, HOSTILE, score=0.5), failed(3)]
        read(Ledger(store.database, CONFIG, TASK), *pages)
    with OcrResults(DB_CONN_ID) as opened:
        yield opened


def test_people_are_asked_about_the_worst_pages(results: OcrResults) -> None:
    dag = runpy.run_path(str(DAGS / "review_pages.py"))
    asked = dag["find"].function(RETURNED, params={"below": 0.8})
    assert [each["page_number"] for each in asked] == [3, 2]
    # As an XCom hands them on.
    asked = json.loads(json.dumps(asked))

    ask = dag["AskAboutPage"](
        task_id="again", page=asked[1], options=[dag["LEAVE"]], defaults=dag["LEAVE"]
    )
    # The model's text is no template.
    assert ask.template_fields == ("page",)

    def stored(page: dict[str, Any], choice: str, params: Any, by: str | None = "ada") -> Any:
        person = by and {"id": "7", "name": by}
        answer = {"chosen_options": [choice], "params_input": params, "responded_by_user": person}
        return dag["store"].function(page, answer)

    wrong, accept, correct = {"text": ["0rder"]}, dag["ACCEPT"], dag["CORRECT"]
    with pytest.raises(AirflowFailException, match=r"text is list.*Clear the task review\.ask"):
        stored(asked[1], correct, wrong)
    # Airflow answers for people who do not, with the text as it was.
    assert stored(asked[1], dag["LEAVE"], {"text": HOSTILE}, by=None) == dag["LEAVE"]
    assert [each.needs_review(0.8) for each in results.pages(1)] == [False, True, True]

    # A correction that a person typed, and then accepted, is not lost.
    assert stored(asked[1], accept, {"text": "Order"}) == correct
    assert stored(asked[0], accept, {}) == accept
    _, corrected, accepted = results.pages(1)
    assert (corrected.text, accepted.is_accepted) == ("Order", True)
    assert dag["find"].function(RETURNED, params={"below": 0.8}) == []
    outdated = asked[1] | {"created_at": "2020-01-01T00:00:00+00:00"}
    assert stored(outdated, correct, {"text": "0rder"}) == "read again"
    assert stored(asked[1], correct, {"text": "0rder"}) == "reviewed elsewhere"
    assert next(each for each in results.pages(1) if each.page_number == 2).text == "Order"


def test_pages_are_handed_on_as_json_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    dag = runpy.run_path(str(DAGS / "results_to_index.py"))
    with moto_s3() as server:
        connection: dict[str, Any] = aws_connection(server)
        define(monkeypatch, "aws_default", **connection)
        client = boto3.client(
            "s3",
            **server.client_arguments,
        )
        client.create_bucket(Bucket="index")
        for _ in range(2):
            assert dag["index"].function(RETURNED, params={"index_bucket": "index"}) == 2
        listed = client.list_objects_v2(Bucket="index")["Contents"]
        assert [each["Key"] for each in listed] == ["pages/1.jsonl"]
        body = client.get_object(Bucket="index", Key="pages/1.jsonl")["Body"].read()
    lines = [json.loads(line) for line in body.splitlines()]
    assert [line["text"] for line in lines] == ["good", HOSTILE]
    assert lines[0]["id"] == f"{REF.uri}#page=1"
    assert lines[0]["metadata"]["score"] == 0.9


def test_described_figures_are_listed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The small checkpoint has learned no pictures; a scripted engine answers in its place."""

    def script(request: PageRequest) -> str:
        if request.prompt == FIGURE_PROMPT:
            return "A chart of sales."
        return f"<|ref|>image<|/ref|><|det|>[[100, 100, 500, 500]]<|/det|>\n{GOOD}"

    monkeypatch.setattr(DeepSeekOCRHook, "get_conn", lambda _: ScriptedEngine(script))
    define_model(monkeypatch, "deepseek_ocr_default", model="test/model")
    define(monkeypatch, "aws_default", conn_type="aws")
    document = tmp_path / "page.png"
    sheet().save(document)
    dag = runpy.run_path(str(DAGS / "figures_described.py"))
    task = dag["read"]
    # Of the document of this test, in place of the bucket.
    task.s3_prefix, task.documents = None, [document.as_uri()]
    returned = json.loads(json.dumps(task.execute({})))

    with caplog.at_level(logging.INFO):
        assert dag["describe"].function(returned) == 1
    assert f"{document.as_uri()}, page 1: A chart of sales." in caplog.messages


def test_a_manifest_names_no_files_of_the_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    dag = runpy.run_path(str(DAGS / "manifest_to_database.py"))
    lines = "s3://documents/a.pdf\r\n\r\n  s3://documents/with blank.pdf \n"
    monkeypatch.setattr(S3Hook, "read_key", lambda _, key: lines if "good" in key else "file:///x")
    listed = dag["read"].function(params={"manifest": "s3://documents/good.txt"})
    assert listed == ["s3://documents/a.pdf", "s3://documents/with blank.pdf"]
    with pytest.raises(ValueError, match=r"no s3:// URIs: \['file:///x'\]"):
        dag["read"].function(params={"manifest": "s3://documents/bad.txt"})
