"""Registry of the servers on this host: one JSON file for each, in a directory of the user."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import psutil

from airflow_deepseek_ocr.engines.protocol.api_key import read_api_key
from airflow_deepseek_ocr.engines.protocol.endpoint import Endpoint
from airflow_deepseek_ocr.engines.protocol.page_files import remove_page_directory
from airflow_deepseek_ocr.engines.protocol.private_directory import make_private_directory
from airflow_deepseek_ocr.engines.supervisor.life_lock import is_held, listens
from airflow_deepseek_ocr.engines.supervisor.process_namespace import process_namespace
from airflow_deepseek_ocr.exceptions import (
    ConfigurationError,
    DeepSeekOCRError,
    ErrorCode,
    UnavailableError,
    error_code,
)
from airflow_deepseek_ocr.temporary_directory import temporary_directory

log = logging.getLogger(__name__)

#: Environment variable that names another directory for the registry, such as one that two containers share.
DIRECTORY_VARIABLE = "DEEPSEEK_OCR_SERVERS"
#: Two start times within this are the same: the kernel counts them in ticks of 1/100 s (``proc(5)``), and
#: psutil adds the boot time, which it may read with a different fraction of a second.
_START_TIME_TOLERANCE_S = 0.5


def servers_directory() -> Path:
    """Return the directory of the registry for this user and host; create it if it is missing.

    The directory is on a local disk by default: hosts may share a home directory, but not servers.

    :raises ConfigurationError: ``servers_directory`` if it cannot be created, belongs to another user, or
        is open to others.
    :raises UnavailableError: ``local_disk`` if the disk is full.
    """
    name = f"airflow-deepseek-ocr-{os.geteuid()}"
    # Absolute: servers have another working directory than the tasks that start them.
    directory = Path(os.environ.get(DIRECTORY_VARIABLE) or temporary_directory() / name).absolute()
    make_private_directory(
        directory,
        lambda reason: ConfigurationError(
            ErrorCode.SERVERS_DIRECTORY,
            f"{reason} Remove it, or set {DIRECTORY_VARIABLE} to another directory.",
        ),
        parents=True,
    )
    return directory


@dataclass(frozen=True, kw_only=True)
class Failure:
    """Error that ended a server.

    :param code: code of the error.
    :param message: message of the error.
    :param permanent: a setting is wrong, so another start fails in the same way.
    """

    code: ErrorCode
    message: str
    permanent: bool

    @classmethod
    def from_error(cls, error: DeepSeekOCRError) -> Failure:
        """Return the failure to register for an error.

        :param error: error that ends the server.
        """
        permanent = isinstance(error, ConfigurationError)
        return cls(code=error.code, message=str(error), permanent=permanent)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Failure:
        """Return the failure that a server registered.

        :param values: JSON object; a code that this version does not know becomes ``server_failed``.
        :raises KeyError: a field is missing.
        """
        return cls(
            code=error_code(values["code"], ErrorCode.SERVER_FAILED),
            message=values["message"],
            permanent=values["permanent"],
        )

    @property
    def before_ready(self) -> bool:
        """Whether the server failed before it was ready; another start would probably fail as well."""
        return self.code is not ErrorCode.SERVER_BROKEN

    def to_error(self) -> DeepSeekOCRError:
        """Return the error to raise in a task."""
        kind = ConfigurationError if self.permanent else UnavailableError
        return kind(self.code, self.message)


@dataclass(frozen=True, kw_only=True)
class ServerRecord:
    """Registered server.

    :param key: name in the registry; see :class:`~.server_spec.ServerSpec`.
    :param kind: ``resident`` or ``vllm``.
    :param description: model and device, for logs and messages.
    :param version: version of this package that started it.
    :param pid: id of its process, which leads a session and a process group.
    :param created: start time of that process by the kernel, in seconds since the epoch.
    :param url: base URL of its API.
    :param socket: path of its Unix socket; None if it listens on a TCP port.
    :param api_key_file: file with its API key.
    :param log_file: file with its output.
    :param crashes: times at which earlier servers of this key crashed, in seconds since the epoch.
    :param failure: error that ended it, if it could still register one.
    :param namespace: process namespace of ``pid``, see :func:`~.process_namespace.process_namespace`; empty
        for that of the reader.
    :param hostname: name of the host or container in which it runs.
    :param life_file: file that it has locked for its life; empty if there is none.
    """

    key: str
    kind: str
    description: str
    version: str
    pid: int
    created: float
    url: str
    socket: str | None
    api_key_file: str
    log_file: str
    crashes: list[float] = field(default_factory=list)
    failure: Failure | None = None
    namespace: str = ""
    hostname: str = ""
    life_file: str = ""

    @property
    def endpoint(self) -> Endpoint:
        """Address and API key for requests.

        :raises UnavailableError: ``server_api_key`` if the key file is gone, as it is when the server is.
        """
        api_key = read_api_key(Path(self.api_key_file))
        return Endpoint(self.url, api_key, Path(self.socket) if self.socket else None)

    @property
    def is_foreign(self) -> bool:
        """Whether the server was started in another process namespace: in another container, or before a
        restart of this one. Its process id means nothing here."""
        return self.namespace not in ("", process_namespace())

    def is_alive(self) -> bool:
        """Return whether the server runs, in this container or another one."""
        if not self.is_foreign:
            return self.process() is not None
        if self.life_file and is_held(Path(self.life_file)):
            return True
        return self.socket is not None and listens(Path(self.socket))

    @property
    def place(self) -> str:
        """Process and container of the server, for logs and messages."""
        if self.is_foreign:
            return f"process {self.pid} of the container or host {self.hostname}"
        return f"process {self.pid}"

    def process(self) -> psutil.Process | None:
        """Return the server's process; None if it has ended, or is one of another container."""
        if self.is_foreign:
            return None
        try:
            process = psutil.Process(self.pid)
            running = self._is(process) and process.status() != psutil.STATUS_ZOMBIE
        except psutil.Error:
            return None
        return process if running else None

    def owns_process_group(self) -> bool:
        """Return whether the process group with the server's number, if it exists, is the server's.

        The kernel does not reuse the number of a group that has members, until the host reboots or the
        container ends.
        """
        if self.is_foreign:
            return False
        try:
            return self._is(psutil.Process(self.pid))
        except psutil.Error:
            return bool(self.created > psutil.boot_time())

    def _is(self, process: psutil.Process) -> bool:
        return abs(float(process.create_time()) - self.created) < _START_TIME_TOLERANCE_S

    def with_failure(self, error: DeepSeekOCRError) -> ServerRecord:
        """Return a copy with the error that ended the server.

        :param error: error that ended it.
        """
        return replace(self, failure=Failure.from_error(error))

    def save(self, directory: Path) -> None:
        """Write the record atomically.

        :param directory: directory of the registry.
        :raises OSError: it cannot be written.
        """
        path = record_file(directory, self.key)
        partial = path.with_suffix(f".{os.getpid()}.partial")
        try:
            partial.write_text(json.dumps(asdict(self)))
            partial.replace(path)
        except OSError:
            partial.unlink(missing_ok=True)
            raise

    def remove(self, directory: Path) -> None:
        """Remove the record and the server's API key, lock, socket and page files; the log stays.

        :param directory: directory of the registry.
        :raises OSError: a file cannot be removed.
        """
        for path in (record_file(directory, self.key), Path(self.api_key_file)):
            path.unlink(missing_ok=True)
        if self.life_file:
            Path(self.life_file).unlink(missing_ok=True)
        if self.socket:
            Path(self.socket).unlink(missing_ok=True)
            remove_page_directory(Path(self.socket))


