"""Supervisor of one server for all tasks of a host: finds, starts, awaits and replaces it."""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import filelock
import httpx
from packaging.version import Version

from airflow_deepseek_ocr import __version__
from airflow_deepseek_ocr.connection.server_address import MAX_SOCKET_PATH
from airflow_deepseek_ocr.engines.protocol.api_key import create_api_key
from airflow_deepseek_ocr.engines.protocol.endpoint import Endpoint
from airflow_deepseek_ocr.engines.supervisor.life_lock import life_lock
from airflow_deepseek_ocr.engines.supervisor.log_reason import find_reason
from airflow_deepseek_ocr.engines.supervisor.process import (
    kill_process_group,
    kill_server,
    start_detached,
    stop_server,
)
from airflow_deepseek_ocr.engines.supervisor.process_namespace import process_namespace
from airflow_deepseek_ocr.engines.supervisor.registry import (
    DIRECTORY_VARIABLE,
    ServerRecord,
    load_record,
    record_file,
)
from airflow_deepseek_ocr.engines.supervisor.server_log import LogFollower, log_tail
from airflow_deepseek_ocr.engines.supervisor.server_spec import ServerPaths, ServerSpec
from airflow_deepseek_ocr.exceptions import (
    ConfigurationError,
    DeepSeekOCRError,
    ErrorCode,
    UnavailableError,
    local_disk,
)

log = logging.getLogger(__name__)

#: Crashes within :data:`CRASH_WINDOW_S` after which no server is started: they have a permanent cause.
MAX_CRASHES = 5
CRASH_WINDOW_S = 900.0
_POLL_S = 0.1
#: End of the name of the file that a server has locked for its life.
_LIFE = ".alive"
_HEALTH_TIMEOUT = httpx.Timeout(5.0)


