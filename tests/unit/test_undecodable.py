"""Text with bytes that are not UTF-8."""

from __future__ import annotations

import os
from urllib.parse import unquote_to_bytes

import pytest

from airflow_deepseek_ocr.undecodable import percent_encoded, readable, readable_line

NAME = os.fsdecode(b"caf\xe9 \xff.pdf")


def test_bytes_are_escaped_and_names_stay_apart() -> None:
    assert readable(NAME) == "caf\\xe9 \\xff.pdf"
    assert readable(os.fsdecode(b"caf\xe8")) != readable(os.fsdecode(b"caf\xe9"))


@pytest.mark.parametrize("text", ["", "größe 1€.pdf", "\U0001f4c4", "a\nb"])
def test_other_text_is_not_changed(text: str) -> None:
    assert readable(text) == percent_encoded(text) == text


def test_a_line_has_no_control_characters() -> None:
    assert readable_line("a\nb\x1b[31m €\u2028\u202e é " + NAME) == (
        "a\\x0ab\\x1b[31m €\\u2028\\u202e é caf\\xe9 \\xff.pdf"
    )


def test_a_uri_is_that_of_the_bytes() -> None:
    encoded = percent_encoded(f"file:///data/{NAME}")
    assert encoded == "file:///data/caf%E9 %FF.pdf"
    assert unquote_to_bytes(encoded).endswith(b"/caf\xe9 \xff.pdf")


def test_surrogates_of_no_byte_are_replaced() -> None:
    assert readable("\ud800\udfff") == percent_encoded("\ud800\udc00") == "\ufffd\ufffd"
