"""Options that name the results database and documents in it, and what they name."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout

from sqlalchemy import Engine, create_engine
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from airflow_deepseek_ocr.exceptions import ConfigurationError, ErrorCode
from airflow_deepseek_ocr.store.browsing.selection import Selection
from airflow_deepseek_ocr.store.database import Database
from airflow_deepseek_ocr.store.engine_options import SUPPORTED, engine_options
from airflow_deepseek_ocr.store.names import Names
from airflow_deepseek_ocr.undecodable import percent_encoded

#: The connection that operators and sensors take by default.
DEFAULT_CONN_ID = "deepseek_ocr_db"
#: Seconds of outage after which a command fails.
_PATIENCE_S = 10.0
#: Read by Airflow's own commands too: with it, connections of Airflow's metadata database are found.
_AIRFLOW_CONTEXT = "_AIRFLOW_PROCESS_CONTEXT"


def add_selection(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that name stored documents."""
    parser.add_argument(
        "uris", nargs="*", metavar="URI", help="a document, as in the column uri of ocr_documents"
    )
    parser.add_argument(
        "--prefix",
        dest="prefixes",
        action="append",
        default=[],
        help="all documents whose URI begins so; may be repeated",
    )
    parser.add_argument("--version", help="only this version (column version)")
    parser.add_argument(
        "--config",
        metavar="KEY",
        help="only rows of this processing configuration (column config_key); alone: of all documents",
    )


def selection_of(options: argparse.Namespace, error_code: ErrorCode) -> Selection:
    """Return the selection of stored documents that these arguments name.

    :param options: with those of :func:`add_selection`.
    :param error_code: the error's code.
    :raises ConfigurationError: with that code, if they name no documents.
    """
    if not (options.uris or any(options.prefixes) or options.config):
        raise ConfigurationError(
            error_code, "Name documents: a URI, --prefix PREFIX or --config KEY."
        )
    return Selection(
        uris=tuple(map(percent_encoded, options.uris)),
        prefixes=tuple(map(percent_encoded, filter(None, options.prefixes))),
        version=options.version,
        config_key=options.config,
    )


def add_database(parser: argparse.ArgumentParser) -> None:
    """Add the options that name the database and the tables in it."""
    database = parser.add_mutually_exclusive_group()
    database.add_argument(
        "--conn-id",
        metavar="ID",
        default=DEFAULT_CONN_ID,
        help=f"Airflow connection to the results database (default: {DEFAULT_CONN_ID})",
    )
    database.add_argument(
        "--url-env",
        metavar="NAME",
        help="environment variable that holds an SQLAlchemy URL of the results database instead",
    )
    parser.add_argument(
        "--db-schema",
        metavar="NAME",
        help="schema of the tables, on MySQL the database (default: [deepseek_ocr] db_schema of Airflow's "
        "configuration, or else the connection's own)",
    )
    parser.add_argument(
        "--db-table-prefix",
        metavar="PREFIX",
        help="beginning of the tables' names (default: [deepseek_ocr] db_table_prefix of Airflow's "
        "configuration, or else none)",
    )


@contextmanager
def opened_database(options: argparse.Namespace) -> Iterator[Database]:
    """Open the database that the options name, and close it at the end.

    :raises ConfigurationError: ``argument``, ``database_connection``, ``database_type``,
        ``database_schema``.
    """
    names = table_names(options)
    engine = _engine_of_url(options.url_env) if options.url_env else _engine_of(options.conn_id)
    database = Database(engine, _PATIENCE_S, names)
    try:
        yield database
    finally:
        database.close()


def table_names(options: argparse.Namespace) -> Names:
    """Return the names of the tables, from the options or else from Airflow's configuration.

    :raises ConfigurationError: ``argument``.
    """
    with airflow_importable():
        from airflow_deepseek_ocr.airflow_support.table_names import configured_names

        return configured_names(options.db_schema, options.db_table_prefix)


@contextmanager
def airflow_importable() -> Iterator[None]:
    """Import Airflow inside: the other commands work without it, which takes seconds."""
    os.environ.setdefault(_AIRFLOW_CONTEXT, "server")
    # Airflow logs to the standard output that it finds when it is imported, where the SQL goes.
    with redirect_stdout(sys.stderr):
        yield


def _engine_of(conn_id: str) -> Engine:
    with airflow_importable():
        from airflow_deepseek_ocr.airflow_support.results_database import results_engine

        return results_engine(conn_id)


def _engine_of_url(variable: str) -> Engine:
    value = os.environ.get(variable)
    if not value:
        raise ConfigurationError(
            ErrorCode.DATABASE_CONNECTION,
            f"The environment variable {variable} is not set; set it to an SQLAlchemy URL such as "
            "postgresql://user:password@host/database.",
        )
    try:
        url = make_url(value)
        if url.get_backend_name() not in SUPPORTED:
            raise ConfigurationError(
                ErrorCode.DATABASE_TYPE,
                f"The URL in {variable} is of type {url.get_backend_name()!r}; results can be written to "
                f"{', '.join(SUPPORTED)}.",
            )
        return create_engine(url, **engine_options(url.get_backend_name()))
    except (ArgumentError, NoSuchModuleError, ValueError):
        # Without the cause: its text may hold the URL and so the password.
        raise ConfigurationError(
            ErrorCode.DATABASE_CONNECTION,
            f"The value of {variable} is no SQLAlchemy URL; use postgresql://user:password@host/database, "
            "with special characters percent-encoded.",
        ) from None
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            ErrorCode.DATABASE_CONNECTION,
            f"The driver {error.name} of the URL in {variable} is not installed here; install it, or name an "
            "installed one, such as postgresql+psycopg2://.",
        ) from None
