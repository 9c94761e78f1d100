"""The results database behind an Airflow connection."""

from __future__ import annotations

from typing import Any

from airflow.providers.common.compat.sdk import BaseHook

from airflow_deepseek_ocr.exceptions import ConfigurationError, ErrorCode
from airflow_deepseek_ocr.store.results_store import Store

DEFAULT_DB_CONN_ID = "deepseek_ocr_db"

_CONNECT_TIMEOUT_S = 10
#: Seconds without an answer after which MySQL's drivers give up; longer than a lock is waited for.
_ANSWER_TIMEOUT_S = 90
#: PostgreSQL's driver notices a host that is gone by these (seconds, seconds, number, milliseconds).
_KEEP_ALIVE = {
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 60_000,
}
_SUPPORTED = ("postgresql", "mysql", "mariadb", "sqlite")


def open_store(conn_id: str) -> Store:
    """The store in the database of that connection, with its tables in place.

    Close it after use.

    :param conn_id: a connection of type postgres, mysql or sqlite.
    :raises ConfigurationError: ``database_type`` if the connection is of another type.
    :raises UnavailableError: ``database_unavailable``, ``database_newer``, ``database_locked``.
    """
    hook: Any = BaseHook.get_hook(conn_id)
    try:
        # Values are texts of documents: they do not belong into error messages.
        engine = hook.get_sqlalchemy_engine(
            engine_kwargs={
                "hide_parameters": True,
                "pool_pre_ping": True,
                "connect_args": _connect_args(hook),
            }
        )
    except AttributeError:
        engine = None
    if engine is None or engine.dialect.name not in _SUPPORTED:
        raise ConfigurationError(
            ErrorCode.DATABASE_TYPE,
            f"Connection {conn_id!r} is no database this package can write to; "
            "use one of type postgres, mysql or sqlite.",
        )
    store = Store(engine)
    try:
        store.ensure_schema()
    except BaseException:
        store.close()
        raise
    return store


def _connect_args(hook: Any) -> dict[str, Any]:
    kind = getattr(hook, "conn_type", None)
    if kind == "sqlite":
        return {"timeout": _CONNECT_TIMEOUT_S}
    options: dict[str, Any] = {"connect_timeout": _CONNECT_TIMEOUT_S}
    if kind == "postgres":
        return options | _KEEP_ALIVE
    if kind == "mysql":
        return options | {"read_timeout": _ANSWER_TIMEOUT_S, "write_timeout": _ANSWER_TIMEOUT_S}
    return options
