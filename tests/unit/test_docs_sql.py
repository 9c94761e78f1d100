"""SQL in the documentation is valid for the tables of the results database."""

from __future__ import annotations

import re
import sqlite3

import pytest
from sqlalchemy import create_engine

from airflow_deepseek_ocr.store.migrate import upgrade
from tests.support.house.paths import relative
from tests.support.house.rules import markdown_files

# Statements behind a mark are of one database: tests/integration/databases runs them.
_SQL = re.compile(r"(?<!-->\n)^```sql\n(.*?)^```", re.MULTILINE | re.DOTALL)
STATEMENTS = [
    pytest.param(statement.strip(), id=f"{relative(page)}-{number}")
    for page in markdown_files()
    for number, statement in enumerate(
        statement
        for block in _SQL.findall(page.read_text("utf-8"))
        for statement in block.split(";")
        if statement.strip()
    )
]


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> sqlite3.Connection:
    path = tmp_path_factory.mktemp("sql") / "results.db"
    engine = create_engine(f"sqlite:///{path}")
    upgrade(engine)
    engine.dispose()
    return sqlite3.connect(path)


@pytest.mark.parametrize("statement", STATEMENTS)
def test_statements_name_tables_and_columns_that_exist(
    database: sqlite3.Connection, statement: str
) -> None:
    # Rights are run by tests/integration/databases/test_rights.py.
    if statement.upper().startswith(("SELECT", "WITH", "DELETE")):
        assert database.execute(statement).fetchall() == []
        database.rollback()


def test_there_are_statements_to_check() -> None:
    assert len(STATEMENTS) >= 3
