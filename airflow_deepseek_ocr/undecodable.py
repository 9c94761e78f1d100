"""Text with bytes that are not UTF-8, such as names of files from other systems.

Python decodes each of these bytes to a lone surrogate (PEP 383). Encoders, databases and JSON parsers refuse
lone surrogates, so they must not leave the place that opens the file.
"""

from __future__ import annotations

import re

_LONE = re.compile("[\ud800-\udfff]")
#: A byte ``b`` from 128 is decoded to the surrogate with this number plus ``b`` (PEP 383).
_FIRST = 0xDC00
_BYTES = range(0x80, 0x100)
_REPLACEMENT = "\ufffd"


def readable(text: str) -> str:
    r"""Return text for people and programs, with each byte that is not UTF-8 as ``\xe9``.

    :param text: may have lone surrogates; the result has none.
    """
    return _with_bytes(text, "\\x{:02x}")


def readable_line(text: str) -> str:
    r"""Return text for a line of a terminal: besides, control characters are ``\x0a``.

    :param text: may have lone surrogates and line ends; the result has none.
    """
    return "".join(each if each.isprintable() else _escaped(ord(each)) for each in readable(text))


def _escaped(number: int) -> str:
    return f"\\x{number:02x}" if number in range(_BYTES.stop) else f"\\u{number:04x}"


def percent_encoded(uri: str) -> str:
    """Return a URI with each byte that is not UTF-8 as ``%E9``, as RFC 3986 has it.

    :param uri: may have lone surrogates; the result has none.
    """
    return _with_bytes(uri, "%{:02X}")


def _with_bytes(text: str, form: str) -> str:
    def replaced(match: re.Match[str]) -> str:
        byte = ord(match[0]) - _FIRST
        return form.format(byte) if byte in _BYTES else _REPLACEMENT

    return _LONE.sub(replaced, text)
