"""The command ``pull``: fetch a model into the cache."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from airflow_deepseek_ocr.cli.output import write_path
from airflow_deepseek_ocr.cli.settings import add_fields, connection_settings
from airflow_deepseek_ocr.connection.settings import Settings


def add_pull(commands: Any) -> None:
    """Add the command ``pull``."""
    pull = commands.add_parser("pull", help="fetch a model into the cache and print its directory")
    pull.add_argument("model", metavar="MODEL", help="hub id or s3:// prefix")
    add_fields(pull, ("revision", "cache_dir"))
    pull.set_defaults(run=_pull)


def fetch(settings: Settings) -> Path:
    """Return the model's directory; fetch the model into the cache if it is missing.

    :raises ConfigurationError: ``model_name``, ``model_revision``.
    :raises UnavailableError: ``model_missing``, ``model_incomplete``, ``model_unavailable``.
    """
    from airflow_deepseek_ocr.model.weights.source import fetch_model

    return fetch_model(settings.model, settings.revision, cache_dir=settings.cache_directory)


def _pull(options: argparse.Namespace) -> int:
    write_path(fetch(connection_settings(options)))
    return 0
