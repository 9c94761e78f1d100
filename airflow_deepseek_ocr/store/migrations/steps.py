"""Schema changes that may be repeated, with the names of the tables that are migrated.

MySQL commits each change of a table at once, so a migration that died left some of its changes behind.
The functions leave out the changes that are in place. Without a database to ask, as in SQL for an
administrator, every change is written. They take names of tables without the prefix.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import sqlalchemy as sa
from alembic import op

from airflow_deepseek_ocr.store.column_types import TABLE_OPTIONS
from airflow_deepseek_ocr.store.names import Names


def names() -> Names:
    """Return the names of the tables that are migrated."""
    found: Names = op.get_context().opts["names"]
    return found


def table_of(table: str, *columns: sa.ColumnClause[Any]) -> sa.TableClause:
    """Return a table for statements that read or change rows."""
    return sa.table(names().table(table), *columns, schema=names().schema)


def create_table(table: str, *parts: sa.schema.SchemaItem) -> None:
    """Create a table unless there is one of that name.

    :param parts: columns and constraints.
    """
    op.create_table(
        names().table(table),
        *parts,
        schema=names().schema,
        # An administrator's SQL must stop at a table of another application.
        if_not_exists=not is_sql_only(),
        **TABLE_OPTIONS,
    )


def foreign_key(table: str, column: str, target: str) -> sa.ForeignKeyConstraint:
    """Return a reference to the ids of another table, whose deleted rows take theirs with them.

    :param target: the other table.
    """
    return sa.ForeignKeyConstraint(
        [column],
        [names().target(target)],
        name=names().constraint("fk", table, column),
        ondelete="CASCADE",
    )


def drop_table(table: str) -> None:
    """Drop a table with everything in it."""
    op.drop_table(names().table(table), schema=names().schema)


def add_column(table: str, column: sa.Column[Any]) -> None:
    """Add a column unless the table has one of that name."""
    if column.name not in _column_names(table):
        op.add_column(names().table(table), column, schema=names().schema)


def drop_column(table: str, column: str) -> None:
    """Drop a column."""
    op.drop_column(names().table(table), column, schema=names().schema)


def add_index(table: str, column: str, **options: Any) -> None:
    """Add an index of a column unless the table has it.

    :param options: options of a database, such as ``postgresql_using``.
    """
    name = names().constraint("ix", table, column)
    if name not in _index_names(table):
        op.create_index(name, names().table(table), [column], schema=names().schema, **options)


def drop_index(table: str, column: str) -> None:
    """Drop the index of a column."""
    name = names().constraint("ix", table, column)
    op.drop_index(name, names().table(table), schema=names().schema)


def rename_column(
    table: str, old: str, new: str, kind: Any, *, nullable: bool, default: Any = None
) -> None:
    """Rename a column unless the table has one of the new name.

    :param kind: the column's type. MySQL needs it, and ``nullable`` and ``default``, to rename a column.
    :param default: the column's server default.
    """
    if new not in _column_names(table):
        op.alter_column(
            names().table(table),
            old,
            new_column_name=new,
            existing_type=kind,
            existing_nullable=nullable,
            existing_server_default=default,
            schema=names().schema,
        )


def qualified(table: str) -> str:
    """Return a table's or view's name as SQL needs it."""
    return names().qualified(table, op.get_context().dialect)


def is_mysql() -> bool:
    """Return whether the database is MySQL or MariaDB."""
    return op.get_context().dialect.name in ("mysql", "mariadb")


def create_view(view: str, query: str) -> None:
    """Create a view unless there is one of that name."""
    if names().table(view) not in _view_names():
        op.execute(f"CREATE {_view_rights()}VIEW {qualified(view)} AS {query.strip()}")


def replace_view(view: str, query: str, added: Collection[str]) -> None:
    """Create a view, in place of one of that name whose columns the new one begins with.

    On PostgreSQL the rights that were granted on the view stay, which dropping it would revoke. There, a
    view that has the new columns, and maybe those of later migrations, is kept: it cannot lose columns.

    :param added: the columns that the older view does not have.
    """
    dialect = op.get_context().dialect.name
    # MySQL replaces any view, and shows the columns of one only to users with another right.
    if dialect == "postgresql" and set(added) <= _column_names(view):
        return
    if dialect == "sqlite":
        drop_view(view)
        create = "CREATE VIEW"
    else:
        create = f"CREATE OR REPLACE {_view_rights()}VIEW"
    op.execute(f"{create} {qualified(view)} AS {query.strip()}")


def drop_view(view: str) -> None:
    """Drop a view if there is one of that name."""
    op.execute(f"DROP VIEW IF EXISTS {qualified(view)}")


def current_pages(*columns: str) -> str:
    """Return the query of the view of current pages.

    :param columns: columns of ``ocr_pages`` beside those that the view had first, in migration 0007.
    """
    more = "".join(f", p.{name}" for name in columns)
    return f"""
SELECT
    c.uri, c.result_version AS version, c.result_last_modified AS last_modified, c.config_key, c.model,
    c.revision, c.prompt, c.is_newest_version, c.is_newest_config,
    p.id, p.document_id, p.page_number, p.status, p.error_code, p.error, p.resolution, p.width, p.height,
    p.text, p.markdown, p.vision_tokens, p.text_tokens, p.compression_ratio, p.seconds, p.score, p.flags,
    p.agreement, p.agreement_ordered, p.attempt_count, p.attempts, p.vision_tokens_saved, p.is_final,
    p.created_at{more}
FROM {qualified("ocr_current_documents")} AS c
JOIN {qualified("ocr_pages")} AS p ON p.document_id = c.result_id
"""  # noqa: S608


def is_sql_only() -> bool:
    """Return whether the migration is written as SQL, without a database."""
    return bool(op.get_context().as_sql)


def _view_rights() -> str:
    # A view of MySQL otherwise reads with the rights of a user who may be dropped one day.
    return "SQL SECURITY INVOKER " if is_mysql() else ""


def _column_names(table: str) -> set[str]:
    if is_sql_only():
        return set()
    try:
        columns = sa.inspect(op.get_bind()).get_columns(names().table(table), names().schema)
    except sa.exc.NoSuchTableError:
        return set()
    return {each["name"] for each in columns}


def _index_names(table: str) -> set[str | None]:
    if is_sql_only():
        return set()
    return {
        each["name"]
        for each in sa.inspect(op.get_bind()).get_indexes(names().table(table), names().schema)
    }


def _view_names() -> set[str]:
    if is_sql_only():
        return set()
    return set(sa.inspect(op.get_bind()).get_view_names(names().schema))
