"""Migrations as SQL, for an administrator who runs it by hand."""

from __future__ import annotations

import io
from collections.abc import Sequence

from airflow_deepseek_ocr.exceptions import ConfigurationError, ErrorCode
from airflow_deepseek_ocr.store.migrate import Migrations
from airflow_deepseek_ocr.store.names import Names

#: The state of a database without tables, as Alembic names it.
BASE = "base"


def migration_sql(dialect: str, start: str = BASE, names: Names | None = None) -> str:
    """Return the SQL of the migrations after ``start``, with the update of the version table.

    :param dialect: name of SQLAlchemy's dialect.
    :param start: the revision that the tables are at; :data:`BASE` for a database without tables.
    :param names: the names of the tables.
    :raises ConfigurationError: ``database_schema``; ``database_sql`` if the revision is unknown, or if a
        migration computes rows in Python.
    """
    from alembic import command

    migrations = Migrations(names)
    migrations.names.require_possible(dialect)
    if start not in (BASE, *migrations.revisions):
        raise ConfigurationError(
            ErrorCode.DATABASE_SQL,
            f"There is no migration {start!r}; use {BASE}, {', '.join(migrations.revisions)}.",
        )
    missing = migrations.revisions[0 if start == BASE else migrations.revisions.index(start) + 1 :]
    if not missing:
        return ""
    # A database without tables has no rows to compute.
    if start != BASE:
        _refuse_computed(migrations.computed(missing), start)
    output = io.StringIO()
    migrations.config.attributes["dialect"] = dialect
    migrations.config.output_buffer = output
    command.upgrade(migrations.config, f"{start}:head", sql=True)
    return output.getvalue()


def _refuse_computed(revisions: Sequence[str], start: str) -> None:
    if revisions:
        raise ConfigurationError(
            ErrorCode.DATABASE_SQL,
            f"Migration {revisions[0]} computes values of stored rows, which SQL cannot do, so there is no "
            f"SQL from {start}. Run airflow-deepseek-ocr db upgrade as a user who may alter the tables.",
        )
