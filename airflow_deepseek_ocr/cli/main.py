"""The command line: read files without Airflow, fill the model cache, and run servers."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from airflow_deepseek_ocr import __version__
from airflow_deepseek_ocr.cli import models as models_command
from airflow_deepseek_ocr.cli import read as read_command
from airflow_deepseek_ocr.cli.preflight import add_preflight
from airflow_deepseek_ocr.cli.servers import add_serve, add_servers
from airflow_deepseek_ocr.connection.fields import DTYPES
from airflow_deepseek_ocr.connection.settings import Settings
from airflow_deepseek_ocr.exceptions import DeepSeekOCRError
from airflow_deepseek_ocr.ocr.documents.limits import DEFAULT_DPI
from airflow_deepseek_ocr.ocr.prompts import DEFAULT_PROMPT, PROMPTS
from airflow_deepseek_ocr.ocr.recognition.retry_strategy import (
    AUTO,
    DEFAULT_RETRY_WITH,
    TextLayerUse,
)
from airflow_deepseek_ocr.ocr.resolution import DEFAULT_RESOLUTION, RESOLUTIONS


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    :param arguments: without the program's name; from the process if None.
    :return: 0; 1 if a page or document failed, or the command could not run.
    """
    options = _parser().parse_args(arguments)
    logging.basicConfig(
        level=logging.INFO, stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s"
    )
    try:
        return int(options.run(options))
    except DeepSeekOCRError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="airflow-deepseek-ocr", description="Read documents with DeepSeek-OCR."
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    model = argparse.ArgumentParser(add_help=False)
    model.add_argument("--revision", default="", help="commit of a hub model")
    model.add_argument("--cache-dir", type=Path, help="where fetched models are kept")

    read = commands.add_parser("read", parents=[model], help="read files and print their text")
    read.add_argument("files", nargs="+", type=Path, metavar="FILE", help="PDF or image")
    read.add_argument("--model", default=Settings.model, help="directory, hub id or s3:// prefix")
    read.add_argument(
        "--prompt", default=DEFAULT_PROMPT, help=f"{', '.join(PROMPTS)} (locate:TEXT)"
    )
    read.add_argument(
        "--resolution", default=DEFAULT_RESOLUTION, help=", ".join((*RESOLUTIONS, AUTO))
    )
    read.add_argument(
        "--retry-with",
        default=DEFAULT_RETRY_WITH,
        help="how a page is read again whose text is found degenerate: guard, halves, quarters, "
        "modes, text_layer, with commas between; or none",
    )
    read.add_argument(
        "--text-layer",
        default=TextLayerUse.COMPARE.value,
        choices=[use.value for use in TextLayerUse],
        help="what the own text of PDF pages is used for",
    )
    read.add_argument("--pages", help="such as 1-3,10-; all by default")
    read.add_argument("--dpi", type=int, default=DEFAULT_DPI, help="for rendering PDF pages")
    read.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    read.add_argument("--dtype", default="auto", choices=DTYPES)
    read.add_argument("--batch-size", type=int, help="pages read together")
    read.add_argument("--max-output-length", type=int, help="tokens a page may take")
    read.add_argument("--json", action="store_true", help="print one JSON object a page")
    read.set_defaults(run=read_command.read)

    pull = commands.add_parser("pull", parents=[model], help="fetch a model into the cache")
    pull.add_argument("model", metavar="MODEL", help="hub id or s3:// prefix")
    pull.set_defaults(run=models_command.pull)
    add_serve(commands, model)
    add_servers(commands)
    add_preflight(commands, model)
    return parser


if __name__ == "__main__":
    sys.exit(main())
