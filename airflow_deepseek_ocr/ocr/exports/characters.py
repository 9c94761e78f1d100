"""Characters that XML and PDF do not take: control characters, halves of surrogate pairs, no characters."""

from __future__ import annotations

import re

#: Characters outside of ``Char`` in XML 1.0 (section 2.2).
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


def replace_forbidden(text: str) -> str:
    """Return text with the replacement character in place of each character that XML forbids."""
    return _FORBIDDEN.sub("\ufffd", text)
