"""Which engine a connection means, and the way to it."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_deepseek_ocr.exceptions import ConfigurationError, ErrorCode
from airflow_deepseek_ocr.hardware.gpu import has_gpu

if TYPE_CHECKING:
    from airflow_deepseek_ocr.connection.settings import Settings
    from airflow_deepseek_ocr.engines.http.engine import HttpEngine
    from airflow_deepseek_ocr.engines.protocol.endpoint import Endpoint
    from airflow_deepseek_ocr.engines.supervisor.supervisor import ServerSpec
    from airflow_deepseek_ocr.ocr.engine_protocol import Engine

log = logging.getLogger(__name__)

#: Seconds until a server must be ready: the published weights take half a minute from a warm disk,
#: vLLM compiles for minutes.
START_TIMEOUT_S = 900.0


def choose(settings: Settings) -> str:
    """``in_process``, ``resident``, ``vllm`` or ``remote``."""
    if settings.engine != "auto":
        return settings.engine
    if settings.host:
        return "remote"
    on_gpu = settings.device != "cpu" and has_gpu()
    if on_gpu and shutil.which(settings.vllm_command.split()[0]):
        return "vllm"
    return "resident"


def make_engine(settings: Settings, fetch: Callable[[], Path]) -> Engine:
    """The engine; a server on this host is found or started when it is first asked for.

    :param settings: the connection's.
    :param fetch: fetches the model into the cache, and says where it is; not called for a remote one.
    :raises MissingExtraError: what runs the model is not installed here.
    :raises ConfigurationError: a setting is wrong.
    :raises UnavailableError: the model is not to be had.
    """
    chosen = choose(settings)
    log.info("Engine: %s", chosen)
    if chosen == "in_process":
        return _in_process(settings, fetch())
    # A line for each page, at level INFO, would bury what a task has to say.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    if chosen == "remote":
        endpoint = remote_endpoint(settings)
        return _http_engine(settings, lambda: endpoint)
    from airflow_deepseek_ocr.engines.supervisor.registry import servers_directory
    from airflow_deepseek_ocr.engines.supervisor.supervisor import Supervisor
    from airflow_deepseek_ocr.engines.supervisor.vllm_server import table_cells

    directory = fetch()
    supervisor = Supervisor(
        server_spec(settings, chosen, directory), servers_directory(), START_TIMEOUT_S
    )
    return _http_engine(settings, supervisor.find, table_cells(directory))


def server_spec(settings: Settings, chosen: str, directory: Path) -> ServerSpec:
    """The server on this host that these settings mean.

    :param chosen: ``resident`` or ``vllm``.
    :param directory: the model's.
    """
    common: dict[str, Any] = {
        "directory": directory,
        "model": settings.model,
        "revision": settings.revision,
        "device": settings.device,
        "dtype": settings.dtype,
        "batch_size": settings.batch_size,
        "idle_s": settings.idle_seconds,
    }
    if chosen == "vllm":
        from airflow_deepseek_ocr.engines.supervisor.vllm_server import VllmServerSpec

        return VllmServerSpec(
            **common, command=settings.vllm_command, options=settings.vllm_options
        )
    from airflow_deepseek_ocr.engines.supervisor.resident_server import ResidentServerSpec

    return ResidentServerSpec(**common, python=settings.server_python)


def remote_endpoint(settings: Settings) -> Endpoint:
    """Where the connection's server is.

    :raises ConfigurationError: ``connection`` if host or secret cannot be what they are to be.
    """
    from airflow_deepseek_ocr.engines.protocol.endpoint import Endpoint

    host, secret = settings.host.rstrip("/").removesuffix("/v1"), settings.api_key or ""
    url = host if "://" in host else f"http://{host}"
    if settings.port:
        scheme, _, rest = url.partition("://")
        name, slash, path = rest.partition("/")
        url = f"{scheme}://{name}:{settings.port}{slash}{path}"
    if not url.startswith(("http://", "https://")):
        raise ConfigurationError(
            ErrorCode.CONNECTION, "The connection's host must be a name, http://... or https://..."
        )
    # httpx would show it in the error it raises.
    if not (secret.isascii() and secret.isprintable()) or secret != secret.strip():
        raise ConfigurationError(
            ErrorCode.CONNECTION,
            "The connection's password has characters that no HTTP header can carry.",
        )
    return Endpoint(url, secret or None, login=settings.login)


def _http_engine(
    settings: Settings, find: Callable[[], Endpoint], cells: tuple[int, ...] | None = None
) -> HttpEngine:
    from airflow_deepseek_ocr.engines.http.engine import HttpEngine
    from airflow_deepseek_ocr.engines.http.session import Patience
    from airflow_deepseek_ocr.engines.protocol.chat_completions import PUBLISHED_TABLE_CELLS

    return HttpEngine(
        find,
        model=settings.model,
        revision=settings.revision,
        decoding=settings.decoding,
        pages=settings.batch_size,
        table_cells=cells or PUBLISHED_TABLE_CELLS,
        patience=Patience(page_s=settings.page_timeout),
        # What a server at a host does is its own affair.
        device="auto" if settings.host else settings.device,
        dtype="auto" if settings.host else settings.dtype,
    )


def _in_process(settings: Settings, directory: Path) -> Engine:
    from airflow_deepseek_ocr.engines.in_process.engine_cache import (
        EngineKey,
        cached_engine,
    )

    return cached_engine(
        EngineKey(
            directory=directory,
            device=settings.device,
            dtype=settings.dtype,
            batch_size=settings.batch_size,
            decoding=settings.decoding,
        )
    )
