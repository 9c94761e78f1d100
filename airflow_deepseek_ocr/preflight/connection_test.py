"""The test behind the button of the connection's form, which runs in Airflow's API server.

The API server holds the secrets of all connections and serves all users: whatever a server answers, the
test takes seconds and a bounded memory, and leaves nothing behind. So a separate process makes the
request. It has no secret but those of the connection, and it is killed when its time is over: a thread that
waits for a name server cannot be ended.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_deepseek_ocr.engines.factory import remote_endpoint
from airflow_deepseek_ocr.engines.protocol.endpoint import Endpoint
from airflow_deepseek_ocr.exceptions import DeepSeekOCRError
from airflow_deepseek_ocr.model.weights.source import check_model_name

if TYPE_CHECKING:
    from airflow_deepseek_ocr.connection.settings import Settings

_PROCESS = "airflow_deepseek_ocr.preflight.connection_test_process"
#: Longest message, in characters: servers choose a part of it.
MAX_MESSAGE = 2000
#: What the process needs to find Python's packages, the way to the server, and authorities.
_VARIABLES = (
    *("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "PYTHONPATH", "PYTHONHOME"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR"),
    *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"),
    *("http_proxy", "https_proxy", "all_proxy", "no_proxy"),
)
_ON_WORKER = "On a worker run: airflow-deepseek-ocr preflight --conn-id CONNECTION_ID"


def run_connection_test(settings: Settings, timeout_s: float) -> tuple[bool, str]:
    """Return whether the server at the connection's host can be used, and the reason.

    It is not confirmed where nothing but the fields was checked: the API server has neither the workers'
    disks nor their access to buckets, and tells nothing about its own files.

    :param settings: settings of the connection.
    :param timeout_s: longest test, in seconds.
    """
    try:
        settings.processing_config()
        endpoints = [remote_endpoint(each) for each in settings.each_server()]
        if not endpoints:
            check_model_name(settings.model, settings.revision)
    except DeepSeekOCRError as error:
        return False, _line(str(error))
    reason = _untested_because(settings, endpoints)
    if reason is not None:
        return False, untested(reason)
    try:
        return _in_process(settings, timeout_s)
    except OSError as error:
        return False, f"The test's process cannot be started here: {error}. {_ON_WORKER}"


def untested(reason: str) -> str:
    """Return the message of a test that checked the fields only.

    :param reason: the part that was not tested, and why.
    """
    return f"Not tested, although the fields are valid: {reason} {_ON_WORKER}"


def _untested_because(settings: Settings, endpoints: list[Endpoint]) -> str | None:
    if not endpoints:
        return (
            f"{settings.model} runs on the workers, and this test runs in the API server, which does not "
            "open the workers' files and buckets."
        )
    socket = next((each for each in endpoints if each.socket_path is not None), None)
    if socket is not None:
        return (
            f"workers reach the server at {socket.address}, and this test runs in the API server, which "
            "does not open files."
        )
    return None


def _in_process(settings: Settings, timeout_s: float) -> tuple[bool, str]:
    environment = {name: os.environ[name] for name in _VARIABLES if name in os.environ}
    with subprocess.Popen(  # noqa: S603
        [sys.executable, "-P", "-m", _PROCESS],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment,
        cwd="/",
    ) as process:
        try:
            # Not an argument: every user of the host sees those.
            answer, _ = process.communicate(_to_json(settings), timeout_s)
        except subprocess.TimeoutExpired:
            return False, (
                f"No complete response in {timeout_s:g} s. Check the connection's host, its port, the "
                "network and the name server; or another program answers there."
            )
        finally:
            process.kill()
    try:
        good, message = json.loads(answer)
    except ValueError:
        return False, (
            f"The test ended with status {process.returncode} and without a result. {_ON_WORKER}"
        )
    return bool(good), _line(message)


def _to_json(settings: Settings) -> bytes:
    return json.dumps(asdict(settings), default=str).encode()


def settings_from_json(text: bytes) -> dict[str, Any]:
    """Return the arguments of the settings that the API server sent to the test's process.

    :param text: what :func:`run_connection_test` wrote.
    """
    values: dict[str, Any] = json.loads(text)
    for name in ("cache_dir", "ca_certificates"):
        values[name] = values[name] and Path(values[name])
    return values


def _line(message: str) -> str:
    """Return the message in one line of printable characters, shortened."""
    text = "".join(each if each.isprintable() else " " for each in message[: MAX_MESSAGE + 1])
    return text if len(text) <= MAX_MESSAGE else f"{text[:MAX_MESSAGE]}..."
