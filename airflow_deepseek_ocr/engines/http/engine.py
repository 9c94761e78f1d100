"""The model behind HTTP: any server that speaks OpenAI's chat completions, ours and vLLM alike."""

from __future__ import annotations

import logging
import queue
import secrets
import time
from collections.abc import AsyncIterator, Callable, Generator, Iterable, Iterator
from concurrent.futures import CancelledError, Future
from contextlib import AbstractAsyncContextManager, contextmanager, suppress

import httpx
from tenacity import AsyncRetrying, retry_if_exception_type

from airflow_deepseek_ocr.concurrency.event_loop_thread import EventLoopThread
from airflow_deepseek_ocr.concurrency.prefetch import Prefetcher, stop_of
from airflow_deepseek_ocr.engines.http.page_exchange import (
    EncodedPage,
    Images,
    encode,
    reading_of,
    request_body,
)
from airflow_deepseek_ocr.engines.http.responses import (
    content_of,
    retry_after,
    said_in,
    unreachable,
)
from airflow_deepseek_ocr.engines.http.server_probe import (
    ask_capabilities,
    ask_modes,
    prove_no_repeat_ngram,
    require_device,
    require_forced,
)
from airflow_deepseek_ocr.engines.http.session import (
    BrokenError,
    FullError,
    NoFileError,
    Patience,
    Session,
    Trouble,
    TryAgainError,
    UnreachableError,
    Wait,
)
from airflow_deepseek_ocr.engines.protocol.chat_completions import (
    CLIENT_HEADER,
    NO_PAGE_FILE,
    PUBLISHED_TABLE_CELLS,
    Capabilities,
)
from airflow_deepseek_ocr.engines.protocol.endpoint import Endpoint
from airflow_deepseek_ocr.exceptions import (
    ConfigurationError,
    DeepSeekOCRError,
    DocumentError,
    ErrorCode,
    UnavailableError,
    error_code,
)
from airflow_deepseek_ocr.hardware.cpu_limits import usable_cores
from airflow_deepseek_ocr.ocr.decoding import Decoding
from airflow_deepseek_ocr.ocr.engine_protocol import PageOutput, PageRequest, Progress

log = logging.getLogger(__name__)

#: Pages in flight where neither the connection nor the server says how many.
DEFAULT_PAGES = 32
#: Pages in flight beyond those that a server of ours reads at once: the next ones are on their way and
#: prepared meanwhile. At least as many as it prepares ahead.
_PAGES_AHEAD = 32
#: Pages that are ready to be sent; one is made ready in a fraction of the time that a page takes, and each
#: takes 20 MB.
_ENCODED = 8
#: Pages that are made ready at once: compressing works outside Python's lock.
_MOST_ENCODING = 4
_POLL_S = 0.05
_PROGRESS_EVERY_S = 5.0


