"""Checks of the server that runs the model."""

from __future__ import annotations

import shlex
import shutil
from typing import TYPE_CHECKING, Any

import httpx

from airflow_deepseek_ocr.engines.factory import remote_endpoint, server_spec
from airflow_deepseek_ocr.engines.http.server_probe import (
    ask_capabilities,
    ask_modes,
    prove_no_repeat_ngram,
)
from airflow_deepseek_ocr.engines.supervisor.registry import load_record, servers_directory

if TYPE_CHECKING:
    from airflow_deepseek_ocr.connection.settings import Settings
    from airflow_deepseek_ocr.engines.protocol.endpoint import Endpoint
from airflow_deepseek_ocr.preflight.check import Check, Level
from airflow_deepseek_ocr.preflight.weights import directory_here

#: The Test button may take 5 s in all.
QUICK = httpx.Timeout(3.0)


#: A server that loads nothing answers a probe in seconds, on a CPU in a minute.
PATIENT = httpx.Timeout(120.0, connect=10.0)


def describe_remote(settings: Settings, timeout: httpx.Timeout, *, no_repeat_ngram: bool) -> str:
    """Ask the server at the connection's host."""
    endpoint = remote_endpoint(settings)
    capabilities, proven = _ask(endpoint, settings, timeout, no_repeat_ngram=no_repeat_ngram)
    whose = (
        f"airflow-deepseek-ocr {capabilities.version}" if capabilities.version else "vLLM or alike"
    )
    capabilities.require(settings.prompt, _some_mode(settings, capabilities.modes))
    return (
        f"{endpoint.url} serves {capabilities.model} ({whose}); modes: "
        f"{', '.join(capabilities.modes)}{'; the no-repeat-n-gram constraint is active' if proven else ''}."
    )


def _some_mode(settings: Settings, modes: tuple[str, ...]) -> str:
    """The mode that a reading begins with: ``auto`` takes what there is."""
    return settings.resolution if settings.resolution != "auto" else modes[0]


def _ask(
    endpoint: Endpoint, settings: Settings, timeout: httpx.Timeout, *, no_repeat_ngram: bool
) -> Any:
    with endpoint.client(timeout) as client:
        capabilities = ask_capabilities(client, endpoint, settings.model, settings.revision)
        if no_repeat_ngram or settings.resolution not in ("auto", *capabilities.modes):
            capabilities = ask_modes(client, endpoint, capabilities)
        if no_repeat_ngram:
            prove_no_repeat_ngram(client, endpoint, capabilities, settings.decoding)
    return capabilities, no_repeat_ngram or capabilities.no_repeat_ngram is not None


def describe_managed(settings: Settings, chosen: str) -> str:
    """Say whether a server of this host is ready."""
    directory = directory_here(settings)
    if directory is None:
        return "No server on this host: a worker starts one when it has the weights."
    record = load_record(servers_directory(), server_spec(settings, chosen, directory).key)
    if record is None or record.process() is None:
        return "No server runs on this host now; the first task on a worker starts one."
    with record.endpoint.client(QUICK) as client:
        ask_capabilities(client, record.endpoint, settings.model, settings.revision)
    return f"A server is ready on this host: process {record.pid}, version {record.version}."


def vllm_command(settings: Settings) -> Check:
    """Check that the program vLLM exists."""
    program = shlex.split(settings.vllm_command)[0]
    found = shutil.which(program)
    if found is None:
        return Check(
            "vllm",
            Level.FAILURE,
            f"{program} is not here. Install vLLM into an environment of its own, and set the "
            "connection's vLLM command to its path.",
        )
    return Check("vllm", Level.OK, f"{found} is there.")
