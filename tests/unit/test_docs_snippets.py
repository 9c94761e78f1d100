"""Code in the documentation that is marked as part of a file equals that part of the file.

A page marks a fence with ``<!-- snippet: path/x.py howto_x -->`` on the line before it; the file marks
the part with ``# [START howto_x]`` and ``# [END howto_x]``.
"""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.support.servers.airflow import DAGS

_SNIPPET = re.compile(
    r"<!-- snippet: (\S+) (\S+) -->\n+```python\n(.*?)^```", re.DOTALL | re.MULTILINE
)
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
SNIPPETS = [
    pytest.param(*found, id=f"{page.relative_to(ROOT)}:{found[1]}")
    for page in PAGES
    for found in _SNIPPET.findall(page.read_text("utf-8"))
]


def marked_part(file: Path, name: str) -> str:
    """Return the lines between the markers, without their common indentation."""
    match = re.search(
        rf"^ *# \[START {name}\]\n(.*?)^ *# \[END {name}\]$", file.read_text("utf-8"), re.S | re.M
    )
    assert match, f"{file} has no part {name}"
    return textwrap.dedent(match[1])


@pytest.mark.parametrize(("file", "name", "code"), SNIPPETS)
def test_a_snippet_equals_its_source(file: str, name: str, code: str) -> None:
    assert code == marked_part(ROOT / file, name)


def test_every_mark_of_a_page_has_a_fence() -> None:
    marks = sum(page.read_text("utf-8").count("<!-- snippet:") for page in PAGES)
    assert marks == len(SNIPPETS) > 0


def test_every_part_of_a_dag_is_in_the_documentation() -> None:
    parts = {
        (path.relative_to(ROOT).as_posix(), name)
        for path in DAGS.glob("*.py")
        for name in re.findall(r"# \[START (\w+)\]", path.read_text("utf-8"))
    }
    assert parts == {(str(param.values[0]), str(param.values[1])) for param in SNIPPETS}
