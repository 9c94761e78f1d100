"""Delivery of a page's image to a server: as a file beside its socket, or within the request."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from airflow_deepseek_ocr.concurrency.event_loop_thread import run_in_daemon_thread
from airflow_deepseek_ocr.engines.http.image_encoding import data_url
from airflow_deepseek_ocr.engines.http.page_file_writer import WriteImage, page_file, write_image
from airflow_deepseek_ocr.engines.protocol.chat_completions import Capabilities
from airflow_deepseek_ocr.engines.protocol.endpoint import Endpoint
from airflow_deepseek_ocr.engines.protocol.page_files import PageFileTooLargeError, page_directory
from airflow_deepseek_ocr.ocr.engine_protocol import PageRequest
from airflow_deepseek_ocr.ocr.prompts import prompt_line

if TYPE_CHECKING:
    from airflow_deepseek_ocr.ocr.page_pixels import PageImage

log = logging.getLogger(__name__)

#: Seconds for which pages go within requests after a file could not be written.
_FILE_RETRY_S = 60.0


@dataclass(frozen=True)
class Server:
    """A server, and its capabilities.

    :param endpoint: address and credentials.
    :param capabilities: as the server reports them.
    """

    endpoint: Endpoint
    capabilities: Capabilities

    @property
    def takes_files(self) -> bool:
        """Whether the server takes pages as files from this host."""
        return (
            self.capabilities.page_directory is not None and self.endpoint.socket_path is not None
        )


@dataclass(frozen=True, kw_only=True)
class EncodedPage:
    """A page that is ready to be sent.

    :param request: the page and how to process it.
    :param image_url: image as data URL, in ASCII; None if the image goes as a file.
    :param line: the prompt's text line.
    :param size: width and height of the image in pixels.
    """

    request: PageRequest
    image_url: bytes | None
    line: str
    size: tuple[int, int]


@dataclass(frozen=True)
class DeliveredImage:
    """An image that a request may refer to.

    :param url: data URL, or URL of a file, in ASCII.
    :param on_sent: to be called when the request is sent.
    """

    url: bytes
    on_sent: Callable[[], None]


def can_write_page_files(endpoint: Endpoint) -> bool:
    """Return whether this process has the page directory of the server, and may write to it.

    :param endpoint: the server.
    """
    if endpoint.socket_path is None:
        return False
    directory = page_directory(endpoint.socket_path)
    try:
        # Another user's files could not be read by the server.
        ours = directory.stat().st_uid == os.geteuid()
    except OSError:
        return False
    return ours and os.access(directory, os.W_OK | os.X_OK)


class EncodeImage(Protocol):
    """Encodes an image as data URL, as :func:`~airflow_deepseek_ocr.engines.http.image_encoding.data_url`."""

    def __call__(self, image: PageImage, *, local: bool, limit: int | None = None) -> str:
        """Return the data URL."""
        ...


class ImageDelivery:
    """Delivers images as files to servers that take them, and within requests to all others.

    :param write: writes an image file.
    :param encode: encodes an image for a request.
    :param file_retry_s: seconds for which no file is tried after one could not be written.
    """

    def __init__(
        self,
        *,
        write: WriteImage = write_image,
        encode: EncodeImage = data_url,
        file_retry_s: float = _FILE_RETRY_S,
    ) -> None:
        self._write, self._encode, self._file_retry_s = write, encode, file_retry_s
        self._no_files_until = 0.0

    def prepare(self, request: PageRequest, server: Server) -> EncodedPage:
        """Encode a page, unless its image goes as a file, which is written only when the page is sent.

        :raises ConfigurationError: ``server_mode``, ``server_prompt``: not supported by the server.
        """
        server.capabilities.require(request.prompt, request.resolution)
        return EncodedPage(
            request=request,
            image_url=None if server.takes_files else self._data_url(request, server),
            line=prompt_line(request.prompt),
            size=request.image.size,
        )

    @asynccontextmanager
    async def deliver(
        self,
        page: EncodedPage,
        server: Server,
        on_delivered: Callable[[], None],
        *,
        as_file: bool = True,
    ) -> AsyncIterator[DeliveredImage]:
        """Deliver the page's image; a file exists while the context is open, or until the server takes it.

        :param page: page to send.
        :param server: receiver, which may be another server than the page was prepared for.
        :param on_delivered: called when the server has the image.
        :param as_file: whether a file may be used.
        """
        async with AsyncExitStack() as stack:
            url = page.image_url
            if url is None and as_file and server.takes_files:
                file = await self._deliver_file(stack, page, server, on_delivered)
                if file is not None:
                    yield DeliveredImage(file, lambda: None)
                    return
            if url is None:
                url = await run_in_daemon_thread(lambda: self._data_url(page.request, server))
            yield DeliveredImage(url, on_delivered)

    def _data_url(self, request: PageRequest, server: Server) -> bytes:
        limit = server.capabilities.max_body_bytes
        return self._encode(request.image, local=server.endpoint.local, limit=limit).encode()

    async def _deliver_file(
        self,
        stack: AsyncExitStack,
        page: EncodedPage,
        server: Server,
        on_taken: Callable[[], None],
    ) -> bytes | None:
        """Return the URL of a file that stays until the stack is closed; None if none can be written."""
        socket = server.endpoint.socket_path
        if socket is None or time.monotonic() < self._no_files_until:
            return None
        directory, limit = page_directory(socket), server.capabilities.max_body_bytes
        file = page_file(
            page.request.image, directory, limit=limit, on_taken=on_taken, write=self._write
        )
        try:
            name = await stack.enter_async_context(file)
        except PageFileTooLargeError:
            return None  # the server refuses the request with the reason
        except OSError as error:
            # A directory disappears with its server; the request fails then, and finds the next server.
            if not isinstance(error, FileNotFoundError) or socket.exists():
                self._pause_files(f"{directory} ({error.strerror or error})")
            return None
        return f"{server.capabilities.page_directory}/{name}".encode()

    def _pause_files(self, reason: str) -> None:
        """Send pages within requests for a while; several files may fail at the same time."""
        if time.monotonic() < self._no_files_until:
            return
        self._no_files_until = time.monotonic() + self._file_retry_s
        log.warning(
            "For the next %.0f s pages go to the server within requests, which is slower: nothing can be "
            "written to %s.",
            self._file_retry_s,
            reason,
        )
