"""Items in lists of a bounded length."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

_T = TypeVar("_T")


# itertools.batched exists from Python 3.12.
def chunks(items: Iterable[_T], size: int) -> Iterator[list[_T]]:
    """Yield the items in lists; they are taken lazily, a list at a time.

    :param items: any number of them.
    :param size: most items of a list; the last one may be shorter.
    :raises ValueError: ``size`` is less than 1.
    """
    if size < 1:
        raise ValueError(f"a list of {size} items")
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk
