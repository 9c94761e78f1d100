"""The command line: files, models, servers, checks of a host, and the results database."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from typing import Any

from airflow_deepseek_ocr import __version__
from airflow_deepseek_ocr.cli import output
from airflow_deepseek_ocr.cli.database import add_db
from airflow_deepseek_ocr.cli.export import add_export
from airflow_deepseek_ocr.cli.forget import add_forget
from airflow_deepseek_ocr.cli.models import add_pull
from airflow_deepseek_ocr.cli.preflight import add_preflight
from airflow_deepseek_ocr.cli.read import add_read
from airflow_deepseek_ocr.cli.servers import add_serve, add_servers, add_stop
from airflow_deepseek_ocr.exceptions import DeepSeekOCRError


class _Parser(argparse.ArgumentParser):
    """A parser that does not take help for written if it is not."""

    def _print_message(self, message: str, file: Any = None) -> None:
        if message and file is not None and file is sys.stdout:
            output.write(message, end="")
        else:
            super()._print_message(message, file)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    :param arguments: arguments without the program's name; those of the process if None.
    :return: exit status: 0; 1 if a page, document or check failed, or the command could not run; 130 after
        Ctrl-C; 141 if the reader of standard output ended.
    """
    output.prepare()
    try:
        return _run(sys.argv[1:] if arguments is None else arguments)
    except output.OutputClosedError:
        return output.PIPE_CLOSED
    except DeepSeekOCRError as error:
        output.report(f"error: {error}")
        return 1
    except KeyboardInterrupt:
        output.report("Interrupted.")
        return output.INTERRUPTED


def _run(arguments: Sequence[str]) -> int:
    options = build_parser().parse_args(arguments)
    options.arguments = list(arguments)
    logging.basicConfig(
        level=logging.INFO, stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s"
    )
    return int(options.run(options))


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of all commands; each sets ``run`` to a function of the parsed options."""
    parser = _Parser(prog="airflow-deepseek-ocr", description="Read documents with DeepSeek-OCR.")
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    add_read(commands)
    add_pull(commands)
    add_serve(commands)
    add_servers(commands)
    add_stop(commands)
    add_preflight(commands)
    add_db(commands)
    add_export(commands)
    add_forget(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
