"""Characters that XML and PDF do not take."""

from __future__ import annotations

from airflow_deepseek_ocr.ocr.exports.characters import replace_forbidden


def test_only_forbidden_characters_are_replaced() -> None:
    assert replace_forbidden("a\x00b\ud800c\uffffd\te\n😀") == "a\ufffdb\ufffdc\ufffdd\te\n😀"