class Supervisor:
    """Keeps one server running for all processes of a user on this host.

    :param spec: the server.
    :param directory: directory of the registry.
    :param start_timeout_s: seconds within which a server must be ready.
    :param max_crashes: crashes within 15 minutes after which no server is started.
    """

    def __init__(
        self,
        spec: ServerSpec,
        directory: Path,
        start_timeout_s: float,
        *,
        max_crashes: int = MAX_CRASHES,
    ) -> None:
        self._spec, self._directory = spec, directory
        self._start_timeout_s, self._max_crashes = start_timeout_s, max_crashes

    def find(self) -> Endpoint:
        """Return the endpoint of the server when it is ready; start the server if there is none.

        :raises UnavailableError: ``server_start_timeout``; ``server_crashes`` if it crashed too often;
            ``local_disk`` if it cannot be registered; or the error that kept the server from loading the
            model.
        :raises ConfigurationError: ``servers_directory``, ``server_command``, or the server's error.
        :raises MissingExtraError: ``missing_extra`` if this Python cannot run the server.
        """
        deadline = time.monotonic() + self._start_timeout_s
        while True:
            try:
                with self._lock(deadline):
                    record = self._running() or self._start()
            except OSError as error:
                raise local_disk(
                    f"A server cannot be registered in {self._directory}", error
                ) from error
            endpoint = self._wait_until_ready(record, deadline)
            if endpoint is not None:
                return endpoint

    @contextlib.contextmanager
    def _lock(self, deadline: float) -> Iterator[None]:
        path = self._directory / f"{self._spec.key}.lock"
        try:
            with filelock.FileLock(path, timeout=max(1.0, deadline - time.monotonic())):
                yield
        except filelock.Timeout:
            raise UnavailableError(
                ErrorCode.SERVER_START_TIMEOUT,
                f"Another process has been starting or stopping the server for "
                f"{self._start_timeout_s:g} s and holds the lock {path}. Try again, or end that process.",
            ) from None

    def _running(self) -> ServerRecord | None:
        """Return the record of the running server; stop a server of an older version."""
        record = load_record(self._directory, self._spec.key)
        if record is None or not record.is_alive():
            return None
        if Version(record.version) >= Version(__version__):
            return record
        if record.is_foreign:
            log.warning(
                "Using the server of version %s (%s), which shares %s: this task has version %s. Upgrade the "
                "package there, and stop that server.",
                record.version,
                record.place,
                self._directory,
                __version__,
            )
            return record
        log.info(
            "Stopping the server of version %s (process %d): this task has version %s.",
            record.version,
            record.pid,
            __version__,
        )
        stop_server(record, self._directory)
        return None

    def _start(self) -> ServerRecord:
        crashes = self._crashes()
        key = self._spec.key
        # A new name for each start: the files of a server that is still exiting are not reused.
        name = f"{key}-{secrets.token_hex(3)}"
        paths = ServerPaths(
            socket=self._directory / f"{name}.sock",
            api_key_file=self._directory / f"{name}.api_key",
            record_file=record_file(self._directory, key),
            log_file=self._directory / f"{key}.log",
        )
        if len(os.fsencode(paths.socket)) > MAX_SOCKET_PATH:
            raise ConfigurationError(
                ErrorCode.SERVERS_DIRECTORY,
                f"The path {paths.socket} is too long for a Unix socket ({MAX_SOCKET_PATH} bytes at most). "
                "Set DEEPSEEK_OCR_SERVERS to a shorter directory.",
            )
        create_api_key(paths.api_key_file)
        with contextlib.ExitStack() as undo:
            # An unregistered server would keep the device's memory, and no task would find it.
            undo.callback(paths.api_key_file.unlink, missing_ok=True)
            undo.callback(paths.api_key_file.with_suffix(_LIFE).unlink, missing_ok=True)
            record = self._launch(paths, crashes, undo)
            record.save(self._directory)
            undo.pop_all()
        log.info("Started a server for %s (process %d).", self._spec.description, record.pid)
        return record

    def _launch(
        self, paths: ServerPaths, crashes: list[float], undo: contextlib.ExitStack
    ) -> ServerRecord:
        spec = self._spec
        command = spec.launch_command(paths)
        with contextlib.suppress(FileNotFoundError):
            paths.log_file.replace(paths.log_file.with_suffix(".previous.log"))
        life_file = paths.api_key_file.with_suffix(_LIFE)
        with life_lock(life_file) as descriptor:
            process = start_detached(command, paths.log_file, keep_open=[descriptor])
        # This process is the parent, so the number is not reused before it is reaped here.
        undo.callback(lambda: kill_process_group(process.pid))
        return ServerRecord(
            key=spec.key,
            kind=spec.kind,
            description=spec.description,
            version=__version__,
            pid=process.pid,
            created=process.create_time(),
            url=command.url,
            socket=str(command.socket) if command.socket else None,
            api_key_file=str(paths.api_key_file),
            log_file=str(paths.log_file),
            crashes=crashes,
            namespace=process_namespace(),
            hostname=socket.gethostname(),
            life_file=str(life_file),
        )

    def _crashes(self) -> list[float]:
        """Return the times of recent crashes, and remove what the last server left.

        :raises UnavailableError: ``server_crashes`` if there are too many.
        """
        last = load_record(self._directory, self._spec.key)
        if last is None:
            return []
        now = time.time()
        crashes = [when for when in last.crashes if when > now - CRASH_WINDOW_S]
        reason = find_reason(Path(last.log_file))
        if last.failure is None or not last.failure.before_ready:
            log.warning(
                "The server (%s) crashed%s. The end of its log:\n%s",
                last.place,
                f": {reason}" if reason else "",
                log_tail(Path(last.log_file)),
            )
            crashes.append(now)
        kill_server(last)
        last.remove(self._directory)
        if len(crashes) >= self._max_crashes:
            raise UnavailableError(
                ErrorCode.SERVER_CRASHES,
                f"The server for {self._spec.description} crashed {len(crashes)} times within "
                f"{CRASH_WINDOW_S / 60:g} minutes. Remove the cause that its log {last.log_file} names"
                f"{f' ({reason})' if reason else ''}, and try again. The log ends: "
                f"{log_tail(Path(last.log_file))}",
            )
        return crashes

    def _wait_until_ready(self, record: ServerRecord, deadline: float) -> Endpoint | None:
        """Wait for the server and repeat its log; return None if it ended without registering an error."""
        endpoint = _endpoint_if_ready(record)
        if endpoint is not None:
            return endpoint
        if record.is_foreign:
            log.info("Waiting for the server of another container: %s.", record.place)
        with contextlib.closing(LogFollower(Path(record.log_file))) as follower:
            while True:
                if not record.is_alive():
                    follower.forward()
                    self._raise_start_failure(record)
                    return None
                endpoint = _endpoint_if_ready(record)
                follower.forward()
                if endpoint is not None:
                    return endpoint
                if time.monotonic() > deadline:
                    raise self._start_timeout(record)
                time.sleep(_POLL_S)

    def _start_timeout(self, record: ServerRecord) -> UnavailableError:
        remedy = "It is still loading, so a retry may succeed"
        if record.is_foreign:
            remedy = (
                "It is left alone, because another container started it. If it is not loading, stop it there "
                f"(airflow-deepseek-ocr stop {record.key}), or set {DIRECTORY_VARIABLE} to a directory that "
                "this container does not share"
            )
        return UnavailableError(
            ErrorCode.SERVER_START_TIMEOUT,
            f"The server ({record.place}) was not ready in {self._start_timeout_s:g} s. {remedy}; its log is "
            f"{record.log_file}.",
        )

    def _raise_start_failure(self, record: ServerRecord) -> None:
        current = load_record(self._directory, record.key)
        if current is None or current.pid != record.pid or current.failure is None:
            return
        if current.failure.before_ready:
            error = current.failure.to_error()
            raise type(error)(error.code, f"The server could not start: {error}")


def _endpoint_if_ready(record: ServerRecord) -> Endpoint | None:
    try:
        endpoint = record.endpoint
        with endpoint.client(_HEALTH_TIMEOUT) as client:
            # Unlike /health/ready, this request counts as a use, so the server does not exit as idle now.
            return endpoint if client.get("/v1/models").status_code == httpx.codes.OK else None
    except (httpx.TransportError, DeepSeekOCRError):
        return None
