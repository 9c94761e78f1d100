"""One server for all tasks of a host: found, started, watched while it loads, replaced, stopped."""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import filelock
import httpx
import psutil
from packaging.version import Version

from airflow_deepseek_ocr import __version__
from airflow_deepseek_ocr.engines.protocol.endpoint import Endpoint
from airflow_deepseek_ocr.engines.supervisor.api_key import create_api_key
from airflow_deepseek_ocr.engines.supervisor.registry import ServerRecord, load_record
from airflow_deepseek_ocr.exceptions import (
    ConfigurationError,
    DeepSeekOCRError,
    ErrorCode,
    UnavailableError,
    local_disk,
)

log = logging.getLogger(__name__)

#: Starts after a crash within :data:`_CRASH_WINDOW_S`: beyond, the crashes have a lasting reason.
_MOST_CRASHES = 5
_CRASH_WINDOW_S = 900.0
#: Seconds that a server has to end in, with its pages in flight, before it is killed.
_STOP_TIMEOUT_S = 150.0
_KILL_TIMEOUT_S = 10.0
_POLL_S = 0.1
#: Longest path of a Unix socket on Linux, in bytes (``sun_path`` less its end).
_LONGEST_SOCKET_PATH = 107
#: Shown of a log when its server ended.
_TAIL_BYTES = 2000
_HEALTH_TIMEOUT = httpx.Timeout(5.0)


@dataclass(frozen=True)
class Place:
    """What a server is given to live with.

    :param socket: path for its Unix socket.
    :param api_key_file: what callers will know, already written.
    :param directory: where its record is.
    :param key: its record's.
    """

    socket: Path
    api_key_file: Path
    directory: Path
    key: str


@dataclass(frozen=True)
class Launch:
    """How to start a server at a :class:`Place`.

    :param command: program and arguments.
    :param url: where it will answer.
    :param socket: path of the Unix socket it will answer at, if it will.
    :param environment: variables to set; None removes one.
    """

    command: Sequence[str]
    url: str
    socket: Path | None
    environment: Mapping[str, str | None]


class ServerSpec(Protocol):
    """A server that may be started on this host."""

    @property
    def kind(self) -> str:
        """``resident`` or ``vllm``."""
        ...

    @property
    def key(self) -> str:
        """Names it among the servers of the host: the same for all who can share it."""
        ...

    @property
    def description(self) -> str:
        """What it serves, for people."""
        ...

    def launch(self, place: Place) -> Launch:
        """How to start it."""
        ...


class Supervisor:
    """Keeps one server of a plan alive for all processes of a user on this host.

    :param plan: the server.
    :param directory: where servers are written down.
    :param start_timeout_s: seconds until a server must be ready.
    """

    def __init__(self, plan: ServerSpec, directory: Path, start_timeout_s: float) -> None:
        self._plan, self._directory, self._start_timeout_s = plan, directory, start_timeout_s

    def find(self) -> Endpoint:
        """Where the server answers; it is started if there is none, and waited for until it is ready.

        :raises UnavailableError: ``server_start_timeout``; ``server_crashes`` if it ended by itself
            too often; ``local_disk`` if it cannot be written down; or what it said itself when it could
            not load the model.
        :raises ConfigurationError: likewise.
        """
        deadline = time.monotonic() + self._start_timeout_s
        while True:
            try:
                with self._lock(deadline):
                    record = self._running() or self._start()
            except OSError as error:
                raise local_disk(
                    f"A server cannot be written down in {self._directory}", error
                ) from error
            endpoint = self._wait(record, deadline)
            if endpoint is not None:
                return endpoint

    @contextlib.contextmanager
    def _lock(self, deadline: float) -> Iterator[None]:
        path = self._directory / f"{self._plan.key}.lock"
        try:
            with filelock.FileLock(path, timeout=max(1.0, deadline - time.monotonic())):
                yield
        except filelock.Timeout:
            raise UnavailableError(
                ErrorCode.SERVER_START_TIMEOUT,
                f"Another process has been starting or stopping the server for "
                f"{self._start_timeout_s:g} s ({path}).",
            ) from None

    def _running(self) -> ServerRecord | None:
        record = load_record(self._directory, self._plan.key)
        if record is None or record.process() is None:
            return None
        if Version(record.version) >= Version(__version__):
            return record
        log.info(
            "The server of version %s (process %d) makes room for version %s.",
            record.version,
            record.pid,
            __version__,
        )
        stop_server(record, self._directory)
        return None

    def _start(self) -> ServerRecord:
        crashes = self._crashes()
        plan, name = self._plan, f"{self._plan.key}-{secrets.token_hex(3)}"
        place = Place(
            socket=self._directory / f"{name}.sock",
            api_key_file=self._directory / f"{name}.secret",
            directory=self._directory,
            key=plan.key,
        )
        if len(os.fsencode(place.socket)) > _LONGEST_SOCKET_PATH:
            raise ConfigurationError(
                ErrorCode.SERVERS_DIRECTORY,
                f"The path {place.socket} is too long for a Unix socket.",
            )
        create_api_key(place.api_key_file)
        with contextlib.ExitStack() as undo:
            # Nobody would find what is not written down, and a server would keep the device's memory.
            undo.callback(place.api_key_file.unlink, missing_ok=True)
            record = self._launch(place, crashes, undo)
            record.save(self._directory)
            undo.pop_all()
        log.info("Started a server for %s (process %d)", plan.description, record.pid)
        return record

    def _launch(
        self, place: Place, crashes: list[float], undo: contextlib.ExitStack
    ) -> ServerRecord:
        plan = self._plan
        launch = plan.launch(place)
        log_file = self._directory / f"{plan.key}.log"
        with contextlib.suppress(FileNotFoundError):
            log_file.replace(log_file.with_suffix(".previous.log"))
        process = _start_detached(launch, log_file)
        # Its number is nobody else's as long as this process has it as an object.
        undo.callback(lambda: _kill_group(process.pid))
        return ServerRecord(
            key=plan.key,
            kind=plan.kind,
            description=plan.description,
            version=__version__,
            pid=process.pid,
            created=process.create_time(),
            url=launch.url,
            socket=str(launch.socket) if launch.socket else None,
            api_key_file=str(place.api_key_file),
            log_file=str(log_file),
            crashes=crashes,
        )

    def _crashes(self) -> list[float]:
        """When servers of this plan crashed; the one written down last has.

        :raises UnavailableError: ``server_crashes`` if they are too many.
        """
        last = load_record(self._directory, self._plan.key)
        if last is None:
            return []
        now = time.time()
        crashes = [when for when in last.crashes if when > now - _CRASH_WINDOW_S]
        if last.failure is None or not last.failure.at_start:
            log.warning(
                "The server (process %d) ended without being told to; its log ended:\n%s",
                last.pid,
                log_tail(Path(last.log_file)),
            )
            crashes.append(now)
        kill_session(last)
        last.remove(self._directory)
        if len(crashes) >= _MOST_CRASHES:
            raise UnavailableError(
                ErrorCode.SERVER_CRASHES,
                f"The server for {self._plan.description} ended by itself {len(crashes)} times within "
                f"{_CRASH_WINDOW_S / 60:g} minutes; its log {last.log_file} ended: "
                f"{log_tail(Path(last.log_file))}",
            )
        return crashes

    def _wait(self, record: ServerRecord, deadline: float) -> Endpoint | None:
        """Wait until it is ready, telling what it writes; None if it ended without saying why."""
        endpoint = _ready(record)
        if endpoint is not None:
            return endpoint
        with contextlib.closing(_Follow(Path(record.log_file))) as follow:
            while True:
                if record.process() is None:
                    follow.tell()
                    self._raise_failure(record)
                    return None
                endpoint = _ready(record)
                follow.tell()
                if endpoint is not None:
                    return endpoint
                if time.monotonic() > deadline:
                    raise UnavailableError(
                        ErrorCode.SERVER_START_TIMEOUT,
                        f"The server (process {record.pid}) was not ready in "
                        f"{self._start_timeout_s:g} s. It may go on loading; its log is "
                        f"{record.log_file}.",
                    )
                time.sleep(_POLL_S)

    def _raise_failure(self, record: ServerRecord) -> None:
        now = load_record(self._directory, record.key)
        if now is None or now.pid != record.pid or now.failure is None:
            return
        if now.failure.at_start:
            raise _as_the_servers(now.failure.error())


