"""The results database of an Airflow connection."""

from __future__ import annotations

from typing import Any

from airflow.providers.common.compat.sdk import AirflowNotFoundException, BaseHook, conf
from sqlalchemy import Engine

from airflow_deepseek_ocr.airflow_support.database_extras import make_engine
from airflow_deepseek_ocr.exceptions import ConfigurationError, ErrorCode
from airflow_deepseek_ocr.store.database import PATIENCE_S
from airflow_deepseek_ocr.store.engine_options import SUPPORTED
from airflow_deepseek_ocr.store.results_store import Store

#: Section and option of Airflow's configuration that keeps tasks from migrating the tables.
CONFIG_SECTION, AUTO_MIGRATE = "deepseek_ocr", "auto_migrate"


def results_engine(conn_id: str) -> Engine:
    """Return an SQLAlchemy engine of a connection's database; the caller disposes of it.

    :param conn_id: a connection of type postgres, mysql or sqlite.
    :raises ConfigurationError: ``database_connection`` if there is no such connection, or if one of its
        extras cannot hold; ``database_type`` if it is of another type.
    """
    try:
        connection = BaseHook.get_connection(conn_id)
    except AirflowNotFoundException as error:
        raise ConfigurationError(
            ErrorCode.DATABASE_CONNECTION,
            f"{error}. Create it in Airflow, or name another connection.",
        ) from None
    hook: Any = BaseHook.get_hook(conn_id)
    engine = make_engine(hook, connection)
    if engine is None or engine.dialect.name not in SUPPORTED:
        raise ConfigurationError(
            ErrorCode.DATABASE_TYPE,
            f"Connection {conn_id!r} is not a database that results can be written to; "
            "use one of type postgres, mysql or sqlite.",
        )
    return engine


def open_store(conn_id: str, patience_s: float = PATIENCE_S) -> Store:
    """Return the store in a connection's database, with its tables in place; the caller closes it.

    :param conn_id: a connection of type postgres, mysql or sqlite.
    :param patience_s: seconds of outage after which a transaction fails.
    :raises ConfigurationError: ``database_connection``, ``database_type``.
    :raises DatabaseError: ``database_unavailable``, ``database_newer``, ``database_locked``,
        ``database_rights``; ``database_outdated`` if Airflow's configuration forbids the migration.
    """
    store = Store(results_engine(conn_id), patience_s)
    try:
        store.ensure_schema(migrate=conf.getboolean(CONFIG_SECTION, AUTO_MIGRATE, fallback=True))
    except BaseException:
        store.close()
        raise
    return store
