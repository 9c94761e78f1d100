"""Docs, docstrings, comments and messages keep to the words of CONTRIBUTING.md."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.support.house import prose
from tests.support.house.paths import allowances


def test_no_text_uses_refused_words() -> None:
    """The allowance counts findings per file and may only shrink."""
    found = prose.findings()
    counts = dict(sorted(Counter(finding.file for finding in found).items()))
    allowed = allowances().get("prose", {})
    new = [str(finding) for finding in found if counts[finding.file] > allowed.get(finding.file, 0)]
    assert not new, "\n".join(new)
    assert counts == allowed, "run: python -m tests.support.house"


def test_no_name_contains_an_old_word() -> None:
    assert prose.names() == allowances()["names"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("It says what is\nmissing.", ["what is"]),
        ("The task goes on, and a keeper looks at it.", ["goes on", "looks", "keeper"]),
        ("A directory on a fast disk; pages continue.", []),
        ("```model-output\nThe keeper\n```\n```\na keeper\n```", ["keeper"]),
        ("`what is` and ```goes on``` are code; see https://x.org/zoo.", []),
    ],
)
def test_words_of_a_page(text: str, words: list[str]) -> None:
    assert [finding.words for finding in prose.in_markdown(text, "docs/page.md")] == words


def test_the_changelog_may_quote_old_words_as_code() -> None:
    text = "`recipe` is `config`.\n## [0.9.0]\nThe keeper."
    assert prose.in_markdown(text, "CHANGELOG.md") == []
    assert [finding.words for finding in prose.in_markdown(text, "docs/page.md")] == [
        "recipe",
        "keeper",
    ]


def test_texts_of_a_module_are_docstrings_comments_and_messages() -> None:
    source = (
        '"""A module\nwith lines."""\n\nKEY = "recipe"  # a comment\nraise E(f"no {KEY} here")\n'
    )
    assert sorted(prose.texts(source)) == [
        (1, "A module\nwith lines."),
        (4, "# a comment"),
        (5, " here"),
        (5, "no "),
    ]
