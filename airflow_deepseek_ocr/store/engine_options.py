"""Options of SQLAlchemy engines of the results database: time-outs, and errors without values."""

from __future__ import annotations

from typing import Any

#: Names of SQLAlchemy's dialects that the tables are made for.
SUPPORTED = ("postgresql", "mysql", "mariadb", "sqlite")

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


def engine_options(dialect: str | None) -> dict[str, Any]:
    """Return keyword arguments of ``create_engine``.

    :param dialect: its name; the time-outs are those of libpq's, mysqlclient's, PyMySQL's and SQLite's
        drivers. None, or another name, sets the connect time-out only.
    """
    return {
        # Statement parameters are texts of documents, which must not appear in error messages.
        "hide_parameters": True,
        "pool_pre_ping": True,
        "connect_args": _connect_args(dialect),
    }


def _connect_args(dialect: str | None) -> dict[str, Any]:
    if dialect == "sqlite":
        return {"timeout": _CONNECT_TIMEOUT_S}
    options: dict[str, Any] = {"connect_timeout": _CONNECT_TIMEOUT_S}
    if dialect == "postgresql":
        return options | _KEEP_ALIVE
    if dialect in ("mysql", "mariadb"):
        return options | {"read_timeout": _RESPONSE_TIMEOUT_S, "write_timeout": _RESPONSE_TIMEOUT_S}
    return options
