"""Values of a message, checked strictly: another type, size or field is refused."""

from __future__ import annotations

from typing import Any, NoReturn

#: Items of a report, and characters of each, at most; there are about ten.
MAX_ITEMS, MAX_ITEM_CHARACTERS = 100, 300

#: Numbers above are no page, size or coordinate.
_MAX_NUMBER = 1 << 31


class MessageError(Exception):
    """A message that breaks the rules of :mod:`.messages`."""


def as_fields(values: Any, *names: str) -> list[Any]:
    """Return the values of exactly these fields, in their order.

    :raises MessageError: it is something else.
    """
    if type(values) is not dict or values.keys() != set(names):
        raise MessageError(f"not the fields {', '.join(names) or '(none)'}")
    return [values[name] for name in names]


def as_list(value: Any, most: int, *, exactly: bool = False) -> list[Any]:
    """Return a list of at most so many items, or of exactly so many.

    :raises MessageError: it is something else.
    """
    if type(value) is not list or len(value) > most or (exactly and len(value) != most):
        raise MessageError(f"no list of {'' if exactly else 'at most '}{most}")
    return value


def as_items(value: Any) -> tuple[str, ...]:
    """Return a short list of short texts.

    :raises MessageError: it is something else.
    """
    return tuple(as_text(item, MAX_ITEM_CHARACTERS) for item in as_list(value, MAX_ITEMS))


def as_text(value: Any, most: int) -> str:
    """Return a text of at most so many characters that has an encoding.

    :raises MessageError: it is something else.
    """
    if type(value) is not str or len(value) > most:
        raise MessageError(f"no text of at most {most} characters")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise MessageError("a text with a lone surrogate") from None
    return value


def as_number(value: Any, least: int, most: int = _MAX_NUMBER) -> int:
    """Return a whole number between the limits.

    :raises MessageError: it is something else.
    """
    if type(value) is not int or not least <= value <= most:
        raise MessageError(f"no whole number from {least} to {most}")
    return value


def as_flag(value: Any) -> bool:
    """Return a truth value.

    :raises MessageError: it is something else.
    """
    if type(value) is not bool:
        raise MessageError("neither true nor false")
    return value


def as_share(value: Any) -> float:
    """Return a float from 0 to 1.

    :raises MessageError: it is something else.
    """
    if type(value) is not float or not 0 <= value <= 1:
        raise MessageError("no share from 0 to 1")
    return value


def as_height(value: Any) -> float:
    """Return a positive height in pixels.

    :raises MessageError: it is something else.
    """
    if type(value) is not float or not 0 < value < _MAX_NUMBER:
        raise MessageError("no height")
    return value


def as_box(value: Any, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """Return left, top, right and bottom within a size.

    :raises MessageError: it is something else.
    """
    left, top, right, bottom = as_list(value, 4, exactly=True)
    return (
        as_number(left, 0, size[0]),
        as_number(top, 0, size[1]),
        as_number(right, left, size[0]),
        as_number(bottom, top, size[1]),
    )


def refuse_constant(constant: str) -> NoReturn:
    """Refuse NaN and infinity, for ``parse_constant`` of the JSON decoder.

    :raises MessageError: it is something else.
    """
    raise MessageError(f"the constant {constant}")


def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object without repeated fields, for ``object_pairs_hook`` of the JSON decoder.

    :raises MessageError: it is something else.
    """
    values = dict(pairs)
    if len(values) != len(pairs):
        raise MessageError("a repeated field")
    return values
