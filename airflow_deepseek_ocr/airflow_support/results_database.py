"""The results database of an Airflow connection."""

from __future__ import annotations

from typing import Any

from airflow.providers.common.compat.sdk import BaseHook

from airflow_deepseek_ocr.exceptions import ConfigurationError, ErrorCode
from airflow_deepseek_ocr.store.database import PATIENCE_S
from airflow_deepseek_ocr.store.results_store import Store

_CONNECT_TIMEOUT_S = 10
#: Read and write time-out of MySQL's drivers; longer than MySQL's own lock wait time-out of 50 s.
_RESPONSE_TIMEOUT_S = 90
#: libpq's TCP keep-alive options, which detect a dead host within a minute: seconds idle, seconds between
#: probes, number of probes, milliseconds without acknowledgement.
_KEEP_ALIVE = {
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 60_000,
}
_SUPPORTED = ("postgresql", "mysql", "mariadb", "sqlite")


def open_store(conn_id: str, patience_s: float = PATIENCE_S) -> Store:
    """Return the store in a connection's database, with its tables in place; the caller closes it.

    :param conn_id: a connection of type postgres, mysql or sqlite.
    :param patience_s: seconds of outage after which a transaction fails.
    :raises ConfigurationError: ``database_type`` if the connection is of another type.
    :raises DatabaseError: ``database_unavailable``, ``database_newer``, ``database_locked``.
    """
    hook: Any = BaseHook.get_hook(conn_id)
    try:
        # Statement parameters are texts of documents, which must not appear in error messages.
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
            f"Connection {conn_id!r} is not a database that results can be written to; "
            "use one of type postgres, mysql or sqlite.",
        )
    store = Store(engine, patience_s)
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
        return options | {"read_timeout": _RESPONSE_TIMEOUT_S, "write_timeout": _RESPONSE_TIMEOUT_S}
    return options
