"""A rendering process that tries to break out: the product's program and sandbox, with other answers."""

from __future__ import annotations

import ctypes
import mmap
import os
import resource
import socket
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO

from airflow_deepseek_ocr.ocr.rendering import worker
from airflow_deepseek_ocr.ocr.rendering.messages import Answer, Probed, ProbeRequest, Request
from airflow_deepseek_ocr.ocr.rendering.sandbox.kernel import call

_LIBC = ctypes.CDLL(None, use_errno=True)
X86 = os.uname().machine == "x86_64"


def _libc(name: str, *arguments: object) -> Callable[[], None]:
    def action() -> None:
        if getattr(_LIBC, name)(*arguments) < 0:
            raise OSError(ctypes.get_errno(), name)

    return action


def _system(x86: int, arm: int, *arguments: object) -> Callable[[], None]:
    return lambda: _ignore(call(x86 if X86 else arm, *arguments))


def _ignore(result: object) -> None:
    del result


def _open(path: str, flags: int = os.O_RDONLY) -> Callable[[], None]:
    return lambda: os.close(
        os.open(path.format(parent=os.getppid(), own=os.getpid()), flags, 0o600)
    )


def _socket(family: int, kind: int) -> Callable[[], None]:
    return lambda: socket.socket(family, kind).close()


def _map(protection: int, flags: int) -> Callable[[], None]:
    return lambda: mmap.mmap(-1, 4096, flags=flags, prot=protection).close()


def _executable() -> None:
    """Make memory executable that was writable: how machine code from a document would run."""
    with mmap.mmap(-1, 4096, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as memory:
        address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
        _libc("mprotect", ctypes.c_void_p(address), ctypes.c_size_t(4096), 5)()


def _thread() -> None:
    done = []
    thread = threading.Thread(target=lambda: done.append(1))
    try:
        thread.start()
    except RuntimeError as error:
        raise OSError(str(error)) from error
    thread.join()


def _environment() -> None:
    if not any("SECRET" in name or name.startswith("AIRFLOW") for name in os.environ):
        raise OSError("no secrets")


def _limit(kind: int) -> Callable[[], None]:
    return lambda: resource.setrlimit(kind, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def _sigio() -> None:
    import fcntl

    fcntl.fcntl(0, fcntl.F_SETOWN, os.getppid())


#: Actions that must be refused, by name.
FORBIDDEN: dict[str, Callable[[], None]] = {
    "environment of the parent": _open("/proc/{parent}/environ"),
    "memory of the parent": _open("/proc/{parent}/mem"),
    "own status": _open("/proc/{own}/status"),
    "users": _open("/etc/passwd"),
    "root": lambda: _ignore(list(Path("/").iterdir())),
    "homes": lambda: _ignore(list(Path("/home").iterdir())),
    "current directory": lambda: _ignore(list(Path().iterdir())),
    "package data": _open(str(Path(__file__).parents[3] / "pyproject.toml")),
    "temporary file": _open("/tmp/probe", os.O_CREAT | os.O_WRONLY),
    "temporary file without a name": _open("/tmp", os.O_TMPFILE | os.O_WRONLY),
    "file in the current directory": _open("probe", os.O_CREAT | os.O_WRONLY),
    "writing a font": _open("/usr/share/fonts/probe", os.O_CREAT | os.O_WRONLY),
    "writing the library": _open(os.__file__, os.O_WRONLY),
    "directory": lambda: Path("/tmp/probe.d").mkdir(),
    "link": lambda: Path("/tmp/probe.l").symlink_to("/etc/passwd"),
    "mode of an open file": lambda: os.fchmod(0, 0o777),
    "TCP": _socket(socket.AF_INET, socket.SOCK_STREAM),
    "TCP over IPv6": _socket(socket.AF_INET6, socket.SOCK_STREAM),
    "UDP": _socket(socket.AF_INET, socket.SOCK_DGRAM),
    "Unix socket": _socket(socket.AF_UNIX, socket.SOCK_STREAM),
    "netlink": _socket(socket.AF_NETLINK, socket.SOCK_RAW),
    "packet socket": _socket(socket.AF_PACKET, socket.SOCK_RAW),
    "pair of sockets": lambda: _ignore(socket.socketpair()),
    "program": lambda: os.execv("/bin/true", ["true"]),
    "program from memory": lambda: _system(322, 281, 0, b"", None, None, 0x1000)(),
    "memory file": lambda: _ignore(os.memfd_create("x")),
    "fork": lambda: _ignore(os.fork() or os._exit(0)),
    "vfork by clone": _system(56, 220, 17, 0, 0, 0, 0),
    "namespaces": _system(272, 97, 0x10000000),
    "signal to the parent": lambda: os.kill(os.getppid(), 0),
    "signal to all": lambda: os.kill(-1, 0),
    "signal by thread": _system(200, 130, os.getppid(), 0),
    "signal by descriptor": lambda: os.close(os.pidfd_open(os.getppid())),
    "signal by input": _sigio,
    "ptrace": _system(101, 117, 16, os.getppid(), 0, 0),
    "memory by process_vm_readv": _system(310, 270, os.getppid(), None, 0, None, 0, 0),
    "io_uring": _system(425, 425, 1, ctypes.create_string_buffer(120)),
    "bpf": _system(321, 280, 0, None, 0),
    "performance events": _system(298, 241, None, 0, -1, -1, 0),
    "user faults": _system(323, 282, 0),
    "keys": _system(250, 219, 0, -3, 0),
    "mount": _system(165, 40, b"none", b"/tmp", b"tmpfs", 0, None),
    "file handles": _system(304, 265, -1, None, 0),
    "limits of memory": _limit(resource.RLIMIT_DATA),
    "limits of files": _limit(resource.RLIMIT_FSIZE),
    "executable memory": _executable,
    "mapping of executable memory": _map(mmap.PROT_READ | mmap.PROT_EXEC, mmap.MAP_PRIVATE),
    "shared memory": _map(mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_SHARED),
    "unknown system call": _system(600, 600),
    "secrets in the environment": _environment,
}

#: Actions that decoders need.
NEEDED: dict[str, Callable[[], None]] = {
    "thread": _thread,
    "memory": _map(mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS),
    "fonts": lambda: _ignore(list(Path("/usr/share/fonts").iterdir())),
    "standard library": _open(os.__file__),
    "signal to itself": lambda: os.kill(os.getpid(), 0),
    "import": lambda: _ignore(__import__("colorsys")),
}


class ProbingRequests(worker.Requests):
    """Tries all actions, and opens other files in the directory of the document."""

    def answer(self, request: Request, files: Sequence[BinaryIO]) -> Answer:
        if not isinstance(request, ProbeRequest):
            return super().answer(request, files)
        allowed, refused = [], []
        for name, action in (FORBIDDEN | NEEDED).items():
            try:
                action()
            except (OSError, ValueError):
                refused.append(name)
            else:
                allowed.append(name)
        return Probed(tuple(allowed), tuple(refused))


if __name__ == "__main__":
    sys.exit(worker.main(sys.argv[1:], ProbingRequests))
