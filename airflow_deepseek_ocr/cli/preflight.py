"""The command ``preflight``."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path
from typing import Any

from airflow_deepseek_ocr.cli.settings import connection_settings
from airflow_deepseek_ocr.connection.fields import DTYPES, ENGINES
from airflow_deepseek_ocr.connection.settings import Settings
from airflow_deepseek_ocr.ocr.resolution import DEFAULT_RESOLUTION, RESOLUTIONS


def add_preflight(commands: Any, model: argparse.ArgumentParser) -> None:
    """Add the command ``preflight``."""
    preflight = commands.add_parser(
        "preflight", parents=[model], help="is everything there that reading needs on this host?"
    )
    preflight.add_argument(
        "--model", default=Settings.model, help="directory, hub id or s3:// prefix"
    )
    preflight.add_argument("--engine", default="auto", choices=ENGINES)
    preflight.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    preflight.add_argument("--dtype", default="auto", choices=DTYPES)
    preflight.add_argument("--resolution", default=DEFAULT_RESOLUTION, help=", ".join(RESOLUTIONS))
    preflight.add_argument("--server-python", help="Python of the resident server")
    preflight.add_argument("--vllm-command", help="path of the program vllm")
    preflight.add_argument("--host", help="of a server: a name, http://... or https://...")
    preflight.add_argument("--port", type=int, help="of a server")
    preflight.add_argument("--api-key-file", type=Path, help="what the server wants to hear")
    preflight.set_defaults(run=_preflight)


def _preflight(options: argparse.Namespace) -> int:
    from airflow_deepseek_ocr.engines.supervisor.api_key import read_api_key
    from airflow_deepseek_ocr.preflight.check import Level
    from airflow_deepseek_ocr.preflight.checks import all_checks

    # A line for each request says nothing here.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    secret = read_api_key(options.api_key_file) if options.api_key_file else None
    settings = connection_settings(options, secret)
    failed = False
    for check in all_checks(settings):
        failed |= check.level is Level.FAILURE
        print(f"{check.level:<8} {check.name:<10} {check.message}", flush=True)
    return int(failed)
