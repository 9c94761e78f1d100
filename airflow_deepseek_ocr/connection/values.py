"""Conversions of arguments to their types, for values that a template rendered to text."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import Any

from airflow_deepseek_ocr.exceptions import ConfigurationError, ErrorCode
from airflow_deepseek_ocr.ocr.fingerprint import FIGURES_DESCRIBED, FIGURES_OFF

#: Texts that mean no value: what Jinja and JSON write for None, and an unset parameter.
_NOTHING = ("", "None", "null")
_TRUE, _FALSE = ("true", "1", "yes", "on"), ("false", "0", "no", "off")
_WHOLE = re.compile(r"[+-]?[0-9]+")
_AT_LEAST_1 = "a whole number of at least 1"
#: As ``str(timedelta)`` writes it.
_CLOCK = re.compile(r"(?:(\d+) days?, )?(\d+):([0-5]\d):([0-5]\d(?:\.\d+)?)")
#: Treatments of PDFs and images that are attached to a PDF.
ATTACHMENTS = ("name", "read")
#: What may be done with pictures on a page.
FIGURES = (FIGURES_OFF, FIGURES_DESCRIBED)
_JINJA = ("{{", "{%", "{#")

#: Converts the value of the argument with that name.
Convert = Callable[[str, Any], Any]


def invalid(
    name: str, value: Any, valid: str, code: ErrorCode = ErrorCode.ARGUMENT
) -> ConfigurationError:
    """Return the error of an argument.

    :param name: name of the argument.
    :param value: its value; long ones are shortened.
    :param valid: the valid values, as the end of "it must be".
    :param code: the error's code.
    """
    shown = repr(value)
    shown = shown if len(shown) <= 200 else f"{shown[:200]}..."
    return ConfigurationError(code, f"{name} is {shown}; it must be {valid}.")


def has_template(value: str) -> bool:
    """Return whether a text has the marks of a Jinja template."""
    return any(mark in value for mark in _JINJA)


def rendered(name: str, value: Any) -> Any:
    """Return the value, or raise if it is a template that was not rendered.

    :raises ConfigurationError: ``argument``.
    """
    if isinstance(value, str) and has_template(value):
        raise ConfigurationError(
            ErrorCode.ARGUMENT,
            f"{name} is {value[:200]!r}, a template that was not rendered. Templates are rendered in the "
            "arguments of operators and sensors, once; a trigger needs the value itself.",
        )
    return value


def optional(convert: Convert) -> Convert:
    """Return a conversion that gives None for None, ``"None"``, ``"null"`` and empty text."""

    def converted(name: str, value: Any) -> Any:
        value = rendered(name, value)
        if value is None or (isinstance(value, str) and value.strip() in _NOTHING):
            return None
        return convert(name, value)

    return converted


def text(name: str, value: Any) -> str:
    """Return a text; a whole number is written as one, since native rendering makes numbers of digits.

    :raises ConfigurationError: ``argument`` if it is empty or of another type.
    """
    value = rendered(name, value)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str) or value.strip() in _NOTHING:
        raise invalid(name, value, "a text that is not empty")
    return value


def texts(name: str, value: Any) -> list[str]:
    """Return a list of texts: from a collection, the text of a list, or texts separated by commas.

    :raises ConfigurationError: ``argument``.
    """
    value = literal(name, value)
    if isinstance(value, str):
        value = [part.strip() for part in value.split(",") if part.strip()]
    if isinstance(value, Mapping | bytes) or not isinstance(value, Iterable):
        raise invalid(name, value, "a list of texts")
    items = list(value)
    if isinstance(value, set | frozenset):
        items = sorted(items, key=str)
    if not all(isinstance(item, str) for item in items):
        raise invalid(name, items, "a list of texts")
    return [rendered(name, item) for item in items]


def literal(name: str, value: Any) -> Any:
    """Return the list or dictionary that a text holds as JSON or as a Python literal.

    Other values are returned as they are, texts without blanks around them.

    :raises ConfigurationError: ``argument`` if the text begins like a list and is none.
    """
    value = rendered(name, value)
    if not isinstance(value, str):
        return value
    value = value.strip()
    if not value.startswith(("[", "{", "(")):
        return value
    # MemoryError and RecursionError: the text is nested too deep for the parser.
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        pass
    try:
        return ast.literal_eval(value)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        raise invalid(name, value, 'a list in JSON such as ["a", "b"]') from None


def attachments(name: str, value: Any) -> str:
    """Return the treatment of attached files.

    :raises ConfigurationError: ``argument`` unless it is ``name`` or ``read``.
    """
    if value not in ATTACHMENTS:
        raise invalid(name, value, " or ".join(ATTACHMENTS))
    return str(value)


def figures(name: str, value: Any) -> str:
    """Return the treatment of pictures on a page.

    :raises ConfigurationError: ``argument`` unless it is ``off`` or ``describe``.
    """
    if value not in FIGURES:
        raise invalid(name, value, " or ".join(FIGURES))
    return str(value)


def boolean(name: str, value: Any) -> bool:
    """Return a truth value: true, false, 1, 0, yes, no, on or off in any case.

    :raises ConfigurationError: ``argument``.
    """
    value = rendered(name, value)
    if isinstance(value, bool):
        return value
    if isinstance(value, str | int):
        word = str(value).strip().lower()
        if word in _TRUE or word in _FALSE:
            return word in _TRUE
    raise invalid(name, value, "true or false")


def integer(
    name: str,
    value: Any,
    *,
    valid: str = "a whole number",
    code: ErrorCode = ErrorCode.ARGUMENT,
) -> int:
    """Return a whole number.

    :param valid: see :func:`invalid`.
    :param code: see :func:`invalid`.
    :raises ConfigurationError: with that code, or ``argument`` for a template.
    """
    value = rendered(name, value)
    # Longer texts are no settings, and int() refuses more than 4300 digits.
    if isinstance(value, str) and len(value) < 40 and _WHOLE.fullmatch(value.strip()):
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise invalid(name, value, valid, code)


def count(name: str, value: Any, *, code: ErrorCode = ErrorCode.ARGUMENT) -> int:
    """Return a whole number of at least 1.

    :param code: see :func:`invalid`.
    :raises ConfigurationError: with that code, or ``argument`` for a template.
    """
    number = integer(name, value, valid=_AT_LEAST_1, code=code)
    if number < 1:
        raise invalid(name, number, _AT_LEAST_1, code)
    return number


def number(
    name: str, value: Any, *, valid: str = "a number", code: ErrorCode = ErrorCode.ARGUMENT
) -> float:
    """Return a finite number.

    :param valid: see :func:`invalid`.
    :param code: see :func:`invalid`.
    :raises ConfigurationError: with that code, or ``argument`` for a template.
    """
    value = rendered(name, value)
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        try:
            found = float(value)
        except (ValueError, OverflowError):
            found = float("nan")
        if abs(found) < float("inf"):
            return found
    raise invalid(name, value, valid, code)


def duration(name: str, value: Any, *, code: ErrorCode = ErrorCode.ARGUMENT) -> timedelta:
    """Return a duration of a timedelta, its text (``0:02:00``), or a number of seconds.

    :param code: see :func:`invalid`.
    :raises ConfigurationError: with that code, or ``argument`` for a template.
    """
    valid = "a timedelta or a number of seconds that is not negative"
    value = rendered(name, value)
    if isinstance(value, str) and (clock := _CLOCK.fullmatch(value.strip())):
        days, hours, minutes, seconds = clock.groups()
        value = int(days or 0) * 86400 + int(hours) * 3600 + int(minutes) * 60 + float(seconds)
    try:
        found = (
            value
            if isinstance(value, timedelta)
            else timedelta(seconds=number(name, value, valid=valid, code=code))
        )
    except OverflowError:
        raise invalid(name, value, valid, code) from None
    if found < timedelta(0):
        raise invalid(name, value, valid, code)
    return found


def positive_duration(name: str, value: Any) -> timedelta:
    """Return a duration that is not zero; see :func:`duration`.

    :raises ConfigurationError: ``argument``.
    """
    if not (found := duration(name, value)):
        raise invalid(name, value, "a timedelta or a number of seconds above 0")
    return found


def page_selection(name: str, value: Any) -> Any:
    """Return a page selection as text; native rendering makes numbers and tuples of ``3`` and ``1,3``.

    :raises ConfigurationError: ``argument`` for a template.
    """
    if isinstance(value, list | tuple) and all(type(each) is int for each in value):
        return ",".join(map(str, value))
    if type(value) is int:
        return str(value)
    return rendered(name, value)


def convert_attributes(owner: object, kinds: Mapping[str, Convert]) -> None:
    """Convert attributes in place.

    :param owner: an operator or sensor whose templates are rendered.
    :param kinds: how each attribute is converted.
    :raises ConfigurationError: ``argument``; the message has the name.
    """
    for name, convert in kinds.items():
        setattr(owner, name, convert(name, getattr(owner, name)))
