"""Forbidden actions, tried from inside a child: whether the kernel really refuses them on this host."""

from __future__ import annotations

import ctypes
import os
import socket
from collections.abc import Callable
from pathlib import Path

from airflow_deepseek_ocr.ocr.rendering.sandbox.kernel import call
from airflow_deepseek_ocr.temporary_directory import temporary_directory

#: ``io_uring_setup`` has this number on all architectures.
_IO_URING_SETUP = 425


def run_probes() -> tuple[list[str], list[str]]:
    """Try each action, and undo those that succeed.

    :return: the names of allowed actions, and those of refused ones.
    """
    allowed: list[str] = []
    refused: list[str] = []
    for name, action in _ACTIONS.items():
        try:
            action()
        except OSError:
            refused.append(name)
        else:
            allowed.append(name)
    return allowed, refused


def _read_secrets() -> None:
    Path(f"/proc/{os.getppid()}/environ").read_bytes()


def _read_files() -> None:
    Path("/etc/passwd").read_bytes()


def _write_files() -> None:
    path = temporary_directory() / f"deepseek-ocr-probe-{os.getpid()}"
    path.touch(exist_ok=False)
    path.unlink()


def _socket(family: int, kind: int) -> Callable[[], None]:
    return lambda: socket.socket(family, kind).close()


def _start_process() -> None:
    process = os.fork()
    if process == 0:
        os._exit(0)
    os.waitpid(process, 0)


def _signal_task() -> None:
    # Signal 0 does nothing but check the permission.
    os.kill(os.getppid(), 0)


def _io_uring() -> None:
    # The structure has 120 bytes (linux/io_uring.h).
    os.close(call(_IO_URING_SETUP, 1, ctypes.create_string_buffer(120)))


_ACTIONS: dict[str, Callable[[], None]] = {
    "reading the task's environment": _read_secrets,
    "reading other files": _read_files,
    "writing files": _write_files,
    "TCP": _socket(socket.AF_INET, socket.SOCK_STREAM),
    "UDP": _socket(socket.AF_INET, socket.SOCK_DGRAM),
    "Unix sockets": _socket(socket.AF_UNIX, socket.SOCK_STREAM),
    "netlink": _socket(socket.AF_NETLINK, socket.SOCK_RAW),
    "starting processes": _start_process,
    "signals to the task": _signal_task,
    "io_uring": _io_uring,
}
