"""The command ``preflight``: check the requirements of this host."""

from __future__ import annotations

import argparse
import logging
from typing import Any

from airflow_deepseek_ocr.cli.api_key import add_api_key, given_api_key
from airflow_deepseek_ocr.cli.output import write
from airflow_deepseek_ocr.cli.settings import add_fields, connection_settings
from airflow_deepseek_ocr.quiet_loggers import quiet_loggers

_RENDERING_LOG = "airflow_deepseek_ocr.ocr.rendering"
_FIELDS = (
    "model",
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
    add_fields(preflight, _FIELDS)
    preflight.add_argument(
        "--host", help="host name or URL (http://, https://, unix:///path/of/socket) of a server"
    )
    preflight.add_argument("--port", type=int, help="port of the server")
    add_api_key(preflight, "file with the server's API key", required=False)
    preflight.set_defaults(run=_preflight)


def _preflight(options: argparse.Namespace) -> int:
    from airflow_deepseek_ocr.preflight.check import Level
    from airflow_deepseek_ocr.preflight.checks import all_checks

    settings = connection_settings(options, given_api_key(options))
    failed = False
    # The checks report what these log: each request, and the state of the sandbox.
    with quiet_loggers("httpx", _RENDERING_LOG, level=logging.ERROR):
        for check in all_checks(settings):
            failed |= check.level is Level.FAILURE
            write(f"{check.level:<8} {check.name:<10} {check.message}")
    return int(failed)
