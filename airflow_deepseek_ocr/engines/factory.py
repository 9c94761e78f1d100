"""Choice of the engine that a connection asks for, and its construction."""

from __future__ import annotations

import importlib.util
import logging
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_deepseek_ocr.engines.balancing.engine import BalancedEngine, NamedEngine
from airflow_deepseek_ocr.exceptions import ConfigurationError, ErrorCode
from airflow_deepseek_ocr.hardware.devices import require_one_device, split_devices
from airflow_deepseek_ocr.hardware.gpu import has_gpu
from airflow_deepseek_ocr.hardware.torch_build import has_cuda_torch
from airflow_deepseek_ocr.model.checkpoint_family import checkpoint_family

if TYPE_CHECKING:
    from airflow_deepseek_ocr.connection.settings import Settings
    from airflow_deepseek_ocr.engines.http.engine import HttpEngine
    from airflow_deepseek_ocr.engines.protocol.endpoint import Endpoint
    from airflow_deepseek_ocr.engines.supervisor.server_spec import ServerSpec
    from airflow_deepseek_ocr.ocr.engine_protocol import Engine

log = logging.getLogger(__name__)

#: Seconds within which a server must be ready. Loading the published weights takes half a minute from a
#: warm disk; vLLM compiles for minutes.
START_TIMEOUT_S = 900.0
#: Package whose modules the model consists of, beside torch.
_MODEL_PACKAGE = "transformers"


def _has_model_packages() -> bool:
    return has_cuda_torch() and importlib.util.find_spec(_MODEL_PACKAGE) is not None


def choose_engine(
    settings: Settings,
    *,
    gpu_present: Callable[[], bool] = has_gpu,
    torch_for_gpu: Callable[[], bool] = _has_model_packages,
) -> str:
    """Return the engine of a connection: ``in_process``, ``resident``, ``vllm`` or ``remote``.

    ``auto`` prefers the resident server to vLLM, which is slower and has fewer modes, if a Python can run
    the model on the GPU.

    :param settings: settings of the connection; its engine may be ``auto``.
    :param gpu_present: return whether this host has a GPU.
    :param torch_for_gpu: return whether this Python can run the model on a GPU.
    :raises ConfigurationError: ``connection`` if the vLLM command cannot be parsed.
    """
    if settings.engine != "auto":
        return settings.engine
    if settings.host:
        return "remote"
    on_gpu = settings.device != "cpu" and gpu_present()
    # A Python named for the resident server was made for it.
    if not on_gpu or settings.server_python or torch_for_gpu():
        return "resident"
    from airflow_deepseek_ocr.engines.supervisor.vllm_options import split_command

    return "vllm" if shutil.which(split_command(settings.vllm_command)[0]) else "resident"


def make_engine(settings: Settings, fetch_model: Callable[[], Path]) -> Engine:
    """Return the engine of a connection; a server on this host is found or started at the first request.

    Several devices have a server each. Pages are spread over several servers.

    :param settings: settings of the connection.
    :param fetch_model: fetch the model into the cache and return its directory; not called for a remote
        server.
    :raises MissingExtraError: ``missing_extra`` if this Python lacks what runs the model.
    :raises ConfigurationError: ``connection``, ``device``, ``servers_directory``, ``model_config``,
        ``model_family``, or another error of the model's settings.
    :raises UnavailableError: the model cannot be fetched.
    """
    engine = choose_engine(settings)
    log.info("Engine: %s", engine)
    if engine == "in_process":
        require_one_device(settings.device)
        return _in_process(settings, _fetched(settings, fetch_model))
    # httpx logs a line at level INFO for each page, which would bury the task's own lines.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    if engine == "remote":
        return _balanced([_remote(each) for each in settings.each_server()])
    devices = split_devices(settings.device)
    model_directory = _fetched(settings, fetch_model)
    return _balanced(
        [
            NamedEngine(each, _managed(replace(settings, device=each), engine, model_directory))
            for each in devices
        ]
    )


def _fetched(settings: Settings, fetch_model: Callable[[], Path]) -> Path:
    """Return the model's directory, unless another model is in it than the settings are for."""
    directory = fetch_model()
    checkpoint_family(directory, settings.family)
    return directory


def _balanced(engines: list[NamedEngine]) -> Engine:
    if len(engines) == 1:
        return engines[0].engine
    balanced = BalancedEngine(engines)
    log.info("Pages are spread over %s.", ", ".join(balanced.names))
    return balanced


def _remote(settings: Settings) -> NamedEngine:
    endpoint = remote_endpoint(settings)
    return NamedEngine(endpoint.address, _http_engine(settings, lambda: endpoint))


