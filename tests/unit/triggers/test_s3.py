"""Arguments and events of the triggers; tests/integration/airflow polls a real S3 server with them."""

from __future__ import annotations

import asyncio
import inspect
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from airflow_deepseek_ocr.airflow_support.new_documents import NewDocuments
from airflow_deepseek_ocr.connection.options import DiscoveryOptions, OcrOptions
from airflow_deepseek_ocr.exceptions import ConfigurationError
from airflow_deepseek_ocr.triggers.s3 import S3NewDocumentEventTrigger, S3NewDocumentTrigger
from tests.support.airflow_connections import define, define_model, define_sqlite

SEARCH = NewDocuments(discovery=DiscoveryOptions(bucket="b"), ocr=OcrOptions(prompt="free"))


@pytest.mark.parametrize(
    "trigger",
    [
        S3NewDocumentTrigger(poke_interval=5.0, **SEARCH.as_kwargs()),
        S3NewDocumentEventTrigger(
            bucket="b",
            suffixes=None,
            minimum_age=timedelta(minutes=1),
            redeliver_after=timedelta(hours=1),
            deepseek_ocr_conn_id="model",
            retry_with=["base"],
        ),
    ],
    ids=["deferred", "event"],
)
def test_serialisation_is_stable_and_plain(trigger: Any) -> None:
    path, arguments = trigger.serialize()
    assert path == f"airflow_deepseek_ocr.triggers.s3.{type(trigger).__name__}"
    again = type(trigger)(**json.loads(json.dumps(arguments)))
    assert again.serialize() == (path, arguments)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"prompt": "poem"}, "markdown, ocr, free"),
        ({"resolution": "huge"}, "tiny, small, base"),
        ({"batch_size": 0}, "batch_size"),
        ({"redeliver_after": "1h"}, "redeliver_after"),
    ],
)
def test_wrong_arguments_are_refused(arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        S3NewDocumentEventTrigger(bucket="b", **arguments)
    if "redeliver_after" not in arguments:
        with pytest.raises(ConfigurationError, match=said):
            S3NewDocumentTrigger(poke_interval=1, **SEARCH.as_kwargs() | arguments)


def test_defaults_are_those_of_the_options() -> None:
    parameters = inspect.signature(S3NewDocumentEventTrigger.__init__).parameters
    options = vars(DiscoveryOptions(bucket="b")) | vars(OcrOptions())
    del options["bucket"]
    assert {name: parameters[name].default for name in options} == options


def first_event(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, **arguments: Any) -> Any:
    define_sqlite(monkeypatch, "deepseek_ocr_db", tmp_path / "results.db")
    extra = {"endpoint_url": "http://127.0.0.1:9", "region_name": "r"}
    extra |= {"config_kwargs": {"retries": {"total_max_attempts": 1}}}
    define(monkeypatch, "aws_default", conn_type="aws", login="a", password="b", extra=extra)

    async def event() -> Any:
        trigger = S3NewDocumentTrigger(poke_interval=1, **SEARCH.as_kwargs() | arguments)
        return await asyncio.wait_for(anext(trigger.run()), 60)

    return asyncio.run(event()).payload


def test_an_outage_is_an_event_that_a_retry_may_resolve(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    payload = first_event(monkeypatch, tmp_path)
    assert (payload["status"], payload["retryable"]) == ("error", True)
    assert "S3" in payload["message"]


def test_an_invalid_connection_is_an_event_that_no_retry_resolves(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    define_model(monkeypatch, "model", dtype="int4")
    payload = first_event(monkeypatch, tmp_path, deepseek_ocr_conn_id="model")
    assert (payload["status"], payload["retryable"]) == ("error", False)
    assert "dtype" in payload["message"]
