"""Selection of pages, written as ``1-3,5,10-``."""

from __future__ import annotations

import re
from dataclasses import dataclass

from airflow_deepseek_ocr.exceptions import ConfigurationError, DocumentError, ErrorCode

_RANGE = re.compile(r"\s*(\d{1,9})?\s*(-)?\s*(\d{1,9})?\s*")


@dataclass(frozen=True)
class PageSelection:
    """Ranges of page numbers.

    :param ranges: (first, last) pairs, from 1, both ends included; last None means to the end. Without ranges
        all pages are selected.
    """

    ranges: tuple[tuple[int, int | None], ...] = ()

    @classmethod
    def parse(cls, text: str | None) -> PageSelection:
        """Parse a text such as ``1-3,5,10-``; an empty text or None selects all pages.

        :raises ConfigurationError: ``page_selection`` if the text has another form.
        """
        parts = [part for part in (text or "").split(",") if part.strip()]
        return cls(tuple(_range(part) for part in parts))

    def of(self, page_count: int) -> list[int]:
        """Return the selected page numbers, ascending, each once.

        :param page_count: number of pages in the document.
        :raises DocumentError: ``no_such_page`` if the document has none of the selected pages.
        """
        if not self.ranges:
            return list(range(1, page_count + 1))
        numbers: set[int] = set()
        for first, last in self.ranges:
            numbers.update(range(first, min(last or page_count, page_count) + 1))
        if not numbers:
            raise DocumentError(
                ErrorCode.NO_SUCH_PAGE,
                f"None of the pages {self} exists: the document has {page_count}. Change the selection.",
            )
        return sorted(numbers)

    def __str__(self) -> str:
        def one(first: int, last: int | None) -> str:
            return str(first) if first == last else f"{first}-{last or ''}"

        return ",".join(one(first, last) for first, last in self.ranges)


def _range(part: str) -> tuple[int, int | None]:
    match = _RANGE.fullmatch(part)
    first, dash, last = match.groups() if match else (None, None, None)
    start = int(first) if first else 1
    end = int(last) if last else (None if dash else start)
    if not (first or last) or start < 1 or (end is not None and end < start):
        raise ConfigurationError(
            ErrorCode.PAGE_SELECTION,
            f"Pages {part.strip()!r} cannot be parsed: write numbers and ranges such as 1-3,5,10-",
        )
    return start, end
