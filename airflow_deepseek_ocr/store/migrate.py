"""Migrations of the tables; one runs at a time, however many tasks start together."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, Engine, column, inspect, select, table, text
from sqlalchemy.exc import SQLAlchemyError

from airflow_deepseek_ocr.exceptions import DatabaseError, ErrorCode

if TYPE_CHECKING:
    from alembic.script import ScriptDirectory

#: Not ``alembic_version``: the database may be Airflow's, which has a table of that name.
VERSION_TABLE = "ocr_alembic_version"

_VERSION = table(VERSION_TABLE, column("version_num")).c.version_num

_LOCK_NAME = "airflow_deepseek_ocr_migration"
#: PostgreSQL's advisory locks are numbers: the first eight bytes of the name, as ASCII.
_LOCK_NUMBER = int.from_bytes(_LOCK_NAME.encode()[:8], "big")
_LOCK_TIMEOUT_S = 60


def upgrade(engine: Engine) -> None:
    """Run the missing migrations; without any, it takes one query.

    :raises DatabaseError: ``database_newer`` if the tables are newer than this package;
        ``database_locked`` if another migration does not end within a minute.
    """
    # Imported here: the scheduler imports this module and never migrates.
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    scripts = ScriptDirectory.from_config(config)
    head = scripts.get_current_head()
    with engine.connect() as connection:
        if _current(connection) == head:
            return
    with engine.begin() as connection, _exclusive(connection):
        current = _current(connection)
        if current is not None and not _is_known(scripts, current):
            raise DatabaseError(
                ErrorCode.DATABASE_NEWER,
                f"The tables are at migration {current}, which this version of airflow-deepseek-ocr "
                "does not know; upgrade the package on this worker.",
            )
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def _current(connection: Connection) -> str | None:
    # Alembic's own context would log three lines each time.
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    return connection.scalar(select(_VERSION))


def _is_known(scripts: ScriptDirectory, revision: str) -> bool:
    from alembic.util import CommandError

    try:
        return scripts.get_revision(revision) is not None
    except CommandError:
        return False


@contextmanager
def _exclusive(connection: Connection) -> Iterator[None]:
    """Let one migration run at a time; SQLite's transactions are exclusive anyway."""
    dialect = connection.dialect.name
    if dialect == "postgresql":
        connection.execute(text(f"SET LOCAL lock_timeout = '{_LOCK_TIMEOUT_S}s'"))
        connection.execute(text("SELECT pg_advisory_xact_lock(:n)"), {"n": _LOCK_NUMBER})
        yield
    elif dialect in ("mysql", "mariadb"):
        got = connection.scalar(
            text("SELECT GET_LOCK(:name, :timeout)"),
            {"name": _LOCK_NAME, "timeout": _LOCK_TIMEOUT_S},
        )
        if not got:
            raise DatabaseError(
                ErrorCode.DATABASE_LOCKED,
                f"Another migration has not ended in {_LOCK_TIMEOUT_S} s; end stuck tasks.",
            )
        try:
            yield
        finally:
            # A lost connection has released the lock; its error must not hide the first one.
            with suppress(SQLAlchemyError):
                connection.execute(text("SELECT RELEASE_LOCK(:name)"), {"name": _LOCK_NAME})
    else:
        yield