def _managed(settings: Settings, engine: str, model_directory: Path) -> HttpEngine:
    """Return the engine of a server on one device of this host."""
    from airflow_deepseek_ocr.engines.supervisor.registry import servers_directory
    from airflow_deepseek_ocr.engines.supervisor.supervisor import Supervisor
    from airflow_deepseek_ocr.engines.supervisor.vllm_server import table_cells

    spec = server_spec(settings, engine, model_directory)
    supervisor = Supervisor(spec, servers_directory(), START_TIMEOUT_S)
    return _http_engine(settings, supervisor.find, table_cells(model_directory))


def server_spec(settings: Settings, engine: str, model_directory: Path) -> ServerSpec:
    """Return the specification of the connection's server on this host.

    :param settings: settings of the connection.
    :param engine: ``resident`` or ``vllm``.
    :param model_directory: complete directory of the model.
    """
    common: dict[str, Any] = {
        "model_directory": model_directory,
        "model": settings.model,
        "revision": settings.revision,
        "device": settings.device,
        "dtype": settings.dtype,
        "batch_size": settings.batch_size,
        "idle_s": settings.idle_seconds,
    }
    if engine == "vllm":
        from airflow_deepseek_ocr.engines.supervisor.vllm_server import VllmServerSpec

        return VllmServerSpec(
            **common, command=settings.vllm_command, options=settings.vllm_options
        )
    from airflow_deepseek_ocr.engines.supervisor.resident_server import ResidentServerSpec

    return ResidentServerSpec(**common, python=settings.server_python)


def remote_endpoint(settings: Settings) -> Endpoint:
    """Return the address and credentials of a server.

    :param settings: settings of the connection, with one server as host
        (:meth:`~airflow_deepseek_ocr.connection.settings.Settings.each_server`).
    :raises ConfigurationError: ``connection`` if host and port are no address
        (:func:`~airflow_deepseek_ocr.connection.server_address.parse_server_address`), CA certificates are
        given for a server without TLS, or the password has characters that an HTTP header cannot carry.
    """
    from airflow_deepseek_ocr.connection.server_address import parse_server_address
    from airflow_deepseek_ocr.engines.protocol.api_key import fits_header
    from airflow_deepseek_ocr.engines.protocol.endpoint import SOCKET_URL, Endpoint

    api_key = settings.api_key or ""
    address = parse_server_address(settings.host, settings.port)
    url = SOCKET_URL if address.socket_path else _usable(address.url)
    if settings.ca_certificates is not None and not url.startswith("https://"):
        raise _invalid(
            "The connection has CA certificates, but the host is not https://... Write https:// before the "
            "host, or empty the field CA certificates."
        )
    # Refused here, because httpx would quote the password in its error.
    if not fits_header(api_key):
        raise _invalid(
            "The connection's password has characters that an HTTP header cannot carry. Use printable ASCII "
            "without spaces around it."
        )
    return Endpoint(
        url,
        api_key or None,
        address.socket_path,
        login=settings.login,
        ca_certificates=settings.ca_certificates,
    )


def _usable(url: str) -> str:
    """Return the URL, which the HTTP client may refuse for a name with letters that no name has."""
    import httpx

    try:
        httpx.URL(url)
    except (httpx.InvalidURL, ValueError):
        raise _invalid(
            "The connection's host has characters that no host name has. Use the name that DNS knows."
        ) from None
    return url


def _invalid(message: str) -> ConfigurationError:
    return ConfigurationError(ErrorCode.CONNECTION, message)


def _http_engine(
    settings: Settings,
    find_endpoint: Callable[[], Endpoint],
    table_cells: tuple[int, ...] | None = None,
) -> HttpEngine:
    from airflow_deepseek_ocr.engines.http.engine import HttpEngine
    from airflow_deepseek_ocr.engines.http.retries import RetryPolicy
    from airflow_deepseek_ocr.engines.protocol.chat_completions import PUBLISHED_TABLE_CELLS

    return HttpEngine(
        find_endpoint,
        model=settings.model,
        revision=settings.revision,
        family=settings.family,
        decoding=settings.decoding,
        pages=settings.batch_size,
        table_cells=table_cells or PUBLISHED_TABLE_CELLS,
        retry_policy=RetryPolicy(page_s=settings.page_timeout),
        # The connection does not decide where a remote server computes.
        device="auto" if settings.host else settings.device,
        dtype="auto" if settings.host else settings.dtype,
    )


def _in_process(settings: Settings, model_directory: Path) -> Engine:
    from airflow_deepseek_ocr.engines.in_process.engine_cache import (
        EngineKey,
        cached_engine,
    )

    return cached_engine(
        EngineKey(
            directory=model_directory,
            device=settings.device,
            dtype=settings.dtype,
            batch_size=settings.batch_size,
            decoding=settings.decoding,
        )
    )
