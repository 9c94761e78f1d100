"""Tables of other applications are refused before a statement changes anything, on SQLite.

tests/integration/databases/test_ownership.py has the servers.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, inspect, text

from airflow_deepseek_ocr.exceptions import ConfigurationError, ErrorCode
from airflow_deepseek_ocr.store.migrate import Migrations, read_schema, upgrade
from airflow_deepseek_ocr.store.migrations.ownership import EXPECTED, Ownership
from airflow_deepseek_ocr.store.names import VERSIONS, Names
from tests.support.fixtures.foreign_tables import FOREIGN, snapshot
from tests.support.fixtures.older_tables import downgrade, execute, schema_differences


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    return create_engine(f"sqlite:///{tmp_path}/a.db")


@pytest.mark.parametrize("case", FOREIGN)
def test_what_is_not_ours_is_refused_and_left_as_it_is(case: str, engine: Engine) -> None:
    execute(engine, *FOREIGN[case].statements)
    before = snapshot(engine)
    for attempt in (upgrade, read_schema):
        with pytest.raises(ConfigurationError, match=FOREIGN[case].message) as caught:
            attempt(engine)
        assert caught.value.code is ErrorCode.DATABASE_FOREIGN
        assert "Nothing was changed" in str(caught.value)
        assert "db_table_prefix" in str(caught.value)
    assert snapshot(engine) == before
    scans = Names("scans_")
    upgrade(engine, scans)
    assert schema_differences(engine, scans) == []


def test_a_taken_name_of_an_index_is_refused(engine: Engine) -> None:
    execute(
        engine,
        "CREATE TABLE scans (status TEXT)",
        "CREATE INDEX ix_ocr_documents_status ON scans (status)",
    )
    before = snapshot(engine)
    with pytest.raises(ConfigurationError, match=r"index ix_ocr_documents_status \(of scans\)"):
        upgrade(engine)
    assert snapshot(engine) == before


def test_names_of_sqlite_have_no_case(engine: Engine) -> None:
    execute(engine, "CREATE TABLE OCR_Pages (id INTEGER)")
    with pytest.raises(ConfigurationError, match=r"table ocr_pages .* has no column document_id"):
        upgrade(engine)


def test_a_foreign_version_table_with_a_revision(engine: Engine) -> None:
    execute(
        engine,
        f"CREATE TABLE {VERSIONS} (version_num VARCHAR(32))",
        f"INSERT INTO {VERSIONS} VALUES ('a1b2c3')",
    )
    with pytest.raises(ConfigurationError, match="'a1b2c3' is none of the package's"):
        upgrade(engine)


def test_a_lost_version_table_is_named(engine: Engine) -> None:
    upgrade(engine)
    execute(engine, f"DROP TABLE {VERSIONS}")
    with pytest.raises(ConfigurationError, match=f"no table {VERSIONS}.*restore it"):
        upgrade(engine)


@pytest.mark.parametrize("revision", Migrations().revisions)
def test_tables_of_each_migration_are_ours(revision: str, engine: Engine) -> None:
    upgrade(engine)
    downgrade(engine, revision)
    with engine.connect() as connection:
        ownership = Ownership(connection, Names())
        assert ownership.has_versions()
        ownership.require_changeable()
    assert upgrade(engine).revision == revision


def test_more_columns_are_no_reason(engine: Engine) -> None:
    upgrade(engine)
    downgrade(engine, "0003")
    execute(engine, "ALTER TABLE ocr_documents ADD COLUMN reviewed_by TEXT")
    upgrade(engine)
    assert "reviewed_by" in {each["name"] for each in inspect(engine).get_columns("ocr_documents")}


def test_expected_objects_are_those_of_the_migrations(engine: Engine) -> None:
    upgrade(engine)
    found = {*inspect(engine).get_table_names(), *inspect(engine).get_view_names()}
    assert found == set(EXPECTED)
    with engine.connect() as connection:
        assert connection.scalar(text(f"SELECT count(*) FROM {VERSIONS}")) == 1
