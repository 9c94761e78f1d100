"""Command-line options for the connection's fields, and their conversion to settings."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path

from airflow_deepseek_ocr.connection.fields import FIELDS
from airflow_deepseek_ocr.connection.settings import Settings


def add_fields(parser: argparse.ArgumentParser, names: Iterable[str]) -> None:
    """Add an option for each connection field, with the field's default, choices and description.

    :param parser: parser of a command.
    :param names: names of fields.
    """
    fields = {each.name: each for each in FIELDS}
    for name in names:
        each = fields[name]
        default = "" if each.default is None else f" (default: {each.default})"
        parser.add_argument(
            f"--{name.replace('_', '-')}",
            type=int if each.type == "integer" else str,
            default=each.default,
            choices=each.enum or None,
            help=f"{each.description}{default}".replace("%", "%%"),
        )


def connection_settings(options: argparse.Namespace, api_key: str | None = None) -> Settings:
    """Return the settings that the options give; absent options take the fields' defaults.

    :param options: parsed options, named after the connection's fields.
    :param api_key: API key of the server at ``--host``.
    :raises ConfigurationError: ``connection`` if an option has an invalid value.
    """
    # The form offers no prompt with a text (locate:TEXT); the command line does, through OcrOptions.
    extra = {name: value for name, value in vars(options).items() if name != "prompt"}
    if "model" in extra and Path(extra["model"]).is_dir():
        extra["model"] = str(Path(extra["model"]).resolve())
    host, port = (getattr(options, name, None) for name in ("host", "port"))
    return Settings.of(extra, api_key, host=host, port=port)
