"""Why documents and pages of a batch failed: how often, with an example."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

#: Codes that are kept, at most. There are about a hundred.
_MOST = 1000


@dataclass
class Reason:
    """A cause of failures.

    :ivar code: the error code.
    :ivar count: how often it occurred.
    :ivar example: the first document, with the page if it is one's.
    :ivar error: its message.
    """

    code: str
    count: int
    example: str
    error: str


@dataclass
class Reasons:
    """The causes of failures, by code."""

    _by_code: dict[str, Reason] = field(default_factory=dict)

    def add(self, code: str, example: str, error: str) -> None:
        """Count a failure.

        :param code: the error code.
        :param example: the document or page.
        :param error: the message.
        """
        if (known := self._by_code.get(code)) is not None:
            known.count += 1
        elif len(self._by_code) < _MOST:
            self._by_code[code] = Reason(code, 1, example, error)

    def most_common(self, most: int) -> Iterator[Reason]:
        """Yield the causes, the most frequent first.

        :param most: number of causes.
        """
        yield from sorted(self._by_code.values(), key=lambda each: -each.count)[:most]

    def __len__(self) -> int:
        return len(self._by_code)
