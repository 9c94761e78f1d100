"""The name of a stored list of documents, or of a part of it, as an XCom or an event has it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from airflow_deepseek_ocr.exceptions import ConfigurationError, ErrorCode

#: The key of the dictionary that a reference has and a document has not.
LIST_KEY = "document_list"
_KEY = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True)
class ListSlice:
    """A part of a stored list.

    :param key: names the list.
    :param first: position of its first document, from 0.
    :param count: number of its documents; None for all from ``first`` on.
    """

    key: str
    first: int = 0
    count: int | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {LIST_KEY: self.key, "first": self.first, "count": self.count}

    def parts(self, size: int) -> list[ListSlice]:
        """Return consecutive parts of this part, whose number of documents must be known.

        :param size: documents in each; the last one may have fewer.
        """
        end = self.first + (self.count or 0)
        starts = range(self.first, end, size)
        return [ListSlice(self.key, start, min(size, end - start)) for start in starts]

    @classmethod
    def of(cls, value: Mapping[str, Any]) -> ListSlice:
        """Return the part that a dictionary of :meth:`as_dict` describes.

        :raises ConfigurationError: ``document_list`` if it describes none.
        """
        key, first, count = value.get(LIST_KEY), value.get("first", 0), value.get("count")
        valid = (
            isinstance(key, str)
            and _KEY.fullmatch(key)
            and type(first) is int
            and first >= 0
            and (count is None or (type(count) is int and count >= 0))
        )
        if not valid:
            raise ConfigurationError(
                ErrorCode.DOCUMENT_LIST,
                f"{dict(value)!r:.300} names no stored list. Give it as the sensor returned it: "
                f'{{"{LIST_KEY}": 32 hexadecimal digits, "first": 0, "count": 128}}.',
            )
        return cls(str(key), first, count)


def joined(parts: Iterable[ListSlice]) -> list[ListSlice]:
    """Return the parts with each one that follows another one of its list joined to it.

    Parts whose number of documents is not known stay as they are.
    """
    found = list[ListSlice]()
    for part in sorted(parts, key=lambda each: (each.key, each.first)):
        last = found[-1] if found else None
        if (
            last is not None
            and last.key == part.key
            and last.count is not None
            and part.count is not None
            and last.first + last.count == part.first
        ):
            found[-1] = ListSlice(part.key, last.first, last.count + part.count)
        else:
            found.append(part)
    return found
