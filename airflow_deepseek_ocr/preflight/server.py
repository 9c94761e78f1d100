"""Checks of the server that runs the model: remote, on this host, or vLLM's program."""

from __future__ import annotations

import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

import httpx

from airflow_deepseek_ocr.engines.factory import remote_endpoint, server_spec
from airflow_deepseek_ocr.engines.http.server_probe import (
    ask_capabilities,
    ask_modes,
    ask_token_probabilities,
    prove_no_repeat_ngram,
)
from airflow_deepseek_ocr.engines.protocol.chat_completions import Capabilities
from airflow_deepseek_ocr.engines.supervisor.registry import load_record, servers_directory
from airflow_deepseek_ocr.engines.supervisor.vllm_options import split_command, split_options
from airflow_deepseek_ocr.exceptions import ConfigurationError
from airflow_deepseek_ocr.hardware.devices import split_devices
from airflow_deepseek_ocr.preflight.check import Check, Level
from airflow_deepseek_ocr.preflight.weights import find_model_directory

if TYPE_CHECKING:
    from airflow_deepseek_ocr.connection.settings import Settings
    from airflow_deepseek_ocr.engines.protocol.endpoint import Endpoint

#: Time-outs of one request behind the Test button, which gives up after 4.5 s in all.
QUICK = httpx.Timeout(3.0)
#: Time-outs of the full checks: a probe that generates tokens takes seconds on a GPU, a minute on a CPU.
PATIENT = httpx.Timeout(120.0, connect=10.0)


def describe_remote_server(
    settings: Settings, timeout: httpx.Timeout, *, probe_no_repeat_ngram: bool
) -> str:
    """Return one line about a server.

    :param settings: settings of the connection, with one server as host.
    :param timeout: time-outs of each request.
    :param probe_no_repeat_ngram: also verify the no-repeat-n-gram constraint, which generates tokens.
    :raises UnavailableError: ``server_unreachable``, ``server_response``.
    :raises ConfigurationError: ``connection``, ``server_api_key``, ``server_model``, ``server_revision``,
        ``model_family``, ``server_mode``, ``server_prompt``, ``server_no_repeat_ngram``.
    """
    endpoint = remote_endpoint(settings)
    capabilities = _ask(endpoint, settings, timeout, probe_no_repeat_ngram=probe_no_repeat_ngram)
    automatic = settings.resolution == "auto"
    mode = capabilities.modes[0] if automatic else settings.resolution
    capabilities.require(settings.prompt, mode)
    software = (
        f"airflow-deepseek-ocr {capabilities.version}"
        if capabilities.version
        else "vLLM or a compatible server"
    )
    active = probe_no_repeat_ngram or capabilities.no_repeat_ngram is not None
    return (
        f"{endpoint.address} serves {capabilities.model} ({software}), a {capabilities.family.title}; modes: "
        f"{', '.join(capabilities.modes)}"
        f"{'; the no-repeat-n-gram constraint is active' if active else ''}"
        f"{'; it returns probabilities of tokens' if capabilities.token_probabilities else ''}."
    )


def _ask(
    endpoint: Endpoint, settings: Settings, timeout: httpx.Timeout, *, probe_no_repeat_ngram: bool
) -> Capabilities:
    with endpoint.client(timeout) as client:
        capabilities = ask_capabilities(
            client, endpoint, settings.model, settings.revision, settings.family
        )
        if probe_no_repeat_ngram or settings.resolution not in ("auto", *capabilities.modes):
            capabilities = ask_modes(client, endpoint, capabilities)
        if probe_no_repeat_ngram:
            prove_no_repeat_ngram(client, endpoint, capabilities, settings.decoding)
            capabilities = ask_token_probabilities(client, endpoint, capabilities)
    return capabilities


def describe_host_server(settings: Settings, engine: str) -> str:
    """Return one line about the server of this host; none is started.

    :param settings: settings of the connection.
    :param engine: ``resident`` or ``vllm``.
    :raises UnavailableError: ``server_unreachable``, ``server_response``, ``server_api_key``.
    :raises ConfigurationError: ``device``, ``servers_directory``, ``server_model``, ``server_revision``,
        ``model_family``.
    """
    model_directory = find_model_directory(settings)
    if model_directory is None:
        return "No server runs on this host: a worker starts one when it has fetched the weights."
    devices = split_devices(settings.device)
    records = [
        load_record(
            servers_directory(),
            server_spec(replace(settings, device=each), engine, model_directory).key,
        )
        for each in devices
    ]
    running = [each for each in records if each is not None and each.is_alive()]
    if not running:
        return "No server runs on this host; the first task on a worker starts one."
    for record in running:
        endpoint = record.endpoint
        with endpoint.client(QUICK) as client:
            ask_capabilities(client, endpoint, settings.model, settings.revision, settings.family)
    ready = ", ".join(f"{each.place}, version {each.version}" for each in running)
    if len(devices) == 1:
        return f"A server is ready on this host: {ready}."
    return f"{len(running)} of {len(devices)} servers are ready on this host: {ready}."


def check_vllm_command(settings: Settings) -> Check:
    """Check that the connection's vLLM program exists and its options are accepted.

    :param settings: settings of the connection.
    """
    try:
        program = split_command(settings.vllm_command)[0]
        split_options(settings.vllm_options)
    except ConfigurationError as error:
        return Check("vllm", Level.FAILURE, str(error))
    path = shutil.which(program)
    if path is None:
        return Check(
            "vllm",
            Level.FAILURE,
            f"The program {program} is not installed here. Install vLLM into its own environment, and set "
            "the connection's vLLM command to the program's path.",
        )
    return Check("vllm", Level.OK, f"vLLM's program is {path}.")
