"""Starting real servers: programs, ports, directories, processes, and waiting for them."""

from __future__ import annotations

import contextlib
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

LOOPBACK = "127.0.0.1"
START_TIMEOUT_S = 60.0
TAIL_BYTES = 4000

#: Below the kernel's ports for outgoing connections (net.ipv4.ip_local_port_range): such a connection could
#: take the port of a stopped server, and a client of a stopped server could connect to itself.
PORTS = range(20000, 32000)

#: The kernel sends the signal of prctl(PR_SET_PDEATHSIG) when the thread ends that started the child. So this
#: thread, which lives as long as the tests, starts all children.
_STARTER = ThreadPoolExecutor(1, thread_name_prefix="server-starter")


class ServerUnavailable(RuntimeError):
    """A server cannot run here; the message says what to install. A reason to skip a test."""


def find_program(name: str, packages: str, directories: Sequence[Path] = ()) -> str:
    """Return the path of a program.

    :param packages: apt packages that contain it, for the error message.
    :param directories: searched before PATH and the directories of system programs.
    :raises ServerUnavailable: the program is missing.
    """
    searched = [*map(str, directories), os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"]
    found = shutil.which(name, path=os.pathsep.join(searched))
    if found is None:
        raise ServerUnavailable(
            f"{name} is missing: apt-get install --no-install-recommends {packages}"
        )
    return found


def unprivileged(user: str) -> str | None:
    """Return ``user`` if this process runs as root, which some servers refuse; otherwise None.

    :raises ServerUnavailable: this process runs as root, and the user does not exist.
    """
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam(user).pw_name
    except KeyError:
        raise ServerUnavailable(f"there is no user {user} to run the server as") from None


def free_port() -> int:
    """Return a free TCP port of the loopback interface.

    :raises OSError: no free port was found.
    """
    for _ in range(200):
        # A plugin may seed ``random`` equally in parallel test processes.
        port = secrets.choice(PORTS)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((LOOPBACK, port))
            except OSError:
                continue
            return port
    raise OSError(f"no free port in {PORTS}")


@contextmanager
def data_directory(owner: str | None = None) -> Iterator[Path]:
    """Create a temporary directory, and remove it with its content.

    :param owner: user who owns it; None for the user of this process.
    """
    base = Path(tempfile.gettempdir())
    if owner and not all(directory.stat().st_mode & 0o001 for directory in (base, *base.parents)):
        base = Path("/tmp")  # other users cannot enter the TMPDIR of root
    with tempfile.TemporaryDirectory(prefix="server-", dir=base) as name:
        if owner:
            shutil.chown(name, owner, owner)
        yield Path(name)


def run_tool(
    argv: Sequence[str], cwd: Path, user: str | None = None, timeout_s: float = START_TIMEOUT_S
) -> None:
    """Run a command and wait for its end.

    :raises RuntimeError: it fails; the message has the end of its output.
    :raises subprocess.TimeoutExpired: it takes more than ``timeout_s`` seconds.
    """
    # With a pipe, this would wait for children that outlive the command.
    with tempfile.TemporaryFile() as output:
        status = subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=cwd,
            timeout=timeout_s,
            user=user,
            group=user,
            extra_groups=None if user is None else [],
        ).returncode
        if status != 0:
            output.seek(0)
            tail = output.read()[-TAIL_BYTES:].decode(errors="replace")
            raise RuntimeError(f"{' '.join(argv)}: exit status {status}\n{tail}")


@dataclass
class Process:
    """The process of a server; it can be restarted, and its output is appended to ``log``."""

    argv: Sequence[str]
    cwd: Path
    log: Path
    user: str | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    env: Mapping[str, str] | None = None
    _child: subprocess.Popen[bytes] | None = field(default=None, init=False, repr=False)

    def start(self) -> None:
        """Start the process; do not wait until the server answers.

        :raises RuntimeError: it is running already.
        """
        if self.exit_status is None and self._child is not None:
            raise RuntimeError(f"{self.argv[0]} is running already")
        argv = list(self.argv)
        if setpriv := shutil.which("setpriv"):
            # The server ends with the tests even if they are killed.
            argv = [setpriv, "--pdeathsig", self.stop_signal.name.removeprefix("SIG"), *argv]
        with self.log.open("ab") as log:
            self._child = _STARTER.submit(
                subprocess.Popen,
                argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.cwd,
                env=self.env,
                start_new_session=True,  # Ctrl-C reaches only the tests, which stop the server
                user=self.user,
                group=self.user,
                extra_groups=None if self.user is None else [],
            ).result()

    @property
    def pid(self) -> int:
        """The id of the process.

        :raises RuntimeError: it was never started.
        """
        if self._child is None:
            raise RuntimeError(f"{self.argv[0]} was never started")
        return self._child.pid

    @property
    def exit_status(self) -> int | None:
        """The exit status; None if the process runs or was never started."""
        return None if self._child is None else self._child.poll()

    def stop(self, timeout_s: float = 20) -> None:
        """Ask the process to end, and kill it after ``timeout_s`` seconds."""
        if self._child is None or self._child.returncode is not None:
            return
        self._child.send_signal(self.stop_signal)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._child.wait(timeout_s)
        # A server may leave children in its session.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._child.pid, signal.SIGKILL)
        self._child.wait()

    def kill(self) -> None:
        """Kill the process and all its children."""
        if self._child is None or self._child.poll() is not None:
            return
        family = psutil.Process(self._child.pid)
        members = [family, *family.children(recursive=True)]
        for member in members:
            with contextlib.suppress(psutil.NoSuchProcess):
                member.kill()
        self._child.wait()
        deadline = time.monotonic() + 10
        # Without a parent that waits for them, children of a dead server stay zombies.
        while any(map(_lives, members)) and time.monotonic() < deadline:
            time.sleep(0.02)

    def log_tail(self) -> str:
        """Return the end of the output."""
        return self.log.read_bytes()[-TAIL_BYTES:].decode(errors="replace")


def _lives(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def wait_until(
    predicate: Callable[[], bool], timeout_s: float, what: str, process: Process
) -> None:
    """Wait until ``predicate`` holds while ``process`` runs.

    :param what: names the state in error messages, which contain the end of the log.
    :raises TimeoutError: it takes more than ``timeout_s`` seconds.
    :raises RuntimeError: the process ends.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        holds = predicate()
        if (status := process.exit_status) is not None:
            raise RuntimeError(f"{what}: ended with status {status}\n{process.log_tail()}")
        if holds:
            return
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not in {timeout_s:g} s\n{process.log_tail()}")
        time.sleep(0.05)
