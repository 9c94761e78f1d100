"""Schema changes that may be repeated.

MySQL commits each change of a table at once, so a migration that died left some of its changes behind.
The functions leave out the changes that are in place. Without a database to ask, as in SQL for an
administrator, every change is written.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op


def add_column(table: str, column: sa.Column[Any]) -> None:
    """Add a column unless the table has one of that name."""
    if column.name not in _column_names(table):
        op.add_column(table, column)


def add_index(name: str, table: str, columns: list[str]) -> None:
    """Add an index unless the table has one of that name."""
    if name not in _index_names(table):
        op.create_index(name, table, columns)


def rename_column(
    table: str, old: str, new: str, kind: Any, *, nullable: bool, default: Any = None
) -> None:
    """Rename a column unless the table has one of the new name.

    :param kind: the column's type. MySQL needs it, and ``nullable`` and ``default``, to rename a column.
    :param default: the column's server default.
    """
    if new not in _column_names(table):
        op.alter_column(
            table,
            old,
            new_column_name=new,
            existing_type=kind,
            existing_nullable=nullable,
            existing_server_default=default,
        )


def is_sql_only() -> bool:
    """Return whether the migration is written as SQL, without a database."""
    return bool(op.get_context().as_sql)


def _column_names(table: str) -> set[str]:
    if is_sql_only():
        return set()
    return {each["name"] for each in sa.inspect(op.get_bind()).get_columns(table)}


def _index_names(table: str) -> set[str | None]:
    if is_sql_only():
        return set()
    return {each["name"] for each in sa.inspect(op.get_bind()).get_indexes(table)}
