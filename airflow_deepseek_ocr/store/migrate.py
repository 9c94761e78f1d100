"""Migrations of the tables; one runs at a time, however many tasks start together."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Engine, Select, literal_column, select, table, text
from sqlalchemy.exc import SQLAlchemyError

from airflow_deepseek_ocr.exceptions import DatabaseError, ErrorCode
from airflow_deepseek_ocr.quiet_loggers import quiet_loggers
from airflow_deepseek_ocr.store.compatibility import COMPATIBLE_BACK_TO
from airflow_deepseek_ocr.store.migrations.ownership import Ownership
from airflow_deepseek_ocr.store.names import VERSIONS, Names

if TYPE_CHECKING:
    from alembic.config import Config
    from alembic.script import Script

log = logging.getLogger(__name__)

_LOCK_NAME = "airflow_deepseek_ocr_migration"
#: PostgreSQL's advisory locks are numbers: the first eight bytes of the name, as ASCII.
_LOCK_NUMBER = int.from_bytes(_LOCK_NAME.encode()[:8], "big")
_LOCK_TIMEOUT_S = 60
#: Until the end of the transaction.
_HOME_FIRST = text(
    "SELECT set_config('search_path', quote_ident(:home) || ',' || current_setting('search_path'), true)"
)

#: What to do about older or missing tables.
_REMEDY = (
    "Run airflow-deepseek-ocr db upgrade as a user who may create and alter tables, or have the output of "
    "airflow-deepseek-ocr db sql run by one."
)


@dataclass(frozen=True)
class Schema:
    """The state of the tables of a database.

    :param revision: the migration that the tables are at; None if there are no tables.
    :param head: the newest migration of this version of the package.
    :param compatible_back_to: the oldest migration whose version of the package may use the tables, as the
        database says; None if it does not say.
    :param is_newer: whether this version does not know the migration that the tables are at.
    :param is_compatible: whether this version knows the migration ``compatible_back_to``.
    :param home: schema of the version table; None without one, or without schemas.
    """

    revision: str | None
    head: str
    compatible_back_to: str | None = None
    is_newer: bool = False
    is_compatible: bool = False
    home: str | None = None

    @property
    def is_current(self) -> bool:
        """Whether the tables are at the newest migration of this version."""
        return self.revision == self.head

    @property
    def is_usable(self) -> bool:
        """Whether this version of the package can use the tables as they are."""
        return self.is_current or (self.is_newer and self.is_compatible)

    def require_known(self) -> None:
        """Raise if the tables are newer than this version, and not compatible with it.

        :raises DatabaseError: ``database_newer``.
        """
        if self.is_newer and not self.is_compatible:
            back_to = (
                f"They are compatible back to migration {self.compatible_back_to}"
                if self.compatible_back_to
                else "They do not say which older versions may use them"
            )
            raise DatabaseError(
                ErrorCode.DATABASE_NEWER,
                f"The tables are at migration {self.revision}, which this version of airflow-deepseek-ocr "
                f"does not know; its newest is {self.head}. {back_to}. Upgrade the package on this host.",
            )

    def require_usable(self) -> None:
        """Raise unless this version can use the tables as they are.

        :raises DatabaseError: ``database_outdated``, ``database_newer``.
        """
        self.require_known()
        if not self.is_usable:
            state = (
                f"The tables are at migration {self.revision}, and this version of airflow-deepseek-ocr "
                f"needs {self.head}."
                if self.revision
                else "The results database has no tables of airflow-deepseek-ocr."
            )
            raise DatabaseError(ErrorCode.DATABASE_OUTDATED, f"{state} {_REMEDY}")

    def __str__(self) -> str:
        if self.is_newer:
            return (
                f"The tables are at migration {self.revision}, newer than {self.head} of this version, which "
                f"can use them: they are compatible back to {self.compatible_back_to}."
            )
        return f"The tables are at migration {self.revision}, the newest of this version."


class Migrations:
    """The migrations of this version of the package.

    :param names: the names of the tables.
    """

    def __init__(self, names: Names | None = None) -> None:
        self.names = names or Names()

    @cached_property
    def config(self) -> Config:
        """Alembic's configuration."""
        # Imported here: the scheduler imports this module and never migrates.
        from alembic.config import Config

        config = Config()
        config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
        config.attributes["names"] = self.names
        return config

    @cached_property
    def _scripts(self) -> dict[str, Script]:
        from alembic.script import ScriptDirectory

        newest_first = list(ScriptDirectory.from_config(self.config).walk_revisions())
        return {script.revision: script for script in reversed(newest_first)}

    @property
    def revisions(self) -> list[str]:
        """The migrations' revisions, oldest first."""
        return list(self._scripts)

    def computed(self, revisions: Iterable[str]) -> list[str]:
        """Return those of the revisions that compute values of stored rows in Python.

        Such a migration has ``computes_rows = True``.
        """
        return [
            each
            for each in revisions
            if getattr(self._scripts[each].module, "computes_rows", False)
        ]

    def compatible_back_to(self, revision: str) -> str | None:
        """Return the oldest migration whose version of the package may use the tables of ``revision``.

        :return: the migration's ``compatible_back_to``; None before the version table has that column.
        """
        return getattr(self._scripts[revision].module, COMPATIBLE_BACK_TO, None)

    def schema(self, connection: Connection) -> Schema:
        """Return the state of the tables; it takes two queries.

        :raises ConfigurationError: ``database_foreign`` if tables of these names are not the package's;
            ``database_schema`` if there is no schema for them.
        """
        # Alembic's own context would log three lines each time.
        row = None
        ownership = Ownership(connection, self.names)
        name, schema = self.names.table(VERSIONS), self.names.schema
        if ownership.has_versions():
            # Older tables have no column compatible_back_to, so the columns are not named. Uncached: the
            # columns of * change with a migration, and SQLAlchemy caches them.
            query: Select[Any] = select(literal_column("*")).select_from(table(name, schema=schema))
            uncached = {"compiled_cache": None}
            row = connection.execute(query, execution_options=uncached).mappings().first()
        version = dict(row or {})
        revision, oldest = version.get("version_num"), version.get(COMPATIBLE_BACK_TO)
        found = Schema(
            revision,
            self.revisions[-1],
            compatible_back_to=oldest,
            is_newer=revision not in {None, *self.revisions},
            is_compatible=oldest in self.revisions,
            home=ownership.home,
        )
        if found.is_newer:
            ownership.require_known(str(revision))
        elif not found.is_current:
            ownership.require_changeable()
        return found


