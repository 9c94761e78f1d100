"""Names of stored lists as plain JSON types."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_deepseek_ocr.exceptions import ConfigurationError, ErrorCode
from airflow_deepseek_ocr.store.lists.list_slice import ListSlice, joined

KEY = "0123456789abcdef" * 2


@pytest.mark.parametrize("part", [ListSlice(KEY), ListSlice(KEY, 128, 128), ListSlice(KEY, 5, 0)])
def test_a_part_survives_json(part: ListSlice) -> None:
    assert ListSlice.of(json.loads(json.dumps(part.as_dict()))) == part


def test_a_key_alone_is_the_whole_list() -> None:
    assert ListSlice.of({"document_list": KEY}) == ListSlice(KEY, 0, None)


@pytest.mark.parametrize(
    "changes",
    [
        {"document_list": None},
        {"document_list": 7},
        {"document_list": KEY.upper()},
        {"document_list": KEY + "\n"},
        {"document_list": "x'; DROP TABLE ocr_documents"},
        {"first": -1},
        {"first": True},
        {"first": "0"},
        {"count": -1},
        {"count": 1.5},
    ],
)
def test_anything_else_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="names no stored list") as caught:
        ListSlice.of(ListSlice(KEY, 0, 1).as_dict() | changes)
    assert caught.value.code is ErrorCode.DOCUMENT_LIST


def test_a_long_value_is_shortened_in_the_message() -> None:
    with pytest.raises(ConfigurationError) as caught:
        ListSlice.of({"document_list": "x" * 100_000})
    assert len(str(caught.value)) < 1000


def test_parts_cover_the_list_once() -> None:
    whole = ListSlice(KEY, 10, 20)
    assert whole.parts(8) == [ListSlice(KEY, 10, 8), ListSlice(KEY, 18, 8), ListSlice(KEY, 26, 4)]
    assert whole.parts(100) == [whole]
    assert ListSlice(KEY, 0, 0).parts(8) == []


def test_parts_that_follow_one_another_are_joined() -> None:
    other = "f" * 32
    parts = [
        ListSlice(KEY, 8, 4),
        ListSlice(other, 12, 4),
        ListSlice(KEY, 0, 8),
        ListSlice(KEY, 20, 1),
    ]
    assert joined(parts) == [ListSlice(KEY, 0, 12), ListSlice(KEY, 20, 1), ListSlice(other, 12, 4)]
    unknown = [ListSlice(KEY, 0, 8), ListSlice(KEY, 8), ListSlice(KEY, 9, 1)]
    assert joined(unknown) == unknown
    assert joined([]) == []
