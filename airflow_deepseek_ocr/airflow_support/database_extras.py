"""Engines that keep the extras of an Airflow connection, as Airflow's own hook does."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from sqlalchemy import URL, Engine, create_engine, event, make_url

from airflow_deepseek_ocr.exceptions import ConfigurationError, ErrorCode
from airflow_deepseek_ocr.store.engine_options import engine_options

#: Extras of PostgresHook that are no parameters of libpq. Newer versions of the provider name their own.
_NO_LIBPQ = frozenset(
    (
        "iam",
        "redshift",
        "redshift-serverless",
        "cluster-identifier",
        "workgroup-name",
        "aws_conn_id",
        "azure_conn_id",
        "sqlalchemy_scheme",
        "sqlalchemy_query",
    )
)
#: Extras of DbApiHook that change the statements that it writes, not its connections.
_STATEMENTS = frozenset(
    (
        "placeholder",
        "insert_statement_format",
        "replace_statement_format",
        "escape_word_format",
        "escape_column_names",
    )
)
#: Extras of MySqlHook that are no parameters of a driver. Texts are always utf8mb4.
_NO_MYSQL = frozenset(("client", "iam", "aws_conn_id", "charset"))
#: Values of ssl_mode (MySQL 8.4, ssl-mode), and whether each asks for TLS.
_SSL_MODES = {
    "DISABLED": False,
    "PREFERRED": False,
    "REQUIRED": True,
    "VERIFY_CA": True,
    "VERIFY_IDENTITY": True,
}
#: Drivers that take libpq's parameters.
_LIBPQ_DRIVERS = ("psycopg2", "psycopg")


def make_engine(hook: Any, connection: Any) -> Engine | None:
    """Return an SQLAlchemy engine whose connections have the connection's extras.

    :param hook: Airflow's hook of the connection.
    :param connection: the Airflow connection.
    :return: None if the hook is not one of SQL.
    :raises ConfigurationError: ``database_connection`` if an extra cannot hold. A driver may refuse one when
        it connects, which raises the same.
    """
    given = connection.extra_dejson
    if not isinstance(given, dict):
        raise _refused(connection, "its extra is JSON, but no object")
    extras = {
        name: value
        for name, value in given.items()
        if name not in _STATEMENTS and value is not None
    }
    make = {"postgres": _postgres, "mysql": _mysql, "sqlite": _sqlite}.get(
        getattr(hook, "conn_type", "")
    )
    if make is None:
        return None
    if extras.pop("cursor", None):
        raise _refused(
            connection, "extra 'cursor' changes the form of rows, which results need as they are"
        )
    engine = make(hook, connection, extras)
    _connect_as_hook(engine, hook, connection)
    return engine


def _postgres(hook: Any, connection: Any, extras: Mapping[str, Any]) -> Engine:
    other = _NO_LIBPQ | getattr(hook, "ignored_extra_options", frozenset())
    given = {name: value for name, value in extras.items() if name not in other}
    options = engine_options("postgresql")
    options["connect_args"] |= given
    scheme = extras.get("sqlalchemy_scheme")
    try:
        engine: Engine = hook.get_sqlalchemy_engine(engine_kwargs=options)
    except (ValueError, TypeError, ImportError) as error:
        raise _refused(connection, f"its extras make no SQLAlchemy engine ({error})") from None
    if engine.dialect.driver not in _LIBPQ_DRIVERS:
        raise _refused(
            connection,
            f"extra 'sqlalchemy_scheme' ({scheme}) names a driver that does not take libpq's parameters, "
            "such as sslmode; use postgresql+psycopg2 or postgresql+psycopg",
        )
    return engine


def _mysql(hook: Any, connection: Any, extras: Mapping[str, Any]) -> Engine:
    url = make_url(hook.get_uri()).set(query={})
    given = {name: value for name, value in extras.items() if name not in _NO_MYSQL}
    tls = _tls(connection, given.pop("ssl", None))
    for name, value in given.items():
        _require_plain(connection, name, value)
    # SQLAlchemy converts numbers and booleans that came as text, and ssl_ca and the like.
    kind: Any = url.get_dialect()
    dialect = kind(dbapi=kind.import_dbapi())
    query = {"charset": "utf8mb4"} | {name: str(value) for name, value in given.items()}
    try:
        _, arguments = dialect.create_connect_args(url.update_query_dict(query))
    except ValueError as error:
        raise _refused(connection, f"an extra has a wrong value ({error})") from None
    options = engine_options("mysql")
    options["connect_args"] |= arguments
    if tls is not None:
        options["connect_args"]["ssl"] = tls
    # The URL of error messages has no extras: one may be a secret.
    engine = create_engine(url, **options)
    if _asks_for_tls(connection, extras):
        _require_tls(engine, connection)
    return engine


def _asks_for_tls(connection: Any, extras: Mapping[str, Any]) -> bool:
    mode = extras.get("ssl_mode")
    if mode:
        if str(mode).upper() not in _SSL_MODES:
            raise _refused(connection, f"extra 'ssl_mode' is none of {', '.join(_SSL_MODES)}")
        return _SSL_MODES[str(mode).upper()]
    return any(
        value and (name == "ssl" or name.startswith("ssl_"))
        for name, value in extras.items()
        if name != "ssl_disabled"
    )


def _require_tls(engine: Engine, connection: Any) -> None:
    """Refuse connections in clear text: PyMySQL and MariaDB's library accept one whatever was asked."""

    @event.listens_for(engine, "connect")
    def connect(opened, _record) -> None:  # type: ignore[no-untyped-def]
        cursor = opened.cursor()
        try:
            cursor.execute("SHOW SESSION STATUS LIKE 'Ssl_cipher'")
            row = cursor.fetchone()
        finally:
            cursor.close()
        if not (row and row[1]):
            opened.close()
            raise _refused(
                connection,
                "its extras ask for TLS, and the server offered a connection in clear text only. Turn on "
                "TLS there",
            )


