"""Each kind of value, and what is refused instead of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from airflow_deepseek_ocr.ocr.rendering.message_values import (
    MAX_ITEM_CHARACTERS,
    MAX_ITEMS,
    MessageError,
    as_box,
    as_fields,
    as_flag,
    as_items,
    as_list,
    as_number,
    as_share,
    as_text,
    refuse_constant,
    unique,
)


def test_values_of_the_right_type_pass() -> None:
    assert as_fields({"b": 1, "a": 2}, "a", "b") == [2, 1]
    assert as_list([1, 2], 2, exactly=True) == [1, 2]
    assert as_items(["a", "b"]) == ("a", "b")
    assert as_text("größe", 5) == "größe"
    assert as_number(1 << 31, 0) == 1 << 31
    assert as_flag(False) is False
    assert as_share(0.5) == 0.5
    assert as_box([0, 1, 2, 3], (2, 3)) == (0, 1, 2, 3)
    assert json.loads('{"a": 1}', object_pairs_hook=unique) == {"a": 1}


@pytest.mark.parametrize(
    ("check", "value"),
    [
        (lambda value: as_fields(value, "a"), {"a": 1, "b": 2}),
        (lambda value: as_fields(value, "a"), [1]),
        (lambda value: as_list(value, 1), [1, 2]),
        (lambda value: as_list(value, 2, exactly=True), [1]),
        (lambda value: as_list(value, 2), (1, 2)),
        (as_items, ["a"] * (MAX_ITEMS + 1)),
        (as_items, ["a" * (MAX_ITEM_CHARACTERS + 1)]),
        (lambda value: as_text(value, 3), "four"),
        (lambda value: as_text(value, 3), b"abc"),
        (lambda value: as_text(value, 3), "\ud800"),
        (lambda value: as_number(value, 1), 0),
        (lambda value: as_number(value, 1), True),
        (lambda value: as_number(value, 1), 1.0),
        (lambda value: as_number(value, 1), (1 << 31) + 1),
        (as_flag, 1),
        (as_share, 1),
        (as_share, 1.5),
        (as_share, float("nan")),
        (lambda value: as_box(value, (9, 9)), [5, 0, 4, 1]),
        (lambda value: as_box(value, (9, 9)), [0, 0, 10, 1]),
        (refuse_constant, "NaN"),
        (lambda value: unique(value), [("a", 1), ("a", 2)]),
    ],
)
def test_other_values_are_refused(check: Callable[[Any], Any], value: Any) -> None:
    with pytest.raises(MessageError):
        check(value)
