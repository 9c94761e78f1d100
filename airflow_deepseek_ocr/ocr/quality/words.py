"""Words and tags as all quality checks count them."""

from __future__ import annotations

import re

#: A word. In scripts written without spaces (Chinese, Japanese, Korean, Thai, Lao) each character is one.
WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\uac00-\ud7af\u0e00-\u0eff]|[^\W_]+")
#: An HTML tag, which the page does not show.
HTML_TAG = re.compile(r"<[^<>]{1,2000}>")


def count_printed_characters(text: str) -> int:
    """Return the number of letters and digits in ``text`` outside of HTML tags."""
    return sum(map(str.isalnum, HTML_TAG.sub(" ", text)))
