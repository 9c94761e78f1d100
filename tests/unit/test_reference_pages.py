"""The reference pages of error codes and tables name what the code has, and nothing else."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Table, create_engine, inspect
from sqlalchemy.dialects import postgresql

from airflow_deepseek_ocr.exceptions import ErrorCode
from airflow_deepseek_ocr.ocr.quality.flags import Flag
from airflow_deepseek_ocr.store.migrate import upgrade
from airflow_deepseek_ocr.store.names import CURRENT_DOCUMENTS, CURRENT_PAGES, DOCUMENTS, PAGES
from airflow_deepseek_ocr.store.tables import Base
from tests.support.house.paths import ROOT

REFERENCE = ROOT / "docs" / "reference"
CODES, TABLES = ((REFERENCE / name).read_text("utf-8") for name in ("error_codes.md", "tables.md"))


def rows(page: str) -> list[list[str]]:
    """Return the cells of rows whose first cell is code."""
    lines = (line for line in page.splitlines() if line.startswith("| `"))
    return [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in lines]


def section(page: str, heading: str) -> str:
    return re.split(r"^## ", page.partition(f"## {heading}\n")[2], flags=re.MULTILINE)[0]


def test_every_error_code_is_documented_once() -> None:
    documented = [row[0].strip("`") for row in rows(CODES.partition("## Quality flags")[0])]
    assert sorted(documented) == sorted(ErrorCode)


def test_every_flag_is_documented_once() -> None:
    documented = [row[0].strip("`") for row in rows(section(CODES, "Quality flags"))]
    assert sorted(documented) == sorted(Flag)


def test_each_code_says_of_what_it_is_and_what_to_do() -> None:
    wheres = {"document", "page", "retryable", "task", "setting", "internal", "command", "request"}
    wheres.add("export")
    for row in rows(CODES):
        assert set(row[1].split(", ")) <= wheres, row
        assert all(row), row


def test_a_code_fits_its_column() -> None:
    length = Base.metadata.tables["ocr_pages"].c.error_code.type.length  # type: ignore[attr-defined]
    assert max(map(len, [*ErrorCode, *Flag])) <= length


@pytest.mark.parametrize("table", Base.metadata.sorted_tables, ids=lambda table: table.name)
def test_every_column_is_documented_with_its_type(table: Table) -> None:
    documented = {row[0].strip("`"): row[1] for row in rows(section(TABLES, table.name))}
    assert documented == {column.name: _type(column) for column in table.columns}
    assert list(documented) == [column.name for column in table.columns]


@pytest.mark.parametrize("view", [CURRENT_DOCUMENTS, CURRENT_PAGES])
def test_every_column_of_a_view_is_documented(view: str, tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path}/a.db")
    upgrade(engine)
    documented = {row[0].strip("`"): row[1:] for row in rows(section(TABLES, view))}
    assert list(documented) == [column["name"] for column in inspect(engine).get_columns(view)]
    of_tables = {
        name: cells for table in (DOCUMENTS, PAGES) for name, *cells in rows(section(TABLES, table))
    }
    for name, (kind, _) in documented.items():
        assert kind == of_tables.get(f"`{name}`", [kind])[0], name


def _type(column: Any) -> str:
    name = str(column.type.compile(dialect=postgresql.dialect())).lower()
    name = name.replace("timestamp with time zone", "timestamp").replace(
        "double precision", "double"
    )
    return f"{name}, null" if column.nullable else name