def stop_server(record: ServerRecord, directory: Path) -> None:
    """Let the server finish its pages and end; kill it if it does not.

    :param record: of the server.
    :param directory: where it is written down.
    """
    process = record.process()
    if process is not None:
        with contextlib.suppress(psutil.Error):
            process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + _STOP_TIMEOUT_S
        # Not wait(): it would never return for a child of ours that nobody reaps.
        while record.process() is not None and time.monotonic() < deadline:
            time.sleep(_POLL_S)
        kill_session(record)
    record.remove(directory)


def kill_session(record: ServerRecord) -> None:
    """Kill what a server left of its process group; servers lead one of their own.

    Records outlive servers and reboots: a group whose number others have by now is left alone.
    """
    if record.group_is_its_own():
        _kill_group(record.pid)


def _kill_group(number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(number, signal.SIGKILL)


def log_tail(path: Path) -> str:
    """The end of a log."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - _TAIL_BYTES))
            return file.read().decode(errors="replace").strip()
    except OSError:
        return ""


def _start_detached(launch: Launch, log_file: Path) -> psutil.Popen:
    """Start a process that outlives this one and all that ends it.

    A session of its own survives the end of the task's process group. Without files of its own the
    server would hold the task's channel to its supervisor open.
    """
    # Airflow's variables hold connections with their secrets, and the task's channel.
    environment = {
        name: value
        for name, value in {**os.environ, **launch.environment}.items()
        if value is not None and not name.startswith(("AIRFLOW", "_AIRFLOW"))
    }
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_NOFOLLOW
    with os.fdopen(os.open(log_file, flags, 0o600), "wb") as output:
        try:
            return psutil.Popen(
                list(launch.command),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd="/",
                env=environment,
                start_new_session=True,
                close_fds=True,
            )
        except OSError as error:
            raise ConfigurationError(
                ErrorCode.SERVER_COMMAND,
                f"The server's program {launch.command[0]!r} cannot be started: {error.strerror}. "
                "Check it in the connection.",
            ) from error


def _ready(record: ServerRecord) -> Endpoint | None:
    try:
        endpoint = record.endpoint
        with endpoint.client(_HEALTH_TIMEOUT) as client:
            # Asking for the models also counts as a use, so that the server does not leave right now.
            return endpoint if client.get("/v1/models").status_code == httpx.codes.OK else None
    except (httpx.TransportError, DeepSeekOCRError):
        return None


def _as_the_servers(error: DeepSeekOCRError) -> DeepSeekOCRError:
    return type(error)(error.code, f"The server could not start: {error}")


class _Follow:
    """Tells what a server writes to its log, in the log of who waits for it."""

    def __init__(self, path: Path) -> None:
        self._file = path.open(errors="replace") if path.exists() else None

    def tell(self) -> None:
        if self._file is None:
            return
        for line in self._file:
            log.info("server: %s", line.rstrip())

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
