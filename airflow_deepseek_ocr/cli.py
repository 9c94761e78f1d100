"""The command line: read files without Airflow, fill the model cache, and run servers."""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from airflow_deepseek_ocr import __version__
from airflow_deepseek_ocr.connection import DTYPES, ENGINES, Settings
from airflow_deepseek_ocr.errors import ConfigurationError, DeepSeekOCRError, MissingExtraError
from airflow_deepseek_ocr.ocr.decoding import Decoding
from airflow_deepseek_ocr.ocr.documents import DEFAULT_DPI, Limits, Page
from airflow_deepseek_ocr.ocr.drawing import Drawer
from airflow_deepseek_ocr.ocr.engine import Engine, Progress
from airflow_deepseek_ocr.ocr.exports.page_json import page_to_dict
from airflow_deepseek_ocr.ocr.ladder import (
    AUTO,
    DEFAULT_REREAD,
    LayerUse,
    parse_ladder,
    parse_layer_use,
)
from airflow_deepseek_ocr.ocr.page_selection import PageSelection
from airflow_deepseek_ocr.ocr.prompts import DEFAULT_PROMPT, PROMPTS
from airflow_deepseek_ocr.ocr.reader import Reader, failed_page
from airflow_deepseek_ocr.ocr.resolution import DEFAULT_RESOLUTION, RESOLUTIONS
from airflow_deepseek_ocr.ocr.results import PageResult, PageStatus


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
    read.add_argument("--model", default=Settings.model, help="folder, hub id or s3:// prefix")
    read.add_argument(
        "--prompt", default=DEFAULT_PROMPT, help=f"{', '.join(PROMPTS)} (locate:TEXT)"
    )
    read.add_argument(
        "--resolution", default=DEFAULT_RESOLUTION, help=", ".join((*RESOLUTIONS, AUTO))
    )
    read.add_argument(
        "--reread",
        default=DEFAULT_REREAD,
        help="how a page is read again whose text is found degenerate: guard, halves, quarters, "
        "modes, text_layer, with commas between; or none",
    )
    read.add_argument(
        "--text-layer",
        default=LayerUse.COMPARE.value,
        choices=[use.value for use in LayerUse],
        help="what the own text of PDF pages is used for",
    )
    read.add_argument("--pages", help="such as 1-3,10-; all by default")
    read.add_argument("--dpi", type=int, default=DEFAULT_DPI, help="for rendering PDF pages")
    read.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    read.add_argument("--dtype", default="auto", choices=DTYPES)
    read.add_argument("--batch-size", type=int, help="pages read together")
    read.add_argument("--max-output-length", type=int, help="tokens a page may take")
    read.add_argument("--json", action="store_true", help="print one JSON object a page")
    read.set_defaults(run=_read)

    pull = commands.add_parser("pull", parents=[model], help="fetch a model into the cache")
    pull.add_argument("model", metavar="MODEL", help="hub id or s3:// prefix")
    pull.set_defaults(run=_pull)
    _add_serve(commands, model)
    _add_servers(commands)
    _add_preflight(commands, model)
    return parser


def _add_serve(commands: Any, model: argparse.ArgumentParser) -> None:
    serve = commands.add_parser(
        "serve", parents=[model], help="serve the model on this host, to OpenAI-compatible clients"
    )
    serve.add_argument("model", metavar="MODEL", help="folder, hub id or s3:// prefix")
    serve.add_argument("--name", help="what clients call the model; MODEL by default")
    where = serve.add_mutually_exclusive_group()
    where.add_argument("--port", type=int, default=8808, help="on the loopback; 0 takes a free one")
    where.add_argument("--socket", type=Path, help="path of a Unix socket instead")
    serve.add_argument(
        "--secret-file",
        type=Path,
        required=True,
        help="what clients must send as bearer token; made, readable by you alone, if there is none",
    )
    serve.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    serve.add_argument("--dtype", default="auto", choices=DTYPES)
    serve.add_argument("--batch-size", type=int, help="most pages read at once")
    serve.add_argument(
        "--max-pending-tokens",
        type=int,
        help="tokens of image, prompt and text, as estimated, of the pages accepted at once; the next "
        "get 429",
    )
    serve.add_argument(
        "--max-body-mb", type=int, default=128, help="largest request or page, in MiB"
    )
    serve.add_argument("--idle-seconds", type=float, help="leave when nobody asks for so long")
    serve.add_argument(
        "--ignore-end",
        action="store_true",
        help="pages have as many tokens as asked for, whatever the model writes: for benchmarks",
    )
    serve.add_argument("--record", type=Path, help=argparse.SUPPRESS)
    serve.set_defaults(run=_serve)


