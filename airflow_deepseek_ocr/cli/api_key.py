"""Command-line options that name the source of an API key: a file or an environment variable."""

from __future__ import annotations

import argparse
from pathlib import Path

from airflow_deepseek_ocr.engines.protocol.api_key import read_api_key, take_api_key


def add_api_key(parser: argparse.ArgumentParser, file_help: str, *, required: bool) -> None:
    """Add the options ``--api-key-file`` and ``--api-key-env``, of which one may be given.

    :param parser: parser of a command.
    :param file_help: help of the first one.
    :param required: whether one of them must be given.
    """
    source = parser.add_mutually_exclusive_group(required=required)
    source.add_argument("--api-key-file", type=Path, metavar="FILE", help=file_help)
    source.add_argument(
        "--api-key-env",
        metavar="NAME",
        help="environment variable with the key instead; removed from the process's environment when it has "
        "been read",
    )


def given_api_key(options: argparse.Namespace) -> str | None:
    """Return the API key that the options name; None if they name none.

    :param options: parsed options of :func:`add_api_key`.
    :raises ConfigurationError: ``server_api_key`` if the key or its file cannot be used.
    :raises UnavailableError: ``server_api_key`` if the file cannot be read.
    """
    if options.api_key_env:
        return take_api_key(options.api_key_env)
    return read_api_key(options.api_key_file) if options.api_key_file else None
