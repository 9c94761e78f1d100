"""The command ``pull``: fetch a model into the cache."""

from __future__ import annotations

import argparse
from pathlib import Path

from airflow_deepseek_ocr.cli.settings import connection_settings
from airflow_deepseek_ocr.connection.settings import Settings


def pull(options: argparse.Namespace) -> int:
    """Fetch a model into the cache and print its directory."""
    print(fetch(connection_settings(options)))
    return 0


def fetch(settings: Settings) -> Path:
    """Fetch the model of the settings into the cache."""
    from airflow_deepseek_ocr.model.weights.source import fetch_model

    return fetch_model(settings.model, settings.revision, cache_dir=settings.cache_directory)
