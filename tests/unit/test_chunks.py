"""Items in lists of a bounded length."""

from __future__ import annotations

import pytest

from airflow_deepseek_ocr.chunks import chunks


@pytest.mark.parametrize(
    ("count", "lists"),
    [(0, []), (1, [[0]]), (3, [[0, 1, 2]]), (4, [[0, 1, 2], [3]]), (6, [[0, 1, 2], [3, 4, 5]])],
)
def test_all_items_are_in_lists_in_their_order(count: int, lists: list[list[int]]) -> None:
    assert list(chunks(range(count), 3)) == lists


def test_items_are_taken_a_list_at_a_time() -> None:
    items = iter(range(9))
    assert next(chunks(items, 3)) == [0, 1, 2]
    assert next(items) == 3


@pytest.mark.parametrize("size", [0, -1])
def test_a_length_that_would_lose_the_items(size: int) -> None:
    with pytest.raises(ValueError, match="a list of"):
        list(chunks([1], size))