def _add_servers(commands: Any) -> None:
    servers = commands.add_parser(
        "servers", help="list the servers that tasks started on this host"
    )
    servers.set_defaults(run=_servers)
    stop = commands.add_parser("stop", help="stop servers that tasks started on this host")
    stop.add_argument("keys", nargs="*", metavar="KEY", help="as listed by: servers")
    stop.add_argument("--all", action="store_true", help="stop all of them")
    stop.set_defaults(run=_stop)


def _add_preflight(commands: Any, model: argparse.ArgumentParser) -> None:
    preflight = commands.add_parser(
        "preflight", parents=[model], help="is everything there that reading needs on this host?"
    )
    preflight.add_argument("--model", default=Settings.model, help="folder, hub id or s3:// prefix")
    preflight.add_argument("--engine", default="auto", choices=ENGINES)
    preflight.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    preflight.add_argument("--dtype", default="auto", choices=DTYPES)
    preflight.add_argument("--resolution", default=DEFAULT_RESOLUTION, help=", ".join(RESOLUTIONS))
    preflight.add_argument("--server-python", help="Python of the resident server")
    preflight.add_argument("--vllm-command", help="path of the program vllm")
    preflight.add_argument("--host", help="of a server: a name, http://... or https://...")
    preflight.add_argument("--port", type=int, help="of a server")
    preflight.add_argument("--secret-file", type=Path, help="what the server wants to hear")
    preflight.set_defaults(run=_preflight)


def _settings(options: argparse.Namespace, secret: str | None = None) -> Settings:
    # The connection's form offers no prompt that takes a text; the command line does.
    extra = {name: value for name, value in vars(options).items() if name != "prompt"}
    if Path(options.model).is_dir():
        extra["model"] = str(Path(options.model).resolve())
    host, port = (getattr(options, name, None) for name in ("host", "port"))
    return Settings.of(extra, secret, host=host, port=port)


def _pull(options: argparse.Namespace) -> int:
    print(_fetch(_settings(options)))
    return 0


def _fetch(settings: Settings) -> Path:
    from airflow_deepseek_ocr.model.source import fetch_model

    return fetch_model(settings.model, settings.revision, cache_dir=settings.cache_folder)


def _serve(options: argparse.Namespace) -> int:
    from airflow_deepseek_ocr.engines.page_files import page_folder
    from airflow_deepseek_ocr.engines.records import note_end
    from airflow_deepseek_ocr.engines.secret import create_secret, read_secret

    with note_end(options.record):
        settings = _settings(options)
        folder = _fetch(settings)
        try:
            from airflow_deepseek_ocr.engines.serve.run import Listen, run
            from airflow_deepseek_ocr.engines.serve.service import Model, Service
        except ImportError as error:
            raise MissingExtraError(error.name or "fastapi", "transformers") from error
        path = options.secret_file
        secret = read_secret(path) if path.exists() else create_secret(path)
        model = Model(
            folder=folder,
            name=options.name or options.model,
            revision=settings.revision,
            device=settings.device,
            dtype=settings.dtype,
            batch_size=settings.batch_size,
            decoding=Decoding(forced=options.ignore_end),
        )
        run(
            lambda on_end: Service(
                model,
                max_pending_tokens=options.max_pending_tokens,
                max_body_bytes=options.max_body_mb << 20,
                page_folder=page_folder(options.socket) if options.socket else None,
                on_end=on_end,
            ),
            secret=secret,
            listen=Listen(options.socket, options.port),
            idle_s=options.idle_seconds,
        )
    return 0


def _servers(_: argparse.Namespace) -> int:
    from airflow_deepseek_ocr.engines.records import all_records, servers_folder

    for record in all_records(servers_folder()):
        state = f"process {record.pid}" if record.process() else "ended by itself"
        print(f"{record.key}  {record.kind}  {record.version}  {state}  {record.description}")
    return 0


