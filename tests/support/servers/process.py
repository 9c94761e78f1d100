"""What starting a real server takes: programs, ports, directories, processes and waiting."""

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

#: Below the ports that the kernel gives to outgoing connections: one of those could take a server's
#: port while the server is away, and a client of the stopped server could even connect to itself.
PORTS = range(20000, 32000)

#: The kernel's "signal at the parent's death" means the death of the thread that started the child,
#: so every child is started by this thread, which lives as long as the tests do.
_STARTER = ThreadPoolExecutor(1, thread_name_prefix="server-starter")


class ServerUnavailable(RuntimeError):
    """A server cannot run here; the message says what to install. A reason to skip a test."""


def find_program(name: str, packages: str, directories: Sequence[Path] = ()) -> str:
    """The path of a program from ``directories``, PATH or the directories for system programs.

    ``packages`` are the apt packages that bring it. Raises ServerUnavailable where it is missing.
    """
    places = [*map(str, directories), os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"]
    found = shutil.which(name, path=os.pathsep.join(places))
    if found is None:
        raise ServerUnavailable(
            f"{name} is missing: apt-get install --no-install-recommends {packages}"
        )
    return found


def unprivileged(user: str) -> str | None:
    """``user`` where we are root, which some servers refuse to run as; else None.

    Raises ServerUnavailable where we are root and there is no such user.
    """
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam(user).pw_name
    except KeyError:
        raise ServerUnavailable(f"there is no user {user} to run the server as") from None


def free_port() -> int:
    """A TCP port of the loopback that nothing listens on. Raises OSError where none is found."""
    for _ in range(200):
        # Not ``random``: a plugin may seed it alike in parallel test processes.
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
    """A temporary directory, given to the user ``owner`` if named, removed with all its contents."""
    base = Path(tempfile.gettempdir())
    if owner and not all(directory.stat().st_mode & 0o001 for directory in (base, *base.parents)):
        base = Path("/tmp")  # a TMPDIR that only root may enter is of no use to another user
    with tempfile.TemporaryDirectory(prefix="server-", dir=base) as name:
        if owner:
            shutil.chown(name, owner, owner)
        yield Path(name)


def run_tool(
    argv: Sequence[str], cwd: Path, user: str | None = None, timeout_s: float = START_TIMEOUT_S
) -> None:
    """Run a command to its end.

    Raises RuntimeError with the end of its output where it fails, and subprocess.TimeoutExpired
    after ``timeout_s`` seconds.
    """
    # A file, not a pipe: a child that outlives the command would keep a pipe open, and us waiting.
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
    """A server's process, which can be started again after a stop; its output goes to ``log``."""

    argv: Sequence[str]
    cwd: Path
    log: Path
    user: str | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    env: Mapping[str, str] | None = None
    _child: subprocess.Popen[bytes] | None = field(default=None, init=False, repr=False)

    def start(self) -> None:
        """Start the process, without waiting until the server answers.

        Raises RuntimeError where it is running already.
        """
        if self.exit_status is None and self._child is not None:
            raise RuntimeError(f"{self.argv[0]} is running already")
        argv = list(self.argv)
        if setpriv := shutil.which("setpriv"):
            # No server outlives tests that were killed.
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
                start_new_session=True,  # Ctrl-C is for the tests, which then stop the server
                user=self.user,
                group=self.user,
                extra_groups=None if self.user is None else [],
            ).result()

    @property
    def exit_status(self) -> int | None:
        """The exit status of a process that ended, None of one that runs or was never started."""
        return None if self._child is None else self._child.poll()

    def stop(self, timeout_s: float = 20) -> None:
        """Ask the process to end and kill it after ``timeout_s`` seconds; nothing if it ended."""
        if self._child is None or self._child.returncode is not None:
            return
        self._child.send_signal(self.stop_signal)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._child.wait(timeout_s)
        # Whatever is left of its session: a server may leave children behind.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._child.pid, signal.SIGKILL)
        self._child.wait()

    def kill(self) -> None:
        """Kill the process and all its children, without a chance to tidy up."""
        if self._child is None or self._child.poll() is not None:
            return
        family = psutil.Process(self._child.pid)
        members = [family, *family.children(recursive=True)]
        for member in members:
            with contextlib.suppress(psutil.NoSuchProcess):
                member.kill()
        self._child.wait()
        deadline = time.monotonic() + 10
        # Nobody may be there to collect the children of a dead server: they stay as zombies.
        while any(map(_lives, members)) and time.monotonic() < deadline:
            time.sleep(0.02)

    def log_tail(self) -> str:
        """The end of what the process wrote."""
        return self.log.read_bytes()[-TAIL_BYTES:].decode(errors="replace")


def _lives(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def wait_until(
    predicate: Callable[[], bool], timeout_s: float, what: str, process: Process
) -> None:
    """Wait until ``predicate`` holds and ``process`` runs; ``what`` names that state in errors.

    Raises TimeoutError after ``timeout_s`` seconds and RuntimeError where the process ends first,
    both with the end of its log.
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
