"""The command ``db``: the tables of the results database."""

from __future__ import annotations

import argparse
from typing import Any

from airflow_deepseek_ocr.cli.output import report, write
from airflow_deepseek_ocr.cli.results_database import add_database, opened_database, table_names
from airflow_deepseek_ocr.store.engine_options import SUPPORTED
from airflow_deepseek_ocr.store.migrate import read_schema, upgrade
from airflow_deepseek_ocr.store.migration_sql import BASE, migration_sql


def add_db(commands: Any) -> None:
    """Add the command ``db`` with ``upgrade``, ``check`` and ``sql``."""
    tables = commands.add_parser(
        "db", help="create, migrate or check the tables of the results database"
    )
    steps = tables.add_subparsers(required=True, metavar="COMMAND")
    upgrading = steps.add_parser("upgrade", help="create the tables, or run the missing migrations")
    add_database(upgrading)
    upgrading.set_defaults(run=_upgrade)
    check = steps.add_parser(
        "check", help="exit with 0 if this version can use the tables, else with 1; change nothing"
    )
    add_database(check)
    check.set_defaults(run=_check)
    sql = steps.add_parser("sql", help="print the SQL of the missing migrations, and run nothing")
    add_database(sql)
    sql.add_argument(
        "--dialect",
        choices=SUPPORTED,
        help="print the SQL for this kind of database, without a connection",
    )
    sql.add_argument(
        "--from",
        dest="start",
        metavar="REVISION",
        help=f"migration that the tables are at, or {BASE} for none (default: that of the connected "
        f"database; {BASE} with --dialect)",
    )
    sql.set_defaults(run=_sql)


def _upgrade(options: argparse.Namespace) -> int:
    with opened_database(options) as database, database.clear_errors():
        before = upgrade(database.engine, database.names)
    if before.is_usable:
        write(f"Nothing to migrate. {before}")
    else:
        write(f"Migrated the tables from {before.revision or BASE} to {before.head}.")
    return 0


def _check(options: argparse.Namespace) -> int:
    with opened_database(options) as database, database.clear_errors():
        schema = read_schema(database.engine, database.names)
    schema.require_usable()
    write(str(schema))
    return 0


def _sql(options: argparse.Namespace) -> int:
    dialect, start = options.dialect, options.start
    if dialect is None:
        with opened_database(options) as database, database.clear_errors():
            dialect = database.engine.dialect.name
            schema = read_schema(database.engine, database.names)
            schema.require_known()
            start = start or (schema.head if schema.is_newer else schema.revision)
            # A MySQL URL may lead to MariaDB, whose SQL differs.
            if getattr(database.engine.dialect, "is_mariadb", False):
                dialect = "mariadb"
    statements = migration_sql(dialect, start or BASE, table_names(options))
    if not statements:
        report("No migration is missing.")
    write(statements, end="")
    return 0
