"""The malformed-document corpus: the class of its documents, and their registry."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

#: Error codes of the pages, None for a page that is read; or the error code of the whole document.
Outcome = str | tuple[str | None, ...]

READ: Outcome = (None,)


@dataclass(frozen=True)
class MalformedDocument:
    """A document with one defect.

    :param name: name of its file; it names the defect.
    :param outcome: the expected result of processing it.
    :param make: returns its content.
    :param defect: the defect in words.
    """

    name: str
    outcome: Outcome
    make: Callable[[], bytes]
    defect: str


CORPUS: dict[str, MalformedDocument] = {}


def malformed(
    name: str, outcome: Outcome = READ
) -> Callable[[Callable[[], bytes]], Callable[[], bytes]]:
    """Register a function that makes a document; its docstring describes the defect.

    :raises ValueError: the name is registered already.
    """

    def register(make: Callable[[], bytes]) -> Callable[[], bytes]:
        if name in CORPUS:
            raise ValueError(f"Two documents have the name {name}.")
        CORPUS[name] = MalformedDocument(name, outcome, make, (make.__doc__ or "").strip())
        return make

    return register
