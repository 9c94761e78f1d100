"""What a document of the zoo is, what must become of it, and the list of all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

#: Page error codes by page, None for a page that is read; or one code for the whole document.
Outcome = str | tuple[str | None, ...]

READ: Outcome = (None,)


@dataclass(frozen=True)
class Animal:
    """A document that is wrong in the way that it is named for.

    :param name: its file's name.
    :param outcome: what must become of it.
    :param make: its content.
    :param why: what is wrong with it.
    """

    name: str
    outcome: Outcome
    make: Callable[[], bytes]
    why: str


ANIMALS: dict[str, Animal] = {}


def animal(
    name: str, outcome: Outcome = READ
) -> Callable[[Callable[[], bytes]], Callable[[], bytes]]:
    """Puts a function that makes a document into the zoo; its docstring says what is wrong."""

    def put(make: Callable[[], bytes]) -> Callable[[], bytes]:
        assert name not in ANIMALS, f"two documents are called {name}"
        ANIMALS[name] = Animal(name, outcome, make, (make.__doc__ or "").strip())
        return make

    return put
