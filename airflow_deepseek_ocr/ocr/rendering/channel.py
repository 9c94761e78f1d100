"""Messages as bytes on a socket: a header of fixed size, then the payload of :mod:`.messages`.

Each request has a sequence number, which its answer repeats: an answer that comes too late, or twice, is not
taken for that of the next request.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Callable, Sequence
from typing import Any

from airflow_deepseek_ocr.ocr.rendering.message_values import MessageError
from airflow_deepseek_ocr.ocr.rendering.messages import (
    MAX_PAYLOAD_BYTES,
    Answer,
    Request,
    decode,
    encode,
)

#: Kind of message, sequence number, and bytes of the payload.
_HEADER = struct.Struct("!BII")

#: Bytes that are received at once: memory is taken for bytes that came, not for bytes that were announced.
_CHUNK = 1 << 16

#: Files that come with a request, at most: a document and a memory file.
MOST_FILES = 2

#: Sequence number of a child's first message.
FIRST = 0


class ParentEnd:
    """The parent's end of the socket, which waits for nothing without a deadline.

    :param connection: the socket; it becomes non-blocking.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._sequence = FIRST
        connection.setblocking(False)

    def send(self, request: Request, descriptors: Sequence[int], wait: Callable[[], None]) -> None:
        """Send a request.

        :param descriptors: open files that the child receives with the request.
        :param wait: return when the socket is writable; raise when the time is up.
        :raises OSError: the child closed its end.
        """
        self._sequence += 1
        kind, payload = encode(request)
        data = memoryview(_HEADER.pack(kind, self._sequence, len(payload)) + payload)
        wait()
        data = data[socket.send_fds(self._connection, [data], list(descriptors)) :]
        while data:
            wait()
            data = data[self._connection.send(data) :]

    def receive(self, wait: Callable[[], None]) -> Any:
        """Return the answer to the last request, or the child's first message.

        :param wait: return when the socket is readable; raise when the time is up.
        :raises MessageError: the answer breaks the rules of :mod:`.messages`, is too long, or belongs to
            another request.
        :raises EOFError: the child closed its end.
        :raises OSError: the connection broke.
        """
        kind, sequence, size = _HEADER.unpack(self._read(_HEADER.size, wait))
        if sequence != self._sequence:
            raise MessageError("the answer to another request")
        if size > MAX_PAYLOAD_BYTES:
            raise MessageError(f"{size:,} bytes")
        return decode(kind, self._read(size, wait))

    def _read(self, count: int, wait: Callable[[], None]) -> bytes:
        data = bytearray()
        while len(data) < count:
            wait()
            # Descriptors that the child may have sent are closed by the kernel.
            chunk = self._connection.recv(min(_CHUNK, count - len(data)))
            if not chunk:
                raise EOFError
            data += chunk
        return bytes(data)


class ChildEnd:
    """The child's end of the socket. Besides ``read`` and ``write`` it needs the system call ``recvmsg``.

    :param descriptor: the socket.
    """

    def __init__(self, descriptor: int) -> None:
        self._connection = socket.socket(fileno=descriptor)
        self._sequence = FIRST

    def receive(self) -> tuple[Any, list[int]]:
        """Return the next request, and the files that came with it.

        :raises EOFError: the parent closed its end.
        :raises MessageError: the request breaks the rules of :mod:`.messages`.
        """
        size = _HEADER.size
        head, descriptors, _, _ = socket.recv_fds(self._connection, size, MOST_FILES)
        head += self._read(size - len(head)) if head else b""
        if not head:
            raise EOFError
        kind, self._sequence, size = _HEADER.unpack(head)
        return decode(kind, self._read(size)), descriptors

    def send(self, answer: Answer) -> None:
        """Send the answer to the last request.

        :raises OSError: the parent closed its end.
        """
        kind, payload = encode(answer)
        data = memoryview(_HEADER.pack(kind, self._sequence, len(payload)) + payload)
        while data:
            data = data[os.write(self._connection.fileno(), data) :]

    def close(self) -> None:
        """Close the socket."""
        self._connection.close()

    def _read(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            chunk = os.read(self._connection.fileno(), count - len(data))
            if not chunk:
                raise EOFError
            data += chunk
        return data
