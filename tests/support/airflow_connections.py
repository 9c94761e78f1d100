"""Airflow connections from environment variables, for tests without a server."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import airflow
import pytest
from packaging.version import Version

#: Airflow 3.1 loads no connection whose extra is JSON but no object; later versions leave that to the hook.
LOADS_ANY_JSON = Version(airflow.__version__) >= Version("3.2")


def define(monkeypatch: pytest.MonkeyPatch, conn_id: str, **connection: Any) -> None:
    """Define a connection for the time of a test."""
    monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps(connection))


def define_model(monkeypatch: pytest.MonkeyPatch, conn_id: str, **extra: Any) -> None:
    """Define a connection of type ``deepseek_ocr``."""
    define(monkeypatch, conn_id, conn_type="deepseek_ocr", extra=extra)


def define_sqlite(monkeypatch: pytest.MonkeyPatch, conn_id: str, path: Path) -> None:
    """Define a connection to a SQLite database."""
    define(monkeypatch, conn_id, conn_type="sqlite", host=str(path))
