"""The results database as the page reads it: no migration, short statements, errors in words."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy.orm import Session

from airflow_deepseek_ocr.airflow_support.results_database import results_engine
from airflow_deepseek_ocr.airflow_support.results_page import PageSettings
from airflow_deepseek_ocr.airflow_support.table_names import configured_names
from airflow_deepseek_ocr.plugins.results_page.away import Away
from airflow_deepseek_ocr.store.browsing.filters import dag_ids
from airflow_deepseek_ocr.store.database import Database
from airflow_deepseek_ocr.store.migrate import read_schema
from airflow_deepseek_ocr.store.tables import Rows

#: Seconds after which a statement is ended. People leave a page that takes longer.
STATEMENT_TIMEOUT_S = 5.0
#: Seconds that a correction waits for a task that writes the same document; it stores pages in less.
_LOCK_WAIT_S = 3.0
#: Seconds after which the connection and the tables' version are read again.
_KEEP_S = 60.0
#: Seconds after which a new DAG's documents are found: their ids are the one query over all documents.
_KEEP_DAGS_S = 10.0

_T = TypeVar("_T")
_P = ParamSpec("_P")


class ResultsDatabase:
    """The results database of the page's connection, opened at its first use.

    :param settings: name the connection.
    """

    def __init__(self, settings: PageSettings) -> None:
        self._settings = settings
        self._lock, self._away = threading.Lock(), Away()
        self._database: Database | None = None
        self._opened_at = self._dags_at = float("-inf")
        self._dags: frozenset[str | None] = frozenset()

    def read(
        self,
        work: Callable[Concatenate[Session, Rows, _P], _T],
        *args: _P.args,
        **kwargs: _P.kwargs,
    ) -> _T:
        """Run queries in one transaction that only reads.

        :param work: takes the session, the tables' classes, and the other arguments.
        :raises ConfigurationError: ``database_connection``, ``database_type``, ``database_schema``,
            ``database_foreign``.
        :raises DatabaseError: ``database_unavailable``, ``database_outdated``, ``database_newer``,
            ``database_rights``, ``database_slow``.
        """
        with self._away.attempt() as check:
            database = self._open(check)
            return database.transaction(
                lambda session: work(session, database.rows, *args, **kwargs), patient=False
            )

    def dag_ids(self) -> frozenset[str | None]:
        """Return the ids of the DAGs that have documents, as they were some seconds ago."""
        if time.monotonic() - self._dags_at > _KEEP_DAGS_S:
            self._dags = self.read(dag_ids)
            self._dags_at = time.monotonic()
        return self._dags

    def writer(self) -> Database:
        """Return the database for one correction, which does not wait long; the caller closes it."""
        with self._away.attempt() as check:
            self._open(check)
        return Database(
            results_engine(self._settings.db_conn_id),
            STATEMENT_TIMEOUT_S,
            configured_names(),
            lock_wait_s=_LOCK_WAIT_S,
        )

    def close(self) -> None:
        """Close all connections."""
        with self._lock:
            if self._database is not None:
                self._database.close()
            self._database, self._opened_at = None, float("-inf")
            self._dags_at = float("-inf")

    def _open(self, check: Callable[[], None]) -> Database:
        """Return the database; from time to time anew, since people change connections and tables.

        :param check: raises if another thread has found meanwhile that it is away.
        """
        with self._lock:
            check()
            if self._database is None or time.monotonic() - self._opened_at > _KEEP_S:
                before, self._database = self._database, None
                if before is not None:
                    before.close()
                self._database = self._opened()
                self._opened_at = time.monotonic()
            return self._database

    def _opened(self) -> Database:
        engine: Any = results_engine(self._settings.db_conn_id)
        database = Database(
            engine, STATEMENT_TIMEOUT_S, configured_names(), read_only_s=STATEMENT_TIMEOUT_S
        )
        try:
            with database.clear_errors():
                read_schema(database.engine, database.names).require_usable()
        except BaseException:
            database.close()
            raise
        return database
