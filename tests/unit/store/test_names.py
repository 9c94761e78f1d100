"""Names of tables, indexes and constraints; tests/integration/databases/test_names.py has the servers."""

from __future__ import annotations

import re

import pytest
from sqlalchemy.dialects import mysql, postgresql

from airflow_deepseek_ocr.exceptions import ConfigurationError, ErrorCode
from airflow_deepseek_ocr.store.engine_options import SUPPORTED
from airflow_deepseek_ocr.store.migration_sql import migration_sql
from airflow_deepseek_ocr.store.names import DOCUMENTS, PAGES, VERSIONS, Names

LONGEST = Names("a" * 20)


def test_without_a_prefix_the_names_are_the_documented_ones() -> None:
    names = Names()
    assert (names.table(VERSIONS), names.target(DOCUMENTS)) == (VERSIONS, "ocr_documents.id")
    assert names.constraint("pk", PAGES) == "pk_ocr_pages"
    assert names.qualified(PAGES, postgresql.dialect()) == "ocr_pages"


def test_prefix_and_schema_are_parts_of_each_name() -> None:
    names = Names("scans_", "My-docs")
    assert names.table(PAGES) == "scans_ocr_pages"
    assert names.constraint("ix", PAGES, "status") == "ix_scans_ocr_pages_status"
    assert names.target(DOCUMENTS) == "My-docs.scans_ocr_documents.id"
    assert names.qualified(PAGES, postgresql.dialect()) == '"My-docs".scans_ocr_pages'
    assert names.qualified(PAGES, mysql.dialect()) == "`My-docs`.scans_ocr_pages"


@pytest.mark.parametrize(
    "prefix",
    [
        "Scans_",
        "1_",
        "_a",
        "a-",
        "a b",
        "a;drop",
        'a"',
        "a.",
        "é",
        "a\n",
        "a" * 21,
        "a%",
        "{{ x }}",
    ],
)
def test_a_prefix_that_cannot_begin_a_name_is_refused(prefix: str) -> None:
    with pytest.raises(ConfigurationError, match=r"db_table_prefix is .* lower-case") as caught:
        Names(prefix)
    assert caught.value.code is ErrorCode.ARGUMENT


@pytest.mark.parametrize("schema", ["", " ", "a.b", 'a"b', "a`b", "a;b", "a" * 64, "a\n", "a%b"])
def test_a_schema_that_is_no_name_is_refused(schema: str) -> None:
    with pytest.raises(ConfigurationError, match=r"db_schema is .* name of a schema") as caught:
        Names(schema=schema)
    assert caught.value.code is ErrorCode.ARGUMENT


def test_sqlite_has_no_schemas() -> None:
    Names("scans_").require_possible("sqlite")
    with pytest.raises(
        ConfigurationError, match="db_schema is 'docs', and SQLite has no"
    ) as caught:
        Names(schema="docs").require_possible("sqlite")
    assert caught.value.code is ErrorCode.DATABASE_SCHEMA


@pytest.mark.parametrize("dialect", SUPPORTED)
def test_the_longest_prefix_leaves_room_for_each_name(dialect: str) -> None:
    identifiers = re.findall(r"\w+", migration_sql(dialect, names=LONGEST))
    assert max(map(len, identifiers)) <= 63
    ours = {each for each in identifiers if "ocr_" in each}
    assert len(ours) >= 10
    # Each table, index and constraint has the prefix.
    assert all(re.fullmatch(rf"((pk|uq|ix|fk)_)?{LONGEST.prefix}ocr_\w+", each) for each in ours)
