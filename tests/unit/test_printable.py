"""Hostile names in lines of logs."""

from __future__ import annotations

import unicodedata

import pytest

from airflow_deepseek_ocr.printable import hide_logins, printable


@pytest.mark.parametrize(
    "name",
    [
        "s3://b/a b.pdf",
        "ä/Ω/文件/עברית.pdf",
        "a::b",
        "group::x",
        "%0A",
        "\U0001f600",
        "e\u0301",
        "",
    ],
)
def test_names_without_harm_stay(name: str) -> None:
    assert printable(name) == name


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("a\nINFO - forged", r"a\nINFO - forged"),
        ("a\r\x0b\x0c\x85\u2028\u2029b", r"a\r\x0b\x0c\x85\u2028\u2029b"),
        ("\x1b[31mred\x9b0m", r"\x1b[31mred\x9b0m"),
        ("invoice\u202efdp.exe", r"invoice\u202efdp.exe"),
        ("\u2066\u200f\u061c\ufeff\0", r"\u2066\u200f\u061c\ufeff\x00"),
        ("in/::group::x ::endgroup::", r"in/\x3a\x3agroup::x \x3a\x3aendgroup::"),
        ("::::group::", r"::\x3a\x3agroup::"),
    ],
)
def test_harmful_characters_are_escaped(name: str, shown: str) -> None:
    assert printable(name) == shown


def test_no_character_ends_a_line_or_moves_the_cursor() -> None:
    every = printable("".join(map(chr, range(0x3000))))
    assert len(every.splitlines()) == 1
    left = {unicodedata.bidirectional(each) for each in every}
    assert left.isdisjoint({"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"})
    assert "Cc" not in set(map(unicodedata.category, every))


def test_logins_in_urls_are_hidden() -> None:
    text = 'Could not connect to "http://user:secret@s3:9000/" or https://token@h'
    assert hide_logins(text) == 'Could not connect to "http://***@s3:9000/" or https://***@h'
    assert hide_logins("s3://b/a@b.pdf") == "s3://b/a@b.pdf"
