"""The model's text as harmless HTML."""

from __future__ import annotations

import re
import time
from html.parser import HTMLParser

import pytest

from airflow_deepseek_ocr.plugins.results_page.model_text import to_html
from tests.support.fixtures.shown_documents import HOSTILE

ALLOWED = {
    *("h1", "h2", "h3", "h4", "h5", "h6", "p", "br", "hr", "ul", "ol", "li", "blockquote", "pre"),
    *("code", "strong", "em", "b", "i", "u", "s", "sub", "sup", "center"),
    *("table", "caption", "thead", "tbody", "tfoot", "tr", "td", "th"),
}


class Elements(HTMLParser):
    """The elements of a text, with their attributes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def assert_harmless(html: str) -> None:
    for tag, attributes in Elements(html).found:
        assert tag in ALLOWED, html
        assert attributes.keys() <= ({"colspan", "rowspan"} if tag in ("td", "th") else set()), html


def test_nothing_of_a_hostile_text_is_live() -> None:
    html = to_html(HOSTILE)
    assert_harmless(html)
    assert "cell" in html
    assert "a paragraph" in html
    assert '<td colspan="2">' in html


@pytest.mark.parametrize(
    "text",
    [
        "<scr<script>ipt>alert(1)</script>",
        "<table><tr><td><svg><p><style><!--</style><img src=x onerror=alert(1)>--></style>",
        '<noscript><p title="</noscript><img src=x onerror=alert(1)>">',
        r"\(<img src=x onerror=alert(1)>\)",
        '<td colspan="\\(x onmouseover=alert(1) \\)">a</td>',
        "[a](javascript&colon;alert(1)) <a href='data:text/html,<script>'>b</a>",
        "```html\n<script>alert(1)</script>\n```",
        "<p id=main class=top style=position:fixed data-x=1 onclick=alert(1)>a</p>",
        "\x00<scr\x00ipt>alert(1)</scr\x00ipt>",
    ],
)
def test_known_tricks(text: str) -> None:
    assert_harmless(to_html(text))


def test_markdown_tables_lines_and_formulas() -> None:
    assert to_html("# A\n\none\ntwo") == "<h1>A</h1>\n<p>one<br>\ntwo</p>\n"
    assert "<code>\\(E=mc^2\\)</code>" in to_html(r"so \(E=mc^2\) holds")
    assert "<code>\\[a_1 &lt; b_2\\]</code>" in to_html("\\[a_1 < b_2\\]")
    assert to_html(r"\(never closed") == "<p>(never closed</p>\n"
    assert to_html("a|b\n-|-\n1|2").count("<td>") == 2
    assert to_html("<table><tr><td rowspan=2>x</td></tr></table>").count('rowspan="2"') == 1


def test_long_and_nested_texts_are_shown_as_they_are() -> None:
    table = "<table>" + "<tr><td>cell</td></tr>" * 20_000 + "</table>"
    assert to_html(table).count("<td>") == 20_000
    assert to_html("<b>" * 101).startswith("<pre>&lt;b&gt;")
    assert to_html("# a\n" * 30_000).startswith("<pre># a")
    assert len(to_html("a" * 3_000_000)) < 1_100_000


@pytest.mark.slow
@pytest.mark.parametrize(
    "piece",
    [
        "[",
        "*a ",
        "_a*",
        ">",
        "`",
        "[a](",
        "![a](",
        "|",
        "<a ",
        "- ",
        "<i>",
        "&",
        r"\(",
        r"\[",
        "<!--",
        "a\n",
        "<td>",
        "<table><tr><td>",
        "a|b\n-|-\n",
        "~~~\n",
    ],
)
def test_no_text_keeps_the_api_server_busy(piece: str) -> None:
    started = time.process_time()
    for size in (99_999, 999_999):
        to_html(piece * (size // len(piece)))
    assert time.process_time() - started < 10, "some seconds on a slow core"


def test_text_is_kept() -> None:
    plain = re.sub(r"<[^>]+>", "", to_html("Ü ß 漢字 & <b>bold</b>"))
    assert plain.strip() == "Ü ß 漢字 &amp; bold"
