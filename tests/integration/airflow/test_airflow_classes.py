"""Operator, sensor and triggers against a real S3 server and database, without a scheduler."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException, TaskDeferred

from airflow_deepseek_ocr.decorators.deepseek_ocr import deepseek_ocr_task
from airflow_deepseek_ocr.operators.deepseek_ocr import DeepSeekOCROperator
from airflow_deepseek_ocr.sensors.s3 import S3NewDocumentSensor
from airflow_deepseek_ocr.triggers.s3 import S3NewDocumentEventTrigger, S3NewDocumentTrigger
from tests.conftest import ROOT, TINY_MODEL
from tests.integration.conftest import Connect
from tests.support.servers.s3 import S3Server

DOCUMENTS = ROOT / "demo" / "documents"

pytestmark = pytest.mark.usefixtures("sqlite_results")


@pytest.fixture
def model(connect: Connect) -> None:
    extra = {
        "engine": "in_process",
        "model": str(TINY_MODEL),
        "resolution": "tiny",
        "max_output_length": 60,
        "retry_with": "none",
    }
    connect("deepseek_ocr_default", {"conn_type": "deepseek_ocr", "extra": extra})


def keys(batches: Any) -> list[list[str]]:
    return [[document["uri"].rpartition("/")[2] for document in batch] for batch in batches]


def poke(**arguments: Any) -> list[list[str]]:
    result = S3NewDocumentSensor(task_id="find", **arguments).poke({})
    assert result.is_done == bool(result.xcom_value)
    return keys(result.xcom_value)


def test_sensor_returns_new_documents(client: Any, bucket: str, model: None) -> None:
    for name in ("in/b.PDF", "in/a.png", "in/notes.txt", "in/directory.pdf/", "out/c.png"):
        client.put_object(Bucket=bucket, Key=name, Body=b"x")
    assert poke(bucket=bucket) == [["a.png", "b.PDF", "c.png"]]
    assert poke(bucket=bucket, prefix="in/", batch_size=1) == [["a.png"], ["b.PDF"]]
    assert poke(bucket=bucket, max_documents=2) == [["a.png", "b.PDF"]]
    assert poke(bucket=bucket, glob="*/?.png") == [["a.png", "c.png"]]
    assert poke(bucket=bucket, suffixes=None, prefix="in/n") == [["notes.txt"]]
    assert poke(bucket=bucket, minimum_age=timedelta(hours=1)) == []

    DeepSeekOCROperator(task_id="read", s3_prefix=f"s3://{bucket}/in/").execute({})
    assert poke(bucket=bucket) == [["c.png"]]  # the others have rows, if failed ones
    client.put_object(Bucket=bucket, Key="in/a.png", Body=b"another version")
    assert poke(bucket=bucket) == [["a.png", "c.png"]]
    other_config = {"deepseek_ocr_conn_id": "deepseek_ocr_default", "prompt": "free"}
    assert poke(bucket=bucket, **other_config) == [["a.png", "b.PDF", "c.png"]]


def test_operator_sensor_and_trigger_use_the_tables_that_are_named(
    client: Any, bucket: str, model: None, sqlite_results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.put_object(Bucket=bucket, Key="a.png", Body=b"no picture")
    scans = {"db_table_prefix": "scans_"}
    operator = DeepSeekOCROperator(task_id="read", s3_prefix=f"s3://{bucket}/", **scans)
    operator.execute({})
    assert poke(bucket=bucket, **scans) == []
    assert poke(bucket=bucket) == [["a.png"]]
    sensor = S3NewDocumentSensor(
        task_id="find", bucket=bucket, deferrable=True, poke_interval=0.1, **scans
    )
    with pytest.raises(TaskDeferred) as deferred:
        sensor.execute({})
    assert deferred.value.trigger.serialize()[1]["db_table_prefix"] == "scans_"
    watcher = S3NewDocumentEventTrigger(bucket=bucket, **scans)
    assert watcher.serialize()[1]["db_table_prefix"] == "scans_"
    monkeypatch.setenv("AIRFLOW__DEEPSEEK_OCR__DB_TABLE_PREFIX", "scans_")
    assert poke(bucket=bucket) == []
    assert poke(bucket=bucket, db_table_prefix="mail_") == [["a.png"]]
    with pytest.raises(AirflowFailException, match="SQLite has no schemas"):
        poke(bucket=bucket, db_schema="team")


def test_another_applications_table_fails_the_task_for_good(
    client: Any, bucket: str, model: None, sqlite_results: Path
) -> None:
    with closing(sqlite3.connect(sqlite_results)) as theirs:
        theirs.execute("CREATE TABLE ocr_pages (id INTEGER, name TEXT)")
    for act in (
        lambda: DeepSeekOCROperator(task_id="read", documents=[]).execute({}),
        lambda: poke(bucket=bucket),
    ):
        with pytest.raises(AirflowFailException, match=r"table ocr_pages .*db_table_prefix"):
            act()
    with closing(sqlite3.connect(sqlite_results)) as theirs:
        assert theirs.execute("SELECT name FROM sqlite_master").fetchall() == [("ocr_pages",)]


def test_sensor_finds_all_of_more_keys_than_a_listing_page_holds(client: Any, bucket: str) -> None:
    for number in range(1100):
        client.put_object(Bucket=bucket, Key=f"{number:04}.pdf", Body=b"x")
    batches = poke(bucket=bucket, batch_size=100, max_documents=2000)
    assert sum(map(len, batches)) == 1100
    assert len({key for batch in batches for key in batch}) == 1100


def test_sensor_errors_name_the_cause(client: Any, bucket: str, connect: Connect) -> None:
    with pytest.raises(AirflowException, match="no bucket no-such-bucket"):
        poke(bucket="no-such-bucket")
    with pytest.raises(AirflowFailException, match="max_map_length"):
        poke(bucket=bucket, batch_size=1, max_documents=5000)
    connect("deepseek_ocr_db", {"conn_type": "http"})
    with pytest.raises(AirflowFailException, match="postgres, mysql or sqlite"):
        poke(bucket=bucket)


def test_deferred_sensor_returns_the_event_s_documents(client: Any, bucket: str) -> None:
    sensor = S3NewDocumentSensor(task_id="find", bucket=bucket, deferrable=True, poke_interval=0.1)
    with pytest.raises(TaskDeferred) as deferred:
        sensor.execute({})
    path, arguments = deferred.value.trigger.serialize()
    assert path == "airflow_deepseek_ocr.triggers.s3.S3NewDocumentTrigger"
    trigger = S3NewDocumentTrigger(**json.loads(json.dumps(arguments)))
    assert trigger.serialize() == (path, arguments)

    async def first_event() -> Any:
        events = trigger.run()
        waiting = asyncio.ensure_future(anext(events))
        await asyncio.sleep(0.5)
        assert not waiting.done()
        client.put_object(Bucket=bucket, Key="late.pdf", Body=b"x")
        return await asyncio.wait_for(waiting, 20)

    event = asyncio.run(first_event())
    assert keys(sensor.execute_complete({}, event.payload)) == [["late.pdf"]]
    assert keys(sensor.execute({})) == [["late.pdf"]]  # there already: nothing to wait for


def test_event_trigger_emits_each_document_once_until_it_restarts(
    client: Any, bucket: str, s3: S3Server, connect: Connect
) -> None:
    client.put_object(Bucket=bucket, Key="a.pdf", Body=b"x")
    trigger = S3NewDocumentEventTrigger(bucket=bucket, poke_interval=0.1)
    path, arguments = trigger.serialize()

    async def events() -> list[Any]:
        running, seen = trigger.run(), []
        seen.append((await asyncio.wait_for(anext(running), 20)).payload)
        waiting = asyncio.ensure_future(anext(running))
        await asyncio.sleep(0.6)
        assert not waiting.done()  # a.pdf is not emitted again
        client.put_object(Bucket=bucket, Key="b.pdf", Body=b"x")
        seen.append((await asyncio.wait_for(waiting, 20)).payload)
        await running.aclose()
        return seen

    first, second = asyncio.run(events())
    assert (keys(first["documents"]), keys(second["documents"])) == ([["a.pdf"]], [["b.pdf"]])

    async def after_restart() -> Any:
        restarted = S3NewDocumentEventTrigger(**json.loads(json.dumps(arguments)))
        assert restarted.serialize() == (path, arguments)
        return (await asyncio.wait_for(anext(restarted.run()), 20)).payload

    assert keys(asyncio.run(after_restart())["documents"]) == [["a.pdf", "b.pdf"]]


def test_event_trigger_survives_an_outage(client: Any, bucket: str) -> None:
    trigger = S3NewDocumentEventTrigger(bucket="not-there-yet", poke_interval=0.1)

    async def event() -> Any:
        running = trigger.run()
        waiting = asyncio.ensure_future(anext(running))
        await asyncio.sleep(0.5)
        assert not waiting.done()
        client.create_bucket(Bucket="not-there-yet")
        client.put_object(Bucket="not-there-yet", Key="a.pdf", Body=b"x")
        return (await asyncio.wait_for(waiting, 20)).payload

    assert keys(asyncio.run(event())["documents"]) == [["a.pdf"]]


def test_operator_reads_with_the_small_model(client: Any, bucket: str, model: None) -> None:
    client.upload_file(str(DOCUMENTS / "letter.tiff"), bucket, "letter.tiff")
    operator = DeepSeekOCROperator(
        task_id="read",
        documents=[[{"uri": f"s3://{bucket}/letter.tiff"}], f"file://{DOCUMENTS}/table.png"],
        prompt="free",
        max_failed_pages=None,
    )
    summary = operator.execute({})
    assert summary["documents"].keys() <= {"done", "partial", "failed"}
    assert (summary["pages"], summary["vision_tokens"]) == (3, 3 * 73)
    assert len(json.dumps(summary)) < 2000
    assert operator.execute({})["documents"] == {"skipped": 2}


def test_operator_errors_name_the_cause(
    client: Any, bucket: str, model: None, connect: Connect, tmp_path: Path
) -> None:
    def run(**arguments: Any) -> Any:
        return DeepSeekOCROperator(task_id="read", **arguments).execute({})

    broken = tmp_path / "broken.pdf"
    broken.write_bytes(b"%PDF-1.7")
    for arguments, message in (
        ({}, "either documents or s3_prefix"),
        ({"documents": ["no-uri"]}, "s3://bucket/key"),
        ({"documents": [], "resolution": "huge"}, "tiny, small, base, large, gundam"),
        ({"documents": [], "prompt": "poem"}, "markdown, ocr, free"),
        ({"documents": [], "dpi": 5}, "18 to 1200"),
        ({"documents": [], "max_failed_pages": "many"}, "a share such as 0.004"),
        ({"documents": [], "max_failed_pages": 1.5}, "a share such as 0.004"),
        (
            {"documents": [f"file://{broken}"], "fail_on_document_errors": True},
            "damaged",
        ),
    ):
        with pytest.raises(AirflowFailException, match=message):
            run(**arguments)
    cut_short = {"documents": [f"file://{DOCUMENTS}/table.png"]}
    with pytest.raises(AirflowFailException, match=r"table.png \(1 of 1\)"):
        run(**cut_short)
    assert run(**cut_short)["documents"] == {"skipped": 1}  # the row is there in any case
    with pytest.raises(AirflowException, match="retry reads only these"):
        run(documents=["s3://no-such-bucket/x.pdf"])
    extra = {"engine": "in_process", "model": str(tmp_path)}
    connect("deepseek_ocr_default", {"conn_type": "deepseek_ocr", "extra": extra})
    with pytest.raises(AirflowException, match=r"config.json is missing"):
        run(documents=[f"file://{DOCUMENTS}/letter.tiff"])


def test_decorated_function_names_the_documents(model: None) -> None:
    @deepseek_ocr_task(task_id="read", max_failed_pages=None)
    def documents() -> list[str]:
        return [f"file://{DOCUMENTS}/table.png"]

    operator = documents().operator
    assert operator.execute({})["pages"] == 1
