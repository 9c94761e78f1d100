"""The results database of an Airflow connection."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.providers.common.compat.sdk import BaseHook, conf
from sqlalchemy import Engine

from airflow_deepseek_ocr.airflow_support.connections import find_connection
from airflow_deepseek_ocr.airflow_support.database_extras import make_engine
from airflow_deepseek_ocr.airflow_support.table_names import CONFIG_SECTION, configured_names
from airflow_deepseek_ocr.exceptions import ConfigurationError, ErrorCode
from airflow_deepseek_ocr.store.database import PATIENCE_S
from airflow_deepseek_ocr.store.engine_options import SUPPORTED
from airflow_deepseek_ocr.store.lists.document_lists import DEFAULT_KEPT, DocumentLists
from airflow_deepseek_ocr.store.names import Names
from airflow_deepseek_ocr.store.results_store import Store

#: Option of Airflow's configuration that keeps tasks from migrating the tables.
AUTO_MIGRATE = "auto_migrate"
#: Option of Airflow's configuration: days for which stored lists of documents are kept.
LIST_DAYS = "document_list_days"
#: Ten years: databases cannot add much longer times to a date.
_LONGEST_KEPT = timedelta(days=3650)


def results_engine(conn_id: str) -> Engine:
    """Return an SQLAlchemy engine of a connection's database; the caller disposes of it.

    :param conn_id: a connection of type postgres, mysql or sqlite.
    :raises ConfigurationError: ``database_connection`` if there is no such connection, or if one of its
        extras cannot hold; ``database_type`` if it is of another type.
    """
    connection = find_connection(conn_id, ErrorCode.DATABASE_CONNECTION)
    hook: Any = BaseHook.get_hook(conn_id)
    engine = make_engine(hook, connection)
    if engine is None or engine.dialect.name not in SUPPORTED:
        raise ConfigurationError(
            ErrorCode.DATABASE_TYPE,
            f"Connection {conn_id!r} is not a database that results can be written to; "
            "use one of type postgres, mysql or sqlite.",
        )
    return engine


def open_store(conn_id: str, patience_s: float = PATIENCE_S, names: Names | None = None) -> Store:
    """Return the store in a connection's database, with its tables in place; the caller closes it.

    :param conn_id: a connection of type postgres, mysql or sqlite.
    :param patience_s: seconds of outage after which a transaction fails.
    :param names: the names of the tables; None takes those of Airflow's configuration.
    :raises ConfigurationError: ``database_connection``, ``database_type``, ``database_schema``.
    :raises DatabaseError: ``database_unavailable``, ``database_newer``, ``database_locked``,
        ``database_rights``; ``database_outdated`` if Airflow's configuration forbids the migration.
    """
    names = names or configured_names()
    store = Store(results_engine(conn_id), patience_s, names)
    try:
        store.ensure_schema(migrate=conf.getboolean(CONFIG_SECTION, AUTO_MIGRATE, fallback=True))
    except BaseException:
        store.close()
        raise
    return store


def document_lists(store: Store) -> DocumentLists:
    """Return the stored lists of documents, which are kept as long as Airflow's configuration says.

    :raises ConfigurationError: ``argument`` if the option is no number of at least 1.
    """
    days = conf.get(CONFIG_SECTION, LIST_DAYS, fallback=None) or DEFAULT_KEPT.days
    try:
        kept = timedelta(days=float(days))
    except (ValueError, OverflowError):
        kept = timedelta(0)
    if not timedelta(days=1) <= kept <= _LONGEST_KEPT:
        raise ConfigurationError(
            ErrorCode.ARGUMENT,
            f"[{CONFIG_SECTION}] {LIST_DAYS} is {str(days)[:200]!r}; it must be a number of days from 1 to "
            f"{_LONGEST_KEPT.days}.",
        )
    return DocumentLists(store.database, kept)
