"""Connection settings from command-line options."""

from __future__ import annotations

import argparse
from pathlib import Path

from airflow_deepseek_ocr.connection.settings import Settings


def connection_settings(options: argparse.Namespace, secret: str | None = None) -> Settings:
    """Return the settings that the options give."""
    # The connection's form offers no prompt that takes a text; the command line does.
    extra = {name: value for name, value in vars(options).items() if name != "prompt"}
    if Path(options.model).is_dir():
        extra["model"] = str(Path(options.model).resolve())
    host, port = (getattr(options, name, None) for name in ("host", "port"))
    return Settings.of(extra, secret, host=host, port=port)
