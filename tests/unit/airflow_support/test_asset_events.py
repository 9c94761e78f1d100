"""Documents of the events of a run."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_deepseek_ocr.airflow_support import asset_events
from airflow_deepseek_ocr.airflow_support.asset_events import documents_of_events
from airflow_deepseek_ocr.chunks import chunks
from airflow_deepseek_ocr.exceptions import ConfigurationError, DatabaseError, ErrorCode
from airflow_deepseek_ocr.hooks.ocr_results import OcrResults
from airflow_deepseek_ocr.ocr.documents.reference import DocumentRef
from airflow_deepseek_ocr.store.lists.document_lists import DocumentLists
from tests.support.airflow_connections import define_sqlite


def document(number: int, version: str = "v") -> dict[str, Any]:
    return DocumentRef(f"s3://b/{number}.pdf", version, None, version, 5).as_dict()


def event(*batches: Any) -> Any:
    return SimpleNamespace(extra={"from_trigger": True, "payload": {"documents": list(batches)}})


def test_batches_of_many_events_are_filled() -> None:
    events = [event([document(number)]) for number in range(300)]
    batches = documents_of_events(events)
    assert [len(batch) for batch in batches] == [128, 128, 44]
    assert [each for batch in batches for each in batch] == [document(n) for n in range(300)]


def test_a_version_is_read_once() -> None:
    events = [event([document(1), document(2)]), event([document(1)], [document(1, "w")])]
    assert documents_of_events(events) == [[document(1), document(2), document(1, "w")]]


@pytest.mark.parametrize(
    "extra", [None, {}, {"from_rest_api": True}, {"payload": "none"}, {"payload": {}}]
)
def test_events_without_documents_are_left_out(extra: Any) -> None:
    assert documents_of_events([SimpleNamespace(extra=extra)]) == []
    both = [SimpleNamespace(extra=extra), event([document(1)])]
    assert documents_of_events(both, batch_size=1) == [[document(1)]]


def test_anything_else_in_place_of_documents_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="documents"):
        documents_of_events([event([{"uri": 5}])])


def test_parts_of_stored_lists_follow_once() -> None:
    named = {"document_list": "0" * 32, "first": 0, "count": 128}
    events = [event(named, [document(1)]), event(named), event(named | {"first": 128})]
    assert documents_of_events(events) == [[document(1)], named, named | {"first": 128}]


KEYS = ("0" * 32, "1" * 32)


def part(key: str, first: int, count: int | None) -> dict[str, Any]:
    return {"document_list": key, "first": first, "count": count}


@pytest.mark.parametrize("most", [3, 4, 7, 50])
def test_there_are_no_more_batches_than_a_task_is_mapped_over(
    monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__MAX_MAP_LENGTH", str(most))
    parts = [part(key, first, 8) for key in KEYS for first in range(0, 80, 8)]
    events = [event([document(number) for number in range(10)]), event(*reversed(parts))]
    found = documents_of_events(events, batch_size=5)
    assert len(found) <= most
    assert [each for batch in found if isinstance(batch, list) for each in batch] == [
        document(number) for number in range(10)
    ]
    named = [each for each in found if isinstance(each, dict)]
    positions = [
        (each["document_list"], each["first"] + number)
        for each in named
        for number in range(each["count"])
    ]
    assert sorted(positions) == [(key, number) for key in KEYS for number in range(80)]
    # Parts that can be mapped over stay as they are.
    assert (named == list(reversed(parts))) == (most == 50)


def test_a_part_of_unknown_length_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__MAX_MAP_LENGTH", "2")
    events = [event(part(KEYS[0], 0, None), [document(number) for number in range(3)])]
    found = documents_of_events(events, batch_size=1)
    assert found == [[document(number) for number in range(3)], part(KEYS[0], 0, None)]


@pytest.fixture
def results(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    define_sqlite(monkeypatch, "deepseek_ocr_db", tmp_path / "results.db")
    return tmp_path / "results.db"


def long_document(number: int) -> dict[str, Any]:
    """Return a document of which 1,000 have more than a MiB."""
    return DocumentRef(f"s3://b/{'folder' * 170}/{number}.pdf", "v", size=5).as_dict()


def test_more_documents_than_an_xcom_should_hold_are_stored_as_a_list(
    monkeypatch: pytest.MonkeyPatch, results: Path
) -> None:
    """Ten events with 100 documents each came while the DAG was paused."""
    many = [[long_document(number) for number in range(at, at + 100)] for at in range(0, 1000, 100)]
    stored = part(KEYS[0], 0, 16)
    events = [event(*chunks(each, 16)) for each in [*many, many[0]]] + [event(stored)]
    found = documents_of_events(events, batch_size=100)
    assert len(json.dumps(found)) < 2_000
    assert found.pop() == stored
    assert [each["count"] for each in found] == [100] * 10
    with OcrResults() as opened:
        assert list(opened.documents_of_list(found)) == [doc for each in many for doc in each]

    monkeypatch.setenv("AIRFLOW__CORE__MAX_MAP_LENGTH", "10")
    found = documents_of_events(events)
    assert len(found) <= 10
    assert sum(each["count"] for each in found) == 1016


def test_short_lists_need_no_database(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asset_events, "open_store", None)
    assert len(documents_of_events([event([document(number) for number in range(1024)])])) == 8


def test_without_the_right_to_store_a_list_nothing_is_lost(
    monkeypatch: pytest.MonkeyPatch, results: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: Any) -> Any:
        raise DatabaseError(ErrorCode.DATABASE_RIGHTS, "may not write")

    monkeypatch.setattr(DocumentLists, "write", refuse)
    found = documents_of_events([event([long_document(number) for number in range(1000)])])
    assert sum(map(len, found)) == 1000
    assert "cannot be stored as a list: Airflow stores all of them. may not write" in caplog.text

    def fail(*_: Any) -> Any:
        raise DatabaseError(ErrorCode.DATABASE_UNAVAILABLE, "away")

    monkeypatch.setattr(DocumentLists, "write", fail)
    with pytest.raises(DatabaseError, match="away"):
        documents_of_events([event([long_document(number) for number in range(1000)])])


@pytest.mark.parametrize("size", [0, -1, 1.5, None])
def test_batches_of_no_documents_are_refused(size: Any) -> None:
    """They would lose all of them."""
    with pytest.raises(ConfigurationError, match=r"batch_size is .*at least 1"):
        documents_of_events([event([document(1)])], batch_size=size)
