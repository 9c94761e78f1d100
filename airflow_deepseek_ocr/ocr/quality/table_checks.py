"""Rows of tables that repeat at the end of an output."""

from __future__ import annotations

from collections.abc import Iterator

#: Rows of a block that repeats, at most, and the fewest repetitions.
_LONGEST_BLOCK, _LEAST_BLOCKS = 8, 8


def rows_repeated_at_end(rows: tuple[str, ...]) -> int:
    """Return how many rows before the last are equal to it without a break; 0 if it has no letters."""
    if not rows or not any(map(str.isalpha, rows[-1])):
        return 0
    return sum(1 for _ in _same_from_end(rows)) - 1


def rows_in_loop_at_end(rows: tuple[str, ...]) -> int:
    """Return the number of rows at the end that repeat a block of different rows 8 times or more; or 0."""
    for period in range(2, _LONGEST_BLOCK + 1):
        if len(rows) < _LEAST_BLOCKS * period:
            break
        block = rows[-period:]
        if not any(map(str.isalpha, "".join(block))):
            continue
        length = 0
        while length < len(rows) and rows[-1 - length] == block[-1 - length % period]:
            length += 1
        if length >= _LEAST_BLOCKS * period and len(set(block)) > 1:
            return length
    return 0


def _same_from_end(rows: tuple[str, ...]) -> Iterator[str]:
    for row in reversed(rows):
        if row != rows[-1]:
            return
        yield row
