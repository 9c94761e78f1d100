"""The command ``preflight``: check the requirements of this host."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow_deepseek_ocr.cli.api_key import add_api_key, given_api_key
from airflow_deepseek_ocr.cli.output import write
from airflow_deepseek_ocr.cli.settings import add_fields, connection_settings
from airflow_deepseek_ocr.exceptions import ConfigurationError, ErrorCode
from airflow_deepseek_ocr.quiet_loggers import quiet_loggers

if TYPE_CHECKING:
    from airflow_deepseek_ocr.connection.settings import Settings

_RENDERING_LOG = "airflow_deepseek_ocr.ocr.rendering"
_FIELDS = (
    "model",
    "model_family",
    "revision",
    "cache_dir",
    "engine",
    "device",
    "dtype",
    "resolution",
    "sandbox",
    "server_python",
    "vllm_command",
    "ca_certificates",
)


def add_preflight(commands: Any) -> None:
    """Add the command ``preflight``."""
    preflight = commands.add_parser(
        "preflight", help="check the requirements of this host, and name remedies"
    )
    preflight.add_argument(
        "--conn-id",
        metavar="ID",
        help="Airflow connection of type deepseek_ocr, read as tasks read it; instead of all other arguments",
    )
    add_fields(preflight, _FIELDS)
    preflight.add_argument(
        "--host", help="host name or URL (http://, https://, unix:///path/of/socket) of a server"
    )
    preflight.add_argument("--port", type=int, help="port of the server")
    add_api_key(preflight, "file with the server's API key", required=False)
    preflight.set_defaults(run=_preflight, parser_default=preflight.get_default)


def _preflight(options: argparse.Namespace) -> int:
    from airflow_deepseek_ocr.preflight.check import Level
    from airflow_deepseek_ocr.preflight.checks import all_checks

    s3_client = None
    if options.conn_id is None:
        settings = connection_settings(options, given_api_key(options))
    else:
        settings, s3_client = _connection(options)
    failed = False
    # The checks report what these log: each request, and the state of the sandbox.
    with quiet_loggers("httpx", _RENDERING_LOG, level=logging.ERROR):
        for check in all_checks(settings, s3_client):
            failed |= check.level is Level.FAILURE
            write(f"{check.level:<8} {check.name:<10} {check.message}")
    return int(failed)


def _connection(options: argparse.Namespace) -> tuple[Settings, Callable[[], Any] | None]:
    """Return the settings of Airflow's connection, and the S3 client of a mirror that it names.

    :raises ConfigurationError: ``argument`` if there are other arguments too; ``connection``.
    """
    others = [
        f"--{name.replace('_', '-')}"
        for name in (*_FIELDS, "host", "port", "api_key_file", "api_key_env")
        if getattr(options, name) != options.parser_default(name)
    ]
    if others:
        raise ConfigurationError(
            ErrorCode.ARGUMENT,
            f"{', '.join(others)} and --conn-id exclude each other: the connection has these settings. "
            "Leave them out, or leave --conn-id out.",
        )
    # Imported here: the other commands work without Airflow and a database.
    from airflow_deepseek_ocr.cli.results_database import airflow_importable

    with airflow_importable():
        from airflow_deepseek_ocr.airflow_support.connections import load_settings, s3_client

        settings = load_settings(options.conn_id)
    mirror = settings.aws_conn_id
    return settings, partial(s3_client, mirror) if mirror else None