def _tls(connection: Any, value: Any) -> Any:
    """Return the extra ``ssl`` as the hook does: an object, or its JSON, as URIs have it."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        raise _refused(connection, 'extra \'ssl\' is not JSON, such as {"ca": "/path"}') from None


def _sqlite(hook: Any, connection: Any, extras: Mapping[str, Any]) -> Engine:
    url = make_url(hook.get_uri()).set(query={})
    if extras:
        for name, value in extras.items():
            _require_plain(connection, name, value)
        query = {name: str(value) for name, value in extras.items()} | {"uri": "true"}
        # SQLite takes mode, cache, immutable and the like in a file's URI only.
        url = URL.create("sqlite", database=f"file:{quote(url.database or '')}", query=query)
    return create_engine(url, **engine_options("sqlite"))


def _require_plain(connection: Any, name: str, value: Any) -> None:
    if not isinstance(value, str | int | float):
        raise _refused(connection, f"extra {name!r} is neither text nor a number")


def _connect_as_hook(engine: Engine, hook: Any, connection: Any) -> None:
    """Ask for a new token for each connection, since one expires, and name extras that drivers refuse."""
    by_token = bool(connection.extra_dejson.get("iam"))
    # libpq's drivers report an unknown parameter as a programming error, the others as one of Python.
    wrong = (TypeError, AttributeError, ValueError, engine.dialect.loaded_dbapi.ProgrammingError)

    @event.listens_for(engine, "do_connect")
    def connect(dialect, _record, arguments, parameters):  # type: ignore[no-untyped-def]
        if by_token:
            parameters |= _token(hook, connection)
        try:
            return dialect.connect(*arguments, **parameters)
        except wrong as error:
            if engine.dialect.name in ("mysql", "mariadb") and not isinstance(error, wrong[:3]):
                raise  # A missing database, for example, is no fault of the extras.
            raise _refused(connection, f"the driver refuses an extra ({error})") from None


def _token(hook: Any, connection: Any) -> dict[str, Any]:
    """Return the login that the hook gets from a cloud's IAM."""
    if hook.conn_type == "postgres":
        login, password, port = hook.get_iam_token(connection)
        return {"user": login, "password": password, "port": port}
    password, port = hook.get_iam_token(connection)
    # MySQL's clients send a token in clear text, inside TLS, only if the option file's group says so.
    return {
        "password": password,
        "port": int(port),
        "read_default_group": "enable-cleartext-plugin",
    }


def _refused(connection: Any, reason: str) -> ConfigurationError:
    return ConfigurationError(
        ErrorCode.DATABASE_CONNECTION,
        f"Connection {connection.conn_id!r}: {reason}. Correct or remove it, or make a connection for "
        "the results alone.",
    )
