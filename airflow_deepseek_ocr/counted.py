"""Numbers with their nouns, and lists of reasons, for messages."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice

from airflow_deepseek_ocr.printable import printable

#: Names in one line of a log; the rows in the database have the others.
_NAMED = 10
#: Longest name in such a line, in characters: most keys of S3, which have up to 1,024 bytes.
_MAX_NAME = 300
#: Longest message of an error, in characters. Services choose a part of it, and Airflow keeps it in its
#: database.
MAX_MESSAGE = 4000


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """Return a number and its noun, such as ``1 page`` or ``1,024 pages``.

    :param number: how many.
    :param noun: the singular.
    :param plural: the plural, unless it is the singular with an s.
    """
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def listed(reasons: Mapping[str, object]) -> str:
    """Return names with their reasons, such as ``a.pdf (damaged), b.pdf (encrypted) and 3 more``.

    :param reasons: reasons by name.
    """
    named = [
        f"{printable(shortened(name, _MAX_NAME))} ({printable(str(reason))})"
        for name, reason in islice(reasons.items(), _NAMED)
    ]
    more = len(reasons) - len(named)
    return ", ".join(named) + (f" and {more:,} more" if more else "")


def shortened(text: str, most: int = MAX_MESSAGE) -> str:
    """Return the text, or its beginning and its length if it is long.

    :param text: a message or a name.
    :param most: most characters of it.
    """
    return text if len(text) <= most else f"{text[:most]}... ({len(text):,} characters)"


def pages_per_second(pages: int, seconds: float) -> str:
    """Return a speed with about two digits, such as ``0.42 pages/s`` or ``240 pages/s``.

    :param pages: finished pages.
    :param seconds: time that they took, more than 0.
    """
    speed = pages / seconds
    digits = 0 if speed >= 10 else 1 if speed >= 1 else 2
    return f"{speed:,.{digits}f} pages/s"
