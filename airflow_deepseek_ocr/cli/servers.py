"""The commands ``serve``, ``servers`` and ``stop``: servers on this host."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

from airflow_deepseek_ocr.cli.api_key import add_api_key, given_api_key
from airflow_deepseek_ocr.cli.listening import add_listening, listen_address, server_tls
from airflow_deepseek_ocr.cli.models import fetch
from airflow_deepseek_ocr.cli.output import report, write
from airflow_deepseek_ocr.cli.settings import add_fields, connection_settings
from airflow_deepseek_ocr.engines.protocol.api_key import create_api_key, require_strong
from airflow_deepseek_ocr.exceptions import ConfigurationError, ErrorCode, MissingExtraError
from airflow_deepseek_ocr.hardware.cpu_threads import sleep_while_waiting
from airflow_deepseek_ocr.hardware.devices import require_one_device
from airflow_deepseek_ocr.model.checkpoint_family import checkpoint_family


def add_serve(commands: Any) -> None:
    """Add the command ``serve``."""
    serve = commands.add_parser(
        "serve", help="serve the model on this host to OpenAI-compatible clients"
    )
    serve.add_argument("model", metavar="MODEL", help="directory, hub id or s3:// prefix")
    serve.add_argument("--name", help="model name in requests (default: MODEL)")
    add_listening(serve)
    add_api_key(
        serve,
        "file with the bearer token that clients must send; created with mode 0600 if missing",
        required=True,
    )
    add_fields(serve, ("revision", "cache_dir", "device", "dtype", "batch_size"))
    serve.add_argument(
        "--max-pending-tokens",
        type=int,
        help="estimated tokens (image, prompt and text) of all accepted pages; further requests "
        "receive 429",
    )
    serve.add_argument(
        "--max-body-mb", type=int, default=128, help="largest request, in MiB (default: 128)"
    )
    serve.add_argument(
        "--idle-seconds",
        dest="idle_s",
        metavar="SECONDS",
        type=float,
        help="stop after this many seconds without a request",
    )
    serve.add_argument(
        "--ignore-end",
        action="store_true",
        help="generate the requested number of tokens, whatever the model writes; for benchmarks",
    )
    serve.add_argument("--record", type=Path, help=argparse.SUPPRESS)
    serve.set_defaults(run=_serve)


def add_servers(commands: Any) -> None:
    """Add the command ``servers``."""
    servers = commands.add_parser(
        "servers", help="list the servers that tasks started on this host"
    )
    servers.set_defaults(run=_servers)


def add_stop(commands: Any) -> None:
    """Add the command ``stop``."""
    stop = commands.add_parser("stop", help="stop servers that tasks started on this host")
    stop.add_argument("keys", nargs="*", metavar="KEY", help="key in the output of: servers")
    stop.add_argument("--all", action="store_true", help="stop all servers")
    stop.set_defaults(run=_stop)


def _serve(options: argparse.Namespace) -> int:
    from airflow_deepseek_ocr.engines.protocol.page_files import page_directory
    from airflow_deepseek_ocr.engines.supervisor.registry import record_exit

    with record_exit(options.record):
        settings = connection_settings(options)
        require_one_device(settings.device)
        address, tls = listen_address(options), server_tls(options)
        api_key = _existing_api_key(options)
        directory = fetch(settings)
        sleep_while_waiting(settings.device)
        try:
            from airflow_deepseek_ocr.model_server.main import run
            from airflow_deepseek_ocr.model_server.service import Model, Service
        except ImportError as error:
            raise MissingExtraError(error.name or "fastapi", "transformers") from error
        socket = address.socket_path
        model = Model(
            directory=directory,
            name=options.name or options.model,
            revision=settings.revision,
            device=settings.device,
            dtype=settings.dtype,
            batch_size=settings.batch_size,
            decoding=checkpoint_family(directory).decoding(forced=options.ignore_end),
        )
        run(
            lambda on_end: Service(
                model,
                max_pending_tokens=options.max_pending_tokens,
                max_body_bytes=options.max_body_mb << 20,
                page_directory=page_directory(socket) if socket else None,
                on_end=on_end,
            ),
            api_key=api_key or create_api_key(options.api_key_file),
            address=address,
            idle_s=options.idle_s,
            tls=tls,
        )
    return 0


def _existing_api_key(options: argparse.Namespace) -> str | None:
    """Return the API key; None if its file is to be created."""
    path = options.api_key_file
    # A broken link is an error: the secret store has no such key.
    if path is not None and not os.path.lexists(path):
        return None
    api_key = given_api_key(options)
    if api_key is not None:
        require_strong(api_key)
    return api_key


def _servers(_: argparse.Namespace) -> int:
    from airflow_deepseek_ocr.engines.supervisor.registry import all_records, servers_directory

    records = list(all_records(servers_directory()))
    if not records:
        report("No servers on this host.")
    for record in records:
        state = record.place if record.is_alive() else "exited"
        write(f"{record.key}  {record.kind}  {record.version}  {state}  {record.description}")
    return 0


def _stop(options: argparse.Namespace) -> int:
    from airflow_deepseek_ocr.engines.supervisor.process import stop_server
    from airflow_deepseek_ocr.engines.supervisor.registry import all_records, servers_directory

    directory = servers_directory()
    records = {record.key: record for record in all_records(directory)}
    unknown = [key for key in options.keys if key not in records]
    if unknown or not (options.keys or options.all):
        raise ConfigurationError(
            ErrorCode.SERVER_KEY,
            (f"There is no server {unknown[0]!r}." if unknown else "Name a KEY, or give --all.")
            + " To list the servers: airflow-deepseek-ocr servers",
        )
    for key in records if options.all else options.keys:
        record = records[key]
        if options.all and record.is_foreign and record.is_alive():
            write(f"left {key}: {record.place}")
            continue
        stop_server(record, directory)
        write(f"stopped {key}")
    return 0
