"""The lock that a server holds for its life, by which processes of other containers know that it lives.

A process id says nothing in another process namespace. The kernel releases a lock (``flock(2)``) when the
last process that has inherited it is gone, whatever ended it. The server does not know of the lock: it
inherits an open file.
"""

from __future__ import annotations

import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

#: Seconds to wait for a connection at a Unix socket, which the kernel accepts at once if a server listens.
_CONNECT_S = 2.0


@contextmanager
def life_lock(path: Path) -> Iterator[int]:
    """Hold a new lock in this block, and longer in processes that inherit the descriptor.

    :param path: file to create with mode 0600; it stays.
    :return: descriptor of the file.
    :raises OSError: the file cannot be created, or its file system has no locks.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield descriptor
    finally:
        # Closing does not release it: the server has a copy of the descriptor.
        os.close(descriptor)


def is_held(path: Path) -> bool:
    """Return whether a process, of any container, holds the lock.

    :param path: file of the lock.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True  # a file system that cannot tell counts as held: a living server is left alone
    finally:
        os.close(descriptor)
    return False


def listens(path: Path) -> bool:
    """Return whether a process listens at a Unix socket.

    :param path: path of the socket.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(_CONNECT_S)
        try:
            client.connect(str(path))
        except (TimeoutError, BlockingIOError):
            return True  # its queue is full
        except OSError:
            return False
    return True
