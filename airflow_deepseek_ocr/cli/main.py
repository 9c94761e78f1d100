"""The command line: files, models, servers, checks of a host, and the results database."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence

from airflow_deepseek_ocr import __version__
from airflow_deepseek_ocr.cli.database import add_db
from airflow_deepseek_ocr.cli.forget import add_forget
from airflow_deepseek_ocr.cli.models import add_pull
from airflow_deepseek_ocr.cli.preflight import add_preflight
from airflow_deepseek_ocr.cli.read import add_read
from airflow_deepseek_ocr.cli.servers import add_serve, add_servers, add_stop
from airflow_deepseek_ocr.exceptions import DeepSeekOCRError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    :param arguments: arguments without the program's name; those of the process if None.
    :return: exit status: 0; 1 if a page, document or check failed, or the command could not run.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    options = build_parser().parse_args(arguments)
    options.arguments = list(arguments)
    logging.basicConfig(
        level=logging.INFO, stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s"
    )
    try:
        return int(options.run(options))
    except DeepSeekOCRError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of all commands; each sets ``run`` to a function of the parsed options."""
    parser = argparse.ArgumentParser(
        prog="airflow-deepseek-ocr", description="Read documents with DeepSeek-OCR."
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    add_read(commands)
    add_pull(commands)
    add_serve(commands)
    add_servers(commands)
    add_stop(commands)
    add_preflight(commands)
    add_db(commands)
    add_forget(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
