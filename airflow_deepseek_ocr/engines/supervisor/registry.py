"""What is written down about the servers that outlive tasks: one file for each, in a directory of the
user's own."""

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

from airflow_deepseek_ocr.engines.protocol.endpoint import Endpoint
from airflow_deepseek_ocr.engines.protocol.page_files import remove_page_directory
from airflow_deepseek_ocr.engines.protocol.private_directory import make_private_directory
from airflow_deepseek_ocr.engines.supervisor.api_key import read_api_key
from airflow_deepseek_ocr.exceptions import (
    ConfigurationError,
    DeepSeekOCRError,
    ErrorCode,
    UnavailableError,
    error_code,
)
from airflow_deepseek_ocr.temporary_directory import temporary_directory

log = logging.getLogger(__name__)

#: Names another directory for the records, such as one that two containers share.
DIRECTORY_VARIABLE = "DEEPSEEK_OCR_SERVERS"
#: Code of the error of a server that was ready and then ended: worth a new start, unlike one that
#: could not start.
BROKEN = ErrorCode.SERVER_BROKEN
#: The kernel keeps start times in hundredths of a second.
_SAME_START_S = 0.5


def servers_directory() -> Path:
    """The directory of this user's servers on this host, made if need be.

    It is on the host's own disk: a home directory may be shared by hosts, which share no servers.

    :raises ConfigurationError: ``servers_directory`` if others own it or may write to it.
    :raises UnavailableError: ``local_disk`` if there is no space for it.
    """
    name = f"airflow-deepseek-ocr-{os.geteuid()}"
    # Servers run in another directory than the tasks that start them.
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


@dataclass(frozen=True)
class Failure:
    """Why a server ended by itself.

    :param code: the error's.
    :param message: the error's.
    :param lasting: a setting is wrong: starting it again ends the same way.
    """

    code: ErrorCode
    message: str
    lasting: bool

    @classmethod
    def of(cls, error: DeepSeekOCRError) -> Failure:
        """That error, to be told by another process."""
        return cls(error.code, str(error), isinstance(error, ConfigurationError))

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Failure:
        """Return the failure that another process, maybe of another version, wrote down."""
        code = error_code(values["code"], ErrorCode.SERVER_FAILED)
        return cls(code, values["message"], values["lasting"])

    @property
    def at_start(self) -> bool:
        """Whether the server never became ready."""
        return self.code != BROKEN

    def error(self) -> DeepSeekOCRError:
        """The error again."""
        kind = ConfigurationError if self.lasting else UnavailableError
        return kind(self.code, self.message)


@dataclass(frozen=True)
class ServerRecord:
    """A server that was started.

    :param key: names it among the servers of the host.
    :param kind: ``resident`` or ``vllm``.
    :param description: what it serves, for people.
    :param version: of this package.
    :param pid: of its process, which leads a session of its own.
    :param created: when that process was started, in seconds since the epoch, by the kernel.
    :param url: where it answers.
    :param socket: path of its Unix socket, if it has one.
    :param api_key_file: what callers must know.
    :param log_file: what it wrote.
    :param crashes: when servers of this key ended without being told to, in seconds since the epoch.
    :param failure: why it ended by itself, as far as it could still say.
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

    @property
    def endpoint(self) -> Endpoint:
        """Where to send requests.

        :raises UnavailableError: ``api_key`` if the secret is gone, as it is with the server.
        """
        secret = read_api_key(Path(self.api_key_file))
        return Endpoint(self.url, secret, Path(self.socket) if self.socket else None)

    def process(self) -> psutil.Process | None:
        """Its process; None if it has ended."""
        try:
            process = psutil.Process(self.pid)
            same = self._is_start_of(process)
            return process if same and process.status() != psutil.STATUS_ZOMBIE else None
        except psutil.Error:
            return None

    def group_is_its_own(self) -> bool:
        """Whether a process group of its number, if there is one, can only be this server's.

        As long as a group has members the kernel gives its number to no other process, but not beyond
        a reboot.
        """
        try:
            return self._is_start_of(psutil.Process(self.pid))
        except psutil.Error:
            return bool(self.created > psutil.boot_time())

    def _is_start_of(self, process: psutil.Process) -> bool:
        return abs(float(process.create_time()) - self.created) < _SAME_START_S

    def with_failure(self, error: DeepSeekOCRError) -> ServerRecord:
        """The record of a server that ended by itself."""
        return replace(self, failure=Failure.of(error))

    def save(self, directory: Path) -> None:
        """Write it, whole or not at all.

        :raises OSError: it cannot be written.
        """
        path = directory / f"{self.key}.json"
        partial = path.with_suffix(f".{os.getpid()}.partial")
        try:
            partial.write_text(json.dumps(asdict(self)))
            partial.replace(path)
        except OSError:
            partial.unlink(missing_ok=True)
            raise

    def remove(self, directory: Path) -> None:
        """Forget the server, and what only it had."""
        for path in (directory / f"{self.key}.json", Path(self.api_key_file)):
            path.unlink(missing_ok=True)
        if self.socket:
            Path(self.socket).unlink(missing_ok=True)
            remove_page_directory(Path(self.socket))


def load_record(directory: Path, key: str) -> ServerRecord | None:
    """The record of that key; None if there is none, or none that can be read."""
    try:
        values: dict[str, Any] = json.loads((directory / f"{key}.json").read_text())
        failure = values.pop("failure", None)
        return ServerRecord(**values, failure=Failure.from_dict(failure) if failure else None)
    except (OSError, ValueError, TypeError):
        return None


def all_records(directory: Path) -> Iterator[ServerRecord]:
    """All records of the directory."""
    for path in sorted(directory.glob("*.json")):
        record = load_record(directory, path.stem)
        if record is not None:
            yield record


@contextmanager
def record_exit(path: Path | None) -> Iterator[None]:
    """Write down how the server in this block ended: forgotten if it was told to, else why.

    :param path: of the server's record; None for a server that nobody keeps.
    """
    if path is None:
        yield
        return
    try:
        yield
    except DeepSeekOCRError as error:
        record = _own_record(path)
        if record is not None:
            _note_failure(record.with_failure(error), path.parent)
        raise
    record = _own_record(path)
    if record is not None:
        _forget(record, path.parent)


def _note_failure(record: ServerRecord, directory: Path) -> None:
    try:
        record.save(directory)
    except OSError as error:
        # The server's log is to end with its own error.
        log.warning("Why the server ended cannot be written down in %s: %s", directory, error)


def _forget(record: ServerRecord, directory: Path) -> None:
    try:
        record.remove(directory)
    except OSError as error:
        # Who looks for the server sees that its process is gone.
        log.warning("The server's record cannot be removed from %s: %s", directory, error)


def _own_record(path: Path) -> ServerRecord | None:
    """The record there, unless it is another process's already."""
    record = load_record(path.parent, path.stem)
    return record if record is not None and record.pid == os.getpid() else None