class HttpEngine:
    """Reads pages on a server; see :class:`airflow_deepseek_ocr.ocr.engine_protocol.Engine`.

    :param find: where the server is. Called at the first page and again when the server is gone; a
        managed server is started by it.
    :param model: the name the server must serve the model by.
    :param revision: the revision it must serve, as far as it says; empty for any.
    :param decoding: how text is generated.
    :param pages: most pages in flight; by what the server says if None.
    :param table_cells: ids of tokens that the guard lets repeat.
    :param patience: time-outs and tries.
    :param device: where a server of this package must compute; ``auto`` for anywhere.
    :param dtype: in which number format, likewise.
    """

    def __init__(
        self,
        find: Callable[[], Endpoint],
        *,
        model: str,
        revision: str = "",
        decoding: Decoding | None = None,
        pages: int | None = None,
        table_cells: tuple[int, ...] = PUBLISHED_TABLE_CELLS,
        patience: Patience | None = None,
        device: str = "auto",
        dtype: str = "auto",
    ) -> None:
        self._find, self._model, self._revision = find, model, revision
        self._decoding, self._pages = decoding or Decoding(), pages
        self._table_cells, self._patience = table_cells, patience or Patience()
        self._device, self._dtype = device, dtype
        self._caller = secrets.token_hex(8)
        self._images = Images()
        self._met: tuple[Endpoint, Capabilities] | None = None

    def capabilities(self) -> Capabilities:
        """What the server can do, by its own account; the guard is proven.

        :raises UnavailableError: ``server_unreachable``, ``server_answer``, or what ``find`` raises.
        :raises ConfigurationError: ``api_key``, ``server_model``, ``server_revision``,
            ``server_guard``.
        """
        return self._meet()[1]

    def modes(self) -> tuple[str, ...]:
        """See :meth:`airflow_deepseek_ocr.ocr.engine_protocol.Engine.modes`."""
        return self.capabilities().modes

    def read(
        self, requests: Iterable[PageRequest], progress: Callable[[Progress], None] | None = None
    ) -> Generator[PageOutput, None, None]:
        """See :meth:`airflow_deepseek_ocr.ocr.engine_protocol.Engine.read`.

        :raises UnavailableError: there is no server to be had; see also :meth:`capabilities`.
        :raises ConfigurationError: the server cannot read so: ``server_mode``, ``server_prompt``;
            see also :meth:`capabilities`.
        """
        endpoint, capabilities = self._meet()
        bound = self._bound(capabilities)
        # None: a page is ready to be sent.
        events: queue.SimpleQueue[Future[PageOutput] | None] = queue.SimpleQueue()
        in_flight: dict[Future[PageOutput], PageRequest] = {}
        finished, looked = 0, time.monotonic()
        told = looked
        with (
            EventLoopThread() as background,
            self._session(background, endpoint, bound) as session,
            Prefetcher(
                requests,
                lambda each: encode(each, self._capabilities_now(), session.endpoint),
                bound=min(bound, _ENCODED),
                workers=min(_MOST_ENCODING, usable_cores()),
                on_ready=lambda: events.put(None),
                stop=stop_of(requests),
            ) as pages,
            _cancelled_at_the_end(in_flight),
        ):
            while True:
                while len(in_flight) < bound:
                    page = pages.take(wait=not in_flight)
                    if page is None:
                        break
                    future = background.start(self._read_page(session, page))
                    in_flight[future] = page.request
                    future.add_done_callback(events.put)
                if not in_flight:
                    if pages.over:
                        return
                    continue
                with suppress(queue.Empty):
                    ended = events.get(timeout=_POLL_S)
                    if ended is not None:
                        request = in_flight.pop(ended)
                        finished += 1
                        yield _result(ended, request)
                if time.monotonic() - looked >= _POLL_S:
                    looked = time.monotonic()
                    for each, request in in_flight.items():
                        if request.cancelled():
                            each.cancel()
                if progress and time.monotonic() - told >= _PROGRESS_EVERY_S:
                    told = time.monotonic()
                    progress(Progress(finished, len(in_flight), 0))

    def close(self) -> None:
        """Nothing to release: connections end with :meth:`read`, a managed server by itself."""

    def _bound(self, capabilities: Capabilities) -> int:
        if self._pages is not None:
            return self._pages
        if capabilities.pages is None:
            return DEFAULT_PAGES
        return capabilities.pages + min(capabilities.pages, _PAGES_AHEAD)

    def _meet(self) -> tuple[Endpoint, Capabilities]:
        """Find the server; a server that is not the one of the last time is asked what it can do."""
        endpoint = self._find()
        if self._met is None or self._met[0] != endpoint:
            with endpoint.client(self._patience.timeout) as client:
                capabilities = ask_capabilities(client, endpoint, self._model, self._revision)
                capabilities = ask_modes(client, endpoint, capabilities)
                require_device(capabilities, self._device, self._dtype)
                if self._decoding.forced:
                    require_forced(capabilities)
                if self._decoding.ngram_size:
                    prove_no_repeat_ngram(client, endpoint, capabilities, self._decoding)
            self._met = endpoint, capabilities
        return self._met

    @contextmanager
    def _session(
        self, background: EventLoopThread, endpoint: Endpoint, connections: int
    ) -> Iterator[Session]:
        session = Session(
            endpoint,
            lambda: self._meet()[0],
            lambda each: each.async_client(self._patience.timeout, connections),
        )
        try:
            yield session
        finally:
            background.finish(session.close())

    def _capabilities_now(self) -> Capabilities:
        if self._met is None:
            raise RuntimeError("read() meets the server first")
        return self._met[1]

    async def _read_page(self, session: Session, page: EncodedPage) -> PageOutput:
        """A reading, whatever happens to this page alone.

        :raises DeepSeekOCRError: what concerns all pages: no server, wrong secret.
        """
        patience, trouble = self._patience, Trouble(self._patience)
        retrying = AsyncRetrying(
            retry=retry_if_exception_type(TryAgainError),
            stop=trouble.too_much,
            wait=Wait(patience.longest_wait_s),
            reraise=True,
        )
        try:
            async for attempt in retrying:
                with attempt:
                    async with session.alone(trouble.broken > 0):
                        return await self._try(session, page, files=trouble.files)
        except UnreachableError as error:
            raise error.error from None
        except TryAgainError as error:
            return PageOutput(key=page.request.key, error=error.error)
        raise AssertionError("tenacity ends with an answer or an error")

    async def _try(self, session: Session, page: EncodedPage, *, files: bool) -> PageOutput:
        async with session.turn() as sent:
            # The server may be replaced while a file is written for it.
            endpoint, client, capabilities = (
                session.endpoint,
                session.client,
                self._capabilities_now(),
            )
            async with self._images.sent(page, capabilities, endpoint, sent, files=files) as image:
                parts = request_body(
                    page, image.url, capabilities, self._decoding, self._table_cells
                )
                answer = client.stream(
                    "POST",
                    "/v1/chat/completions",
                    content=_and_then(parts, image.on_sent),
                    headers={
                        CLIENT_HEADER: self._caller,
                        "Content-Type": "application/json",
                        "Content-Length": str(sum(map(len, parts))),
                    },
                )
                return await self._answer(session, endpoint, page, answer)

    async def _answer(
        self,
        session: Session,
        endpoint: Endpoint,
        page: EncodedPage,
        answer: AbstractAsyncContextManager[httpx.Response],
    ) -> PageOutput:
        started = time.monotonic()
        try:
            async with answer as response:
                content = await content_of(response)
        except httpx.ConnectError as error:
            await session.renew(endpoint)
            raise UnreachableError(unreachable(endpoint, error)) from None
        except httpx.ConnectTimeout as error:
            raise UnreachableError(unreachable(endpoint, error)) from None
        except httpx.TimeoutException:
            return PageOutput(
                key=page.request.key,
                error=UnavailableError(
                    ErrorCode.SERVER_TIMEOUT,
                    f"The server did not read this page in {self._patience.page_s:g} s. Choose a "
                    "smaller resolution or maximum output length, or a faster device.",
                ),
            )
        except httpx.TransportError as error:
            await session.renew(endpoint)
            raise BrokenError(
                UnavailableError(
                    ErrorCode.SERVER_BROKEN,
                    f"The connection to the server broke while it read this page "
                    f"({type(error).__name__}); see the server's log.",
                )
            ) from None
        if response.status_code == httpx.codes.OK:
            return reading_of(page, content, time.monotonic() - started, self._capabilities_now())
        return await self._refused(session, endpoint, page, response, content)

    async def _refused(
        self,
        session: Session,
        endpoint: Endpoint,
        page: EncodedPage,
        response: httpx.Response,
        content: bytes,
    ) -> PageOutput:
        status, key = response.status_code, page.request.key
        code, message = said_in(content)
        said = endpoint.redact(f"{status} {message}".strip())
        if status == httpx.codes.TOO_MANY_REQUESTS:
            full = UnavailableError(ErrorCode.SERVER_FULL, f"The server stayed full: {said}")
            raise FullError(full, retry_after(response))
        if status in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
            # A managed server that was replaced has another secret.
            if await session.renew(endpoint):
                raise TryAgainError(UnavailableError(ErrorCode.SERVER_API_KEY, said))
            raise ConfigurationError(
                ErrorCode.SERVER_API_KEY,
                f"The server refuses the secret ({status}). Set the connection's password to the one "
                "the server was started with.",
            )
        if status >= 500:
            if response.headers.get("x-should-retry") == "false":
                return PageOutput(
                    key=key,
                    error=UnavailableError(error_code(code, ErrorCode.SERVER_ERROR), message),
                )
            if status == httpx.codes.SERVICE_UNAVAILABLE:
                await session.renew(endpoint)
            raise TryAgainError(
                UnavailableError(ErrorCode.SERVER_ERROR, f"The server failed on this page: {said}"),
                retry_after(response),
            )
        if status == httpx.codes.NOT_FOUND:
            raise ConfigurationError(
                ErrorCode.SERVER_MODEL, f"The server has no such model or address: {said}"
            )
        if status == httpx.codes.REQUEST_ENTITY_TOO_LARGE:
            return PageOutput(
                key=key,
                error=DocumentError(
                    ErrorCode.PAGE_TOO_LARGE,
                    "The page is larger than the server takes. Render it with fewer dpi, or raise the "
                    "server's limit.",
                ),
            )
        refused = UnavailableError(
            ErrorCode.SERVER_REFUSED, f"The server refused this page: {said}"
        )
        if code == NO_PAGE_FILE:
            raise NoFileError(refused)
        return PageOutput(key=key, error=refused)


async def _and_then(parts: Iterable[bytes], call: Callable[[], None]) -> AsyncIterator[bytes]:
    for part in parts:
        yield part
    call()


@contextmanager
def _cancelled_at_the_end(futures: Iterable[Future[PageOutput]]) -> Generator[None, None, None]:
    try:
        yield
    finally:
        for future in list(futures):
            future.cancel()


def _result(future: Future[PageOutput], request: PageRequest) -> PageOutput:
    try:
        return future.result()
    except CancelledError:
        error: DeepSeekOCRError = UnavailableError(
            ErrorCode.CANCELLED, "Nobody waits for this page any more."
        )
        return PageOutput(key=request.key, error=error)
