"""Documents of the events of a run."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from airflow_deepseek_ocr.airflow_support.asset_events import documents_of_events
from airflow_deepseek_ocr.exceptions import ConfigurationError
from airflow_deepseek_ocr.ocr.documents.reference import DocumentRef


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
    part = {"document_list": "0" * 32, "first": 0, "count": 128}
    events = [event(part, [document(1)]), event(part), event(part | {"first": 128})]
    assert documents_of_events(events) == [[document(1)], part, part | {"first": 128}]


def test_there_are_no_more_batches_than_a_task_is_mapped_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__MAX_MAP_LENGTH", "4")
    part = {"document_list": "0" * 32, "first": 0, "count": 128}
    events = [event([document(number) for number in range(10)]), event(part)]
    found = documents_of_events(events, batch_size=1)
    assert [len(batch) for batch in found[:-1]] == [4, 4, 2]
    assert found[-1] == part


@pytest.mark.parametrize("size", [0, -1, 1.5, None])
def test_batches_of_no_documents_are_refused(size: Any) -> None:
    """They would lose all of them."""
    with pytest.raises(ConfigurationError, match=r"batch_size is .*at least 1"):
        documents_of_events([event([document(1)])], batch_size=size)
