"""The model's text as HTML without anything that could run, load or lead elsewhere.

The model writes Markdown, HTML tables and LaTeX, and a document can make it write anything else. Markdown is
rendered with HTML let through, and a list of allowed elements decides as the last step. Tags of other
elements become text before it: an HTML parser would drop all that follows some of them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape
from typing import Any

import nh3
from markdown_it import MarkdownIt
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token

#: Elements without any effect but their appearance. Neither links nor images are among them.
_TAGS = {
    *(
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "p",
        "br",
        "hr",
        "ul",
        "ol",
        "li",
        "blockquote",
        "pre",
        "code",
    ),
    *("strong", "em", "b", "i", "u", "s", "sub", "sup", "center"),
    *("table", "caption", "thead", "tbody", "tfoot", "tr", "td", "th"),
}
#: Without "*", the cleaner keeps title and lang on all elements.
_ATTRIBUTES: dict[str, set[str]] = {
    "*": set(),
    "td": {"colspan", "rowspan"},
    "th": {"colspan", "rowspan"},
}

#: Characters of Markdown that are rendered: markdown-it-py takes up to 1.7 s for 100,000 characters of table.
#: The model writes about 40,000 at most.
_MAX_MARKDOWN = 100_000
#: Characters of an HTML table that are cleaned, and of any text that is shown.
MAX_TEXT = 1_000_000
#: Elements inside each other: the time of an HTML parser grows with the square of it.
_MAX_DEPTH = 100
#: Elements that end without a tag of their end.
_ENDLESS = frozenset(
    (
        "td",
        "th",
        "tr",
        "tbody",
        "thead",
        "tfoot",
        "p",
        "br",
        "hr",
        "li",
        "img",
        "wbr",
        "input",
        "col",
    )
)
_TAG = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9]*)")
_OTHER_TAG = re.compile(
    rf"<(?=[a-zA-Z/!?])(?!/?(?:{'|'.join(sorted(_TAGS))})[\s/>])", re.IGNORECASE
)


def to_html(text: str) -> str:
    """Return a text of the model as harmless HTML.

    :param text: Markdown with HTML tables and LaTeX. One that is too long or too nested becomes plain text.
    """
    if len(text) > MAX_TEXT or _depth(text) > _MAX_DEPTH:
        return _plain(text)
    if text.lstrip().startswith("<table") and len(text) > _MAX_MARKDOWN:
        return _clean(_without_others(text))
    if len(text) > _MAX_MARKDOWN:
        return _plain(text)
    return _clean(_MARKDOWN.render(text))


def _clean(html: str) -> str:
    """Return HTML with allowed elements and attributes only."""
    return nh3.clean(html, tags=_TAGS, attributes=_ATTRIBUTES, url_schemes=set(), link_rel=None)


def _without_others(html: str) -> str:
    return _OTHER_TAG.sub("&lt;", html)


def _plain(text: str) -> str:
    return f"<pre>{escape(text[:MAX_TEXT])}</pre>"


def _depth(text: str) -> int:
    depth = deepest = 0
    for closes, name in _TAG.findall(text):
        if name.lower() not in _ENDLESS:
            depth = max(depth + (-1 if closes else 1), 0)
            deepest = max(deepest, depth)
    return deepest


def _formula(state: StateInline, silent: bool) -> bool:
    r"""Keep ``\(...\)`` and ``\[...\]`` as they are: Markdown would take the backslashes away."""
    opening = state.src[state.pos : state.pos + 2]
    closing = {r"\(": r"\)", r"\[": r"\]"}.get(opening)
    # Texts without this end, so that many openings are not searched for it again and again.
    unclosed = state.env.setdefault("unclosed", {})
    if closing is None or unclosed.get(closing) is state.src:
        return False
    end = state.src.find(closing, state.pos + 2)
    if end < 0:
        unclosed[closing] = state.src
    if end < 0 or end + 2 > state.posMax:
        return False
    if not silent:
        token = state.push("code_inline", "code", 0)
        token.content = state.src[state.pos : end + 2]
        token.markup = "`"
    state.pos = end + 2
    return True


def _html(_: Any, tokens: Sequence[Token], index: int, *__: Any) -> str:
    return _without_others(tokens[index].content)


def _renderer() -> MarkdownIt:
    options: dict[str, Any] = {"html": True, "breaks": True}
    renderer = MarkdownIt("commonmark", options).enable("table")
    renderer.inline.ruler.before("escape", "formula", _formula)
    for rule in ("html_inline", "html_block"):
        renderer.add_render_rule(rule, _html)
    return renderer


_MARKDOWN = _renderer()
