"""Arguments and events of the triggers; tests/integration/airflow polls a real S3 server with them."""

from __future__ import annotations

import asyncio
import inspect
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowException

from airflow_deepseek_ocr.airflow_support import new_documents
from airflow_deepseek_ocr.airflow_support.new_documents import NewDocuments
from airflow_deepseek_ocr.connection.options import DiscoveryOptions, OcrOptions
from airflow_deepseek_ocr.exceptions import ConfigurationError, ErrorCode, UnavailableError
from airflow_deepseek_ocr.hooks.ocr_results import OcrResults
from airflow_deepseek_ocr.triggers import s3
from airflow_deepseek_ocr.triggers.s3 import S3NewDocumentEventTrigger, S3NewDocumentTrigger
from tests.support.airflow_connections import define, define_model, define_sqlite
from tests.support.servers.process import free_port

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
        ({"redeliver_after": float("nan")}, "redeliver_after"),
        ({"minimum_age": -1}, "minimum_age"),
        ({"retry_failed_after": float("inf")}, "retry_failed_after"),
        ({"poke_interval": 0}, "poke_interval .* longer than 0"),
        ({"poke_interval": timedelta(0)}, "poke_interval"),
        ({"poke_interval": "often"}, "poke_interval"),
    ],
)
def test_wrong_arguments_are_refused(arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        S3NewDocumentEventTrigger(bucket="b", **arguments)
    if "redeliver_after" not in arguments:
        with pytest.raises(ConfigurationError, match=said):
            S3NewDocumentTrigger(**{"poke_interval": 1} | SEARCH.as_kwargs() | arguments)


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


def test_an_error_of_airflow_is_an_event_that_a_retry_may_resolve(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def away(self: NewDocuments, emitted: Any = None, found: Any = None) -> Any:
        raise RuntimeError("the API server is away")

    monkeypatch.setattr(NewDocuments, "find", away)
    payload = first_event(monkeypatch, tmp_path)
    assert payload["retryable"] is True
    assert payload["message"] == "RuntimeError: the API server is away"


class StopWatchingError(Exception):
    """The end of a test's watch."""


async def watch(
    monkeypatch: pytest.MonkeyPatch, trigger: S3NewDocumentEventTrigger, polls: int
) -> tuple[list[Any], list[float], list[str]]:
    """Return the payloads of so many polls, the pauses after them, and the warnings."""
    payloads: list[Any] = []
    warnings: list[str] = []
    pauses: list[float] = []

    async def sleep(pause: float) -> None:
        pauses.append(pause)
        if len(pauses) == polls:
            raise StopWatchingError

    log = SimpleNamespace(warning=lambda text, *values: warnings.append(text % values))
    monkeypatch.setattr(S3NewDocumentEventTrigger, "log", log)
    monkeypatch.setattr(s3.asyncio, "sleep", sleep)
    with pytest.raises(StopWatchingError):
        async for event in trigger.run():
            payloads.append(event.payload)
    return payloads, pauses, warnings


@pytest.mark.parametrize(
    "error",
    [
        UnavailableError(ErrorCode.STORAGE_UNAVAILABLE, "away"),
        ConfigurationError(ErrorCode.CONNECTION, "edited"),
        AirflowException("no such connection"),
        RuntimeError("the API server is away"),
        KeyError("Key"),
        OSError("no file descriptors"),
        TimeoutError("slow"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_watcher_survives_errors_and_remembers_what_it_emitted(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    document = {"uri": "s3://b/a.pdf", "version": "1"}
    answers: list[Any] = [[[document]], *[error] * 6, [], error]
    known: list[int] = []

    def find(self: NewDocuments, emitted: Any = None, found: Any = None) -> Any:
        known.append(len(emitted))
        # An error does not make a document known that was found before it.
        found.append(f"version of {len(known)}")
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(NewDocuments, "find", find)
    trigger = S3NewDocumentEventTrigger(bucket="b", prefix="in/", poke_interval=30)
    payloads, pauses, warnings = asyncio.run(watch(monkeypatch, trigger, 9))
    assert "deepseek_ocr_conn_id is not set" in warnings.pop(0)
    assert payloads == [{"documents": [[document]]}]
    assert known == [0] + [1] * 8
    assert pauses == [30, 30, 60, 120, 240, 240, 240, 30, 30]
    assert len(warnings) == 7
    assert all("s3://b/in/" in each and str(error) in each for each in warnings)
    assert sum("attempt 1 in a row; the next poll is in 30 s" in each for each in warnings) == 2


def test_a_watcher_survives_outages_of_what_it_needs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    define_sqlite(monkeypatch, "results", tmp_path / "results.db")
    define_model(monkeypatch, "broken", dtype="int4")
    once = {"config_kwargs": {"retries": {"total_max_attempts": 1}}, "region_name": "us-east-1"}
    away = once | {"endpoint_url": f"http://127.0.0.1:{free_port()}"}
    define(monkeypatch, "away", conn_type="aws", login="a", password="b", extra=away)
    role = away | {"role_arn": "arn:aws:iam::123456789012:role/reader"}
    define(monkeypatch, "no_sts", conn_type="aws", login="a", password="b", extra=role)
    define(monkeypatch, "no_profile", conn_type="aws", extra=once | {"profile_name": "nobody"})
    cases = [
        {"aws_conn_id": "away"},
        {"aws_conn_id": "no_sts"},
        {"aws_conn_id": "no_profile"},
        {"aws_conn_id": "away", "db_conn_id": "missing"},
        {"aws_conn_id": "away", "deepseek_ocr_conn_id": "missing"},
        {"aws_conn_id": "away", "deepseek_ocr_conn_id": "broken"},
    ]
    for case in cases:
        trigger = S3NewDocumentEventTrigger(
            **{"bucket": "b", "db_conn_id": "results", "poke_interval": 5} | case
        )
        payloads, pauses, warnings = asyncio.run(watch(monkeypatch, trigger, 2))
        assert (payloads, pauses) == ([], [5, 10]), case
        polls = [each for each in warnings if each.startswith("Polling ")]
        assert len(polls) == 2, case
        # All are this package's errors: their class is not part of the message.
        assert not [
            each for each in polls if re.search(r" s: \w+(Error|Exception|NotFound): ", each)
        ]


class LongListing:
    """An S3 client whose bucket has keys of which 1,000 have more than a MiB."""

    def get_paginator(self, _operation: str) -> LongListing:
        return self

    def paginate(self, **_: Any) -> Iterator[dict[str, Any]]:
        moment = datetime(2026, 1, 1, tzinfo=UTC)
        yield {
            "Contents": [
                {"Key": f"{'folder' * 170}/{number:04}.pdf", "ETag": '"e"', "Size": 1}
                | {"LastModified": moment}
                for number in range(1200)
            ]
        }

    def close(self) -> None:
        """Close nothing."""


@pytest.mark.parametrize("kind", ["deferred", "event"])
def test_an_event_with_many_documents_names_a_stored_list(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kind: str
) -> None:
    """Such as the first search after a long pause."""
    define_sqlite(monkeypatch, "deepseek_ocr_db", tmp_path / "results.db")
    monkeypatch.setattr(new_documents, "s3_client", lambda *_, **__: LongListing())
    if kind == "deferred":
        search = SEARCH.as_kwargs() | {"max_documents": 2000}
        trigger = S3NewDocumentTrigger(poke_interval=1, **search)
        payloads = [asyncio.run(anext(trigger.run())).payload]  # type: ignore[arg-type]
    else:
        watcher = S3NewDocumentEventTrigger(bucket="b", max_documents=2000)
        # The second search finds nothing that was not emitted.
        payloads, _, _ = asyncio.run(watch(monkeypatch, watcher, 2))
    (payload,) = payloads
    assert len(json.dumps(payload)) < 2_000
    assert [each["count"] for each in payload["documents"]] == [*[128] * 9, 48]
    with OcrResults() as results:
        found = [each["uri"] for each in results.documents_of_list(payload["documents"])]
    assert found == [f"s3://b/{'folder' * 170}/{number:04}.pdf" for number in range(1200)]
