"""Delimiters of formulas, and the same characters elsewhere."""

from __future__ import annotations

import pytest

from airflow_deepseek_ocr.ocr.quality.formulas import has_open_formula


@pytest.mark.parametrize(
    "text",
    [
        r"The area is \( \pi r^2 \) and \[ x = 1 \]",
        r"其中\(x\)表示速度",
        r"\begin{align} a &= b \\[2pt] c &= d \end{align}",
        r"`\(` opens a group",
        "```\nre.compile('\\\\(')\ngrep '\\(' file\n```",
        "~~~sh\nfind . \\( -name a\n~~~",
        r"<pre>\( -name a</pre> and <code>\[</code>",
        r"The pattern ^\d+\( matches a call.",
        r"The pattern \([^)]* matches an open bracket.",
        r"The pattern [a-z]+\) ends a call.",
        r"Use \(\d{3} for the area code.",
        r'Search for "\(" in the file.',
        r"Escape it: the sequence \( matches an opening bracket.",
        r"Open C:\(old) and print\( to continue",
        r"sed 's/\(.*\)/\1/' file",
        "",
    ],
)
def test_text_without_open_formulas(text: str) -> None:
    assert not has_open_formula(text)


@pytest.mark.parametrize(
    "text",
    [
        r"The area is \( \pi r^2",
        r"The area is \(",
        r"x^2 + 1 \) is the area",
        r"\[ E = mc^2",
        r"\begin{align} a &= b",
        r"a \end{align}",
        r"\( a \) and \( b",
        r"Let \( x be the speed",
        r"其中 \( v = s / t 表示速度",
        r"`code` and \( x = 1",
    ],
)
def test_open_formulas(text: str) -> None:
    assert has_open_formula(text)


@pytest.mark.parametrize("piece", ["\\(", "`", "```\n", "<pre>", "\\[^", "\\begin{a}"])
def test_many_of_them_take_no_time(piece: str) -> None:
    has_open_formula(piece * 20_000)