def record_file(directory: Path, key: str) -> Path:
    """Return the path of a server's record.

    :param directory: directory of the registry.
    :param key: name of the server.
    """
    return directory / f"{key}.json"


def load_record(directory: Path, key: str) -> ServerRecord | None:
    """Return the record of a server; None if it is missing or cannot be read.

    :param directory: directory of the registry.
    :param key: name of the server.
    """
    try:
        values: dict[str, Any] = json.loads(record_file(directory, key).read_bytes())
        failure = values.pop("failure", None)
        return ServerRecord(**values, failure=Failure.from_json(failure) if failure else None)
    except (OSError, ValueError, TypeError, AttributeError, KeyError):
        return None


def all_records(directory: Path) -> Iterator[ServerRecord]:
    """Iterate over all readable records, ordered by key.

    :param directory: directory of the registry.
    """
    for path in sorted(directory.glob("*.json")):
        record = load_record(directory, path.stem)
        if record is not None:
            yield record


@contextmanager
def record_exit(path: Path | None) -> Iterator[None]:
    """Register how the server that runs in this block ends.

    A server that was asked to stop, or was idle, removes its record. A server that fails adds the error.

    :param path: the server's record; None for a server that was not started by a task.
    """
    if path is None:
        yield
        return
    try:
        yield
    except DeepSeekOCRError as error:
        record = _own_record(path)
        if record is not None:
            _save_failure(record.with_failure(error), path.parent)
        raise
    record = _own_record(path)
    if record is not None:
        _remove(record, path.parent)


def _save_failure(record: ServerRecord, directory: Path) -> None:
    try:
        record.save(directory)
    except OSError as error:
        # Only a warning: the last lines of the log must be the error that ended the server.
        log.warning("The server's failure cannot be registered in %s: %s", directory, error)


def _remove(record: ServerRecord, directory: Path) -> None:
    try:
        record.remove(directory)
    except OSError as error:
        # Only a warning: the next task sees that the process is gone.
        log.warning("The server's record cannot be removed from %s: %s", directory, error)


def _own_record(path: Path) -> ServerRecord | None:
    """Return the record, unless another process has taken its place."""
    record = load_record(path.parent, path.stem)
    own = record is not None and record.pid == os.getpid() and record.process() is not None
    return record if own else None
