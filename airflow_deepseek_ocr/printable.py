"""Texts that others chose, in a line of a log."""

from __future__ import annotations

import re

#: Characters that end a line, start a terminal's commands, or change the direction in which a line is read
#: (Unicode Standard Annex 9, table of explicit and implicit marks).
_CONTROLS = "\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff"
#: Airflow's UI folds the lines after a line that contains one of these.
_GROUP = r"::(?=(?:end)?group::)"
_HARMFUL = re.compile(f"[{_CONTROLS}]|{_GROUP}")

#: User and password in a URL.
_URL_LOGIN = re.compile(r"(?<=://)[^/@\s]+@")


def hide_logins(text: str) -> str:
    """Return a text with user and password of each URL replaced by ``***``.

    :param text: a message of another program, such as one that names an endpoint or a proxy.
    """
    return _URL_LOGIN.sub("***@", text)


def printable(text: str) -> str:
    r"""Return the text with harmful characters as escapes such as ``\n``, ``\x1b``, ``\u202e``.

    Keys of S3 and names in documents may have any character. Shown as they are, one could forge lines of a
    log, or hide some.

    :param text: a name, or a message that has names in it.
    """
    return _HARMFUL.sub(_escaped, text)


def _escaped(match: re.Match[str]) -> str:
    return "".join(
        rf"\x{ord(each):02x}" if each == ":" else repr(each)[1:-1] for each in match.group()
    )
