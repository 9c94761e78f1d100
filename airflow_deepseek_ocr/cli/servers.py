"""The commands ``serve``, ``servers`` and ``stop``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from airflow_deepseek_ocr.cli.models import fetch
from airflow_deepseek_ocr.cli.settings import connection_settings
from airflow_deepseek_ocr.connection.fields import DTYPES
from airflow_deepseek_ocr.exceptions import ConfigurationError, ErrorCode, MissingExtraError
from airflow_deepseek_ocr.ocr.decoding import Decoding


def add_serve(commands: Any, model: argparse.ArgumentParser) -> None:
    """Add the command ``serve``."""
    serve = commands.add_parser(
        "serve", parents=[model], help="serve the model on this host, to OpenAI-compatible clients"
    )
    serve.add_argument("model", metavar="MODEL", help="directory, hub id or s3:// prefix")
    serve.add_argument("--name", help="what clients call the model; MODEL by default")
    where = serve.add_mutually_exclusive_group()
    where.add_argument("--port", type=int, default=8808, help="on the loopback; 0 takes a free one")
    where.add_argument("--socket", type=Path, help="path of a Unix socket instead")
    serve.add_argument(
        "--api-key-file",
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


def add_servers(commands: Any) -> None:
    """Add the commands ``servers`` and ``stop``."""
    servers = commands.add_parser(
        "servers", help="list the servers that tasks started on this host"
    )
    servers.set_defaults(run=_servers)
    stop = commands.add_parser("stop", help="stop servers that tasks started on this host")
    stop.add_argument("keys", nargs="*", metavar="KEY", help="as listed by: servers")
    stop.add_argument("--all", action="store_true", help="stop all of them")
    stop.set_defaults(run=_stop)


def _serve(options: argparse.Namespace) -> int:
    from airflow_deepseek_ocr.engines.protocol.page_files import page_directory
    from airflow_deepseek_ocr.engines.supervisor.api_key import create_api_key, read_api_key
    from airflow_deepseek_ocr.engines.supervisor.registry import record_exit

    with record_exit(options.record):
        settings = connection_settings(options)
        directory = fetch(settings)
        try:
            from airflow_deepseek_ocr.model_server.main import Listen, run
            from airflow_deepseek_ocr.model_server.service import Model, Service
        except ImportError as error:
            raise MissingExtraError(error.name or "fastapi", "transformers") from error
        path = options.api_key_file
        secret = read_api_key(path) if path.exists() else create_api_key(path)
        model = Model(
            directory=directory,
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
                page_directory=page_directory(options.socket) if options.socket else None,
                on_end=on_end,
            ),
            secret=secret,
            listen=Listen(options.socket, options.port),
            idle_s=options.idle_seconds,
        )
    return 0


def _servers(_: argparse.Namespace) -> int:
    from airflow_deepseek_ocr.engines.supervisor.registry import all_records, servers_directory

    for record in all_records(servers_directory()):
        state = f"process {record.pid}" if record.process() else "ended by itself"
        print(f"{record.key}  {record.kind}  {record.version}  {state}  {record.description}")
    return 0


def _stop(options: argparse.Namespace) -> int:
    from airflow_deepseek_ocr.engines.supervisor.registry import all_records, servers_directory
    from airflow_deepseek_ocr.engines.supervisor.supervisor import stop_server

    directory = servers_directory()
    records = {record.key: record for record in all_records(directory)}
    unknown = [key for key in options.keys if key not in records]
    if unknown or not (options.keys or options.all):
        raise ConfigurationError(
            ErrorCode.SERVER_KEY,
            (f"No server {unknown[0]!r}." if unknown else "Name a KEY, or give --all.")
            + " The servers there are: airflow-deepseek-ocr servers",
        )
    for key in records if options.all else options.keys:
        stop_server(records[key], directory)
        print(f"stopped {key}")
    return 0
