"""The tables of docs/reference equal what the code says."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.reference_docs import PAGES, TABLES, tables_of

MARKED = [
    pytest.param(page, name, text, id=name) for page in PAGES for name, text in tables_of(page)
]


@pytest.mark.parametrize(("page", "name", "text"), MARKED)
def test_a_table_equals_the_code(page: Path, name: str, text: str) -> None:
    assert text == TABLES[name](), f"{page.name}: run python -m tests.support.reference_docs"


def test_every_table_is_in_one_page() -> None:
    assert sorted(str(param.id) for param in MARKED) == sorted(TABLES)
