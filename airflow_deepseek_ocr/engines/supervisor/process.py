"""Processes of servers: started so that they outlive the task, stopped, and killed with their children."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import psutil

from airflow_deepseek_ocr.engines.supervisor.registry import ServerRecord
from airflow_deepseek_ocr.engines.supervisor.server_environment import server_environment
from airflow_deepseek_ocr.engines.supervisor.server_spec import LaunchCommand
from airflow_deepseek_ocr.exceptions import ConfigurationError, ErrorCode, UnavailableError

#: Seconds until a server that was asked to stop is killed. Servers take up to 120 s for pages in flight
#: (``model_server.main.DRAIN_S``, ``vllm_watchdog``), and some seconds to free the device.
STOP_TIMEOUT_S = 150.0
_POLL_S = 0.1


def start_detached(
    command: LaunchCommand, log_file: Path, *, keep_open: Sequence[int] = ()
) -> psutil.Popen:
    """Start a server that outlives this process.

    The server leads a session, so signals to the task's process group do not reach it. It inherits no other
    open files than those named, or it would keep the task's channel to Airflow's supervisor open, and no
    variable that may hold a secret.

    :param command: command of the server.
    :param log_file: file for its output; created with mode 0600, or emptied.
    :param keep_open: descriptors that the server inherits.
    :raises ConfigurationError: ``server_command`` if the program cannot be started.
    :raises OSError: the log cannot be created.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_NOFOLLOW
    with os.fdopen(os.open(log_file, flags, 0o600), "wb") as output:
        try:
            return psutil.Popen(
                list(command.arguments),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd="/",
                env=server_environment(command.environment),
                start_new_session=True,
                close_fds=True,
                pass_fds=keep_open,
            )
        except OSError as error:
            raise ConfigurationError(
                ErrorCode.SERVER_COMMAND,
                f"The server's program {command.arguments[0]!r} cannot be started: {error.strerror}. "
                "Correct its path in the connection.",
            ) from error


def stop_server(
    record: ServerRecord, directory: Path, *, timeout_s: float = STOP_TIMEOUT_S
) -> None:
    """Stop a server and remove it from the registry.

    The server finishes its pages in flight first.

    :param record: the server.
    :param directory: directory of the registry.
    :param timeout_s: seconds after which the server is killed.
    :raises UnavailableError: ``server_elsewhere`` if it runs in another container, from which it is out of
        reach.
    """
    if record.is_foreign and record.is_alive():
        raise UnavailableError(
            ErrorCode.SERVER_ELSEWHERE,
            f"The server {record.key} ({record.place}) cannot be stopped from here. Run there: "
            f"airflow-deepseek-ocr stop {record.key}",
        )
    process = record.process()
    if process is not None:
        with contextlib.suppress(psutil.Error):
            process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + timeout_s
        # Not process.wait(): it does not return for a child of this process that stays a zombie.
        while record.process() is not None and time.monotonic() < deadline:
            time.sleep(_POLL_S)
        kill_server(record)
    record.remove(directory)


def kill_server(record: ServerRecord) -> None:
    """Kill the processes that are left of a server's process group.

    Records outlive servers and reboots: a group that belongs to other processes by now is left alone.

    :param record: the server.
    """
    if record.owns_process_group():
        kill_process_group(record.pid)


def kill_process_group(group: int) -> None:
    """Kill all processes of a group, if there are any.

    :param group: number of the group, which is the process id of its leader.
    """
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)
