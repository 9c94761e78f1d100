"""Relative links and anchors of the pages for people."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from tests.support.house.paths import relative
from tests.support.house.rules import markdown_files

_FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ +(.+?) *$", re.MULTILINE)


def broken_links() -> list[str]:
    """Return ``page: target`` of every relative link without a file, or without the heading."""
    return [
        f"{relative(page)}: {target}"
        for page in markdown_files()
        for target in _targets(page)
        if not _resolves(page, target)
    ]


def anchors(text: str) -> set[str]:
    """Return the anchors that a repository's host gives to a page's headings."""
    found: set[str] = set()
    for heading in _HEADING.findall(_FENCE.sub("", text)):
        words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        slug = re.sub(r"[^\w\- ]", "", words).replace(" ", "-")
        number = 0
        while (anchor := slug if not number else f"{slug}-{number}") in found:
            number += 1
        found.add(anchor)
    return found


def _targets(page: Path) -> Iterator[str]:
    for target in _LINK.findall(_FENCE.sub("", page.read_text("utf-8"))):
        if not re.match(r"[a-z]+:", target):
            yield target


def _resolves(page: Path, target: str) -> bool:
    path, _, anchor = target.partition("#")
    file = (page.parent / path).resolve() if path else page
    if not file.exists():
        return False
    return not anchor or anchor in anchors(file.read_text("utf-8"))