def _stop(options: argparse.Namespace) -> int:
    from airflow_deepseek_ocr.engines.keeper import stop_server
    from airflow_deepseek_ocr.engines.records import all_records, servers_folder

    folder = servers_folder()
    records = {record.key: record for record in all_records(folder)}
    unknown = [key for key in options.keys if key not in records]
    if unknown or not (options.keys or options.all):
        raise ConfigurationError(
            "server_key",
            (f"No server {unknown[0]!r}." if unknown else "Name a KEY, or give --all.")
            + " The servers there are: airflow-deepseek-ocr servers",
        )
    for key in records if options.all else options.keys:
        stop_server(records[key], folder)
        print(f"stopped {key}")
    return 0


def _preflight(options: argparse.Namespace) -> int:
    from airflow_deepseek_ocr.engines.preflight import Level, all_checks
    from airflow_deepseek_ocr.engines.secret import read_secret

    # A line for each request says nothing here.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    secret = read_secret(options.secret_file) if options.secret_file else None
    settings = _settings(options, secret)
    failed = False
    for check in all_checks(settings):
        failed |= check.level is Level.FAILURE
        print(f"{check.level:<8} {check.name:<10} {check.message}", flush=True)
    return int(failed)


def _read(options: argparse.Namespace) -> int:
    from airflow_deepseek_ocr.engines.local import LocalEngineKey, get_local_engine

    settings = _settings(options)
    recipe = settings.recipe(prompt=options.prompt, pages=options.pages, dpi=options.dpi)

    def engine() -> Engine:
        return get_local_engine(
            LocalEngineKey(
                folder=_fetch(settings),
                device=settings.device,
                dtype=settings.dtype,
                batch_size=settings.batch_size,
                decoding=settings.decoding,
            )
        )

    output = _Output(sys.stdout, as_json=options.json)
    reader = Reader(
        engine,
        recipe.prompt,
        recipe.resolution,
        steps=parse_ladder(recipe.reread),
        layer_use=parse_layer_use(recipe.text_layer),
    )
    pages = _pages(options.files, recipe.pages, recipe.dpi, recipe.resolution, output)
    for file, page in reader.read(pages, _show_progress):
        output.page(file, page)
    return 1 if output.failures else 0


def _pages(
    files: Sequence[Path], pages: str, dpi: int, resolution: str, output: _Output
) -> Iterator[tuple[Path, Page]]:
    selection = PageSelection.parse(pages)
    with Drawer(Limits()) as drawer:
        for file in files:
            try:
                # Opened here too, for the system's own words about a path that is wrong.
                with file.open("rb"), drawer.open(file, selection=selection, dpi=dpi) as document:
                    for number in document.page_numbers:
                        try:
                            page = document.page(number)
                        except DeepSeekOCRError as error:
                            output.page(file, failed_page(number, resolution, error))
                        else:
                            yield file, page
            except DeepSeekOCRError as error:
                output.document_failed(file, error.code, str(error))
            except OSError as error:
                output.document_failed(file, "missing_file", f"{error.strerror}; check the path.")


@dataclass
class _Output:
    stream: TextIO
    as_json: bool
    failures: int = 0

    def page(self, file: Path, page: PageResult) -> None:
        self.failures += page.status is PageStatus.FAILED
        if self.as_json:
            self._json(page_to_dict(str(file), page))
        else:
            print(f"<!-- {file}, page {page.number} -->\n\n{page.markdown}\n", file=self.stream)
        if page.error:
            print(f"error: {file}, page {page.number}: {page.error}", file=sys.stderr)

    def document_failed(self, file: Path, code: str, message: str) -> None:
        self.failures += 1
        if self.as_json:
            self._json(
                {
                    "document": str(file),
                    "page": None,
                    "status": PageStatus.FAILED.value,
                    "error_code": code,
                    "error": message,
                }
            )
        print(f"error: {file}: {message}", file=sys.stderr)

    def _json(self, values: dict[str, object]) -> None:
        print(json.dumps(values, ensure_ascii=False), file=self.stream, flush=True)


def _show_progress(progress: Progress) -> None:
    print(
        f"{progress.pages_done} pages read, {progress.pages_in_flight} being read "
        f"({progress.tokens} tokens)",
        file=sys.stderr,
    )


if __name__ == "__main__":
    sys.exit(main())