def read_schema(engine: Engine, names: Names | None = None) -> Schema:
    """Return the state of the tables, and change nothing.

    :param names: the names of the tables.
    :raises ConfigurationError: ``database_foreign``, ``database_schema``.
    """
    with engine.connect() as connection:
        return Migrations(names).schema(connection)


def upgrade(engine: Engine, names: Names | None = None) -> Schema:
    """Run the missing migrations; without any, it takes two queries and no right to change tables.

    :param names: the names of the tables.
    :return: the state of the tables before.
    :raises ConfigurationError: ``database_foreign``, ``database_schema``; nothing was changed.
    :raises DatabaseError: ``database_newer`` if the tables are newer than this package, and not compatible
        with it; ``database_locked`` if another migration does not end within a minute.
    """
    from alembic import command

    migrations = Migrations(names)
    with engine.connect() as connection:
        before = migrations.schema(connection)
        if before.is_usable:
            return before
    before.require_known()
    with engine.begin() as connection, _exclusive(connection):
        before = migrations.schema(connection)
        before.require_known()
        if before.is_usable:
            return before
        if before.home and connection.dialect.name == "postgresql":
            # New tables belong beside the others, although another schema may be first by now.
            connection.execute(_HOME_FIRST, {"home": before.home})
        migrations.config.attributes["connection"] = connection
        log.info(
            "Migrating the tables of the results database from %s to %s. With many rows this takes minutes.",
            before.revision or "none",
            before.head,
        )
        # It writes a line for each migration, which would be most of a first task's log.
        with quiet_loggers("alembic"):
            command.upgrade(migrations.config, "head")
    return before


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
