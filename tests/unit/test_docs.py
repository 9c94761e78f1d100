"""Links of the documentation resolve, and docs/architecture.md names code that exists."""

from __future__ import annotations

import ast
import re

import pytest

from tests.support.house.links import anchors, broken_links
from tests.support.house.paths import PACKAGE, ROOT, allowances

ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text("utf-8")
#: Entries such as ``1. `pipeline/pipeline.py:Pipeline.run` claims ...``.
ENTRIES = re.findall(r"^\d+\. `([a-z_0-9/]+\.py):([A-Za-z_0-9.]+)`", ARCHITECTURE, re.MULTILINE)


def test_every_relative_link_resolves() -> None:
    assert broken_links() == allowances()["broken_links"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("# The tables\n## `servers` and `stop`", {"the-tables", "servers-and-stop"}),
        ("# A\n## A\n```\n# no heading\n```", {"a", "a-1"}),
        ("## What runs, and [where](x.md)?", {"what-runs-and-where"}),
    ],
)
def test_anchors(text: str, expected: set[str]) -> None:
    assert anchors(text) == expected


@pytest.mark.parametrize(("file", "name"), ENTRIES)
def test_the_architecture_names_code_that_exists(file: str, name: str) -> None:
    body: list[ast.stmt] = ast.parse((PACKAGE / file).read_text("utf-8")).body
    for part in name.split("."):
        found = [
            node
            for node in body
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))
            and node.name == part
        ]
        assert found, f"{file} has no {name}"
        body = found[0].body


def test_the_architecture_enters_every_room() -> None:
    """A room that neither list enters is named under "Rooms beside the way", with the reason."""
    rooms = {path.name for path in PACKAGE.iterdir() if (path / "__init__.py").exists()}
    entered = {file.split("/")[0] for file, _ in ENTRIES}
    beside = set(re.findall(r"^\| `([a-z_]+)/?` \|", ARCHITECTURE, re.MULTILINE))
    assert rooms - entered - beside == set()
    assert len(ENTRIES) > 20
