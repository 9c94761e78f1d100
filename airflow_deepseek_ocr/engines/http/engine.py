"""The HTTP engine: pages are read by a server with OpenAI's chat completions API, ours and vLLM alike."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from functools import partial

import httpx

from airflow_deepseek_ocr.concurrency.event_loop_thread import EventLoopThread
from airflow_deepseek_ocr.concurrency.prefetch import Prefetcher, stop_of
from airflow_deepseek_ocr.engines.http.image_delivery import (
    ImageDelivery,
    Server,
    can_write_page_files,
)
from airflow_deepseek_ocr.engines.http.page_exchange import PageExchange
from airflow_deepseek_ocr.engines.http.pages_in_flight import POLL_S, PagesInFlight
from airflow_deepseek_ocr.engines.http.retries import RetryPolicy
from airflow_deepseek_ocr.engines.http.server_probe import (
    ask_capabilities,
    ask_modes,
    ask_token_probabilities,
    prove_no_repeat_ngram,
    require_device,
    require_forced,
)
from airflow_deepseek_ocr.engines.http.session import Session, UploadLimits
from airflow_deepseek_ocr.engines.protocol.chat_completions import (
    PUBLISHED_TABLE_CELLS,
    Capabilities,
)
from airflow_deepseek_ocr.engines.protocol.endpoint import Endpoint
from airflow_deepseek_ocr.hardware.cpu_limits import usable_cores
from airflow_deepseek_ocr.hardware.open_files import raise_open_files_limit
from airflow_deepseek_ocr.ocr.decoding import Decoding
from airflow_deepseek_ocr.ocr.engine_protocol import PageOutput, PageRequest, Progress
from airflow_deepseek_ocr.ocr.families.family import ModelFamily
from airflow_deepseek_ocr.ocr.families.registry import DEFAULT_FAMILY

#: Pages in flight if neither the connection nor the server names a number.
DEFAULT_PAGES = 32
#: Most pages in flight beyond those that the model server decodes at once: they are uploaded and prepared
#: meanwhile. At least as many as the server prepares ahead.
_PAGES_AHEAD = 32
#: Most encoded pages that wait to be sent. Encoding takes a fraction of a page's time; a page has 20 MB.
_ENCODED_PAGES = 8
#: Most threads that encode pages; compression does not hold the interpreter lock.
_ENCODING_THREADS = 4
_PROGRESS_INTERVAL_S = 5.0
#: Time-outs of a health check. A server answers while it computes; a loaded one may take seconds.
_CHECK_TIMEOUT = httpx.Timeout(10.0)

#: Creates a client for an endpoint and a number of connections.
Connect = Callable[[Endpoint, int], httpx.AsyncClient]


class HttpEngine:
    """Reads pages on a server; see :class:`airflow_deepseek_ocr.ocr.engine_protocol.Engine`.

    :param find: returns the server's address. Called at the first page, and again when the server fails; it
        starts a managed server.
    :param model: name by which the server must serve the model.
    :param revision: revision that it must serve, if it reports one; empty for any.
    :param family: model family that it must serve.
    :param decoding: settings for text generation.
    :param pages: most pages in flight; None for the number that the server reports.
    :param table_cells: ids of tokens that may repeat in spite of n-gram blocking.
    :param retry_policy: time-outs and numbers of attempts.
    :param device: device that the model server must use; ``auto`` for any.
    :param dtype: dtype that the model server must use; ``auto`` for any.
    :param client_id: name of this client, for the server's fair shares; random if None.
    :param delivery: delivers images.
    :param uploads: limits of concurrent uploads.
    :param connect: creates a client for an endpoint and a number of connections.
    :param poll_s: seconds between two checks for cancelled requests.
    :param progress_interval_s: seconds between two reports of progress.
    """

    def __init__(
        self,
        find: Callable[[], Endpoint],
        *,
        model: str,
        revision: str = "",
        family: ModelFamily = DEFAULT_FAMILY,
        decoding: Decoding | None = None,
        pages: int | None = None,
        table_cells: tuple[int, ...] = PUBLISHED_TABLE_CELLS,
        retry_policy: RetryPolicy | None = None,
        device: str = "auto",
        dtype: str = "auto",
        client_id: str | None = None,
        delivery: ImageDelivery | None = None,
        uploads: UploadLimits | None = None,
        connect: Connect | None = None,
        poll_s: float = POLL_S,
        progress_interval_s: float = _PROGRESS_INTERVAL_S,
    ) -> None:
        self._find, self._model, self._revision = find, model, revision
        self._family = family
        self._decoding, self._pages = decoding or family.decoding(), pages
        self._table_cells, self._retry_policy = table_cells, retry_policy or RetryPolicy()
        self._device, self._dtype = device, dtype
        self._client_id = secrets.token_hex(8) if client_id is None else client_id
        self._delivery, self._uploads = delivery or ImageDelivery(), uploads
        self._connect = connect or (
            lambda endpoint, connections: endpoint.async_client(
                self._retry_policy.timeout, connections
            )
        )
        self._poll_s, self._progress_interval_s = poll_s, progress_interval_s
        self._server: Server | None = None

    def capabilities(self) -> Capabilities:
        """Return the server's capabilities; n-gram blocking has been verified.

        :raises UnavailableError: ``server_unreachable``, ``server_response``, or an error of ``find``.
        :raises ConfigurationError: ``server_api_key``, ``server_model``, ``server_revision``,
            ``model_family``, ``server_device``, ``server_end``, ``server_no_repeat_ngram``.
        """
        return self._find_server().capabilities

    def check(self) -> None:
        """Return if the server responds that :meth:`capabilities` found; find it if there is none yet.

        :raises UnavailableError: ``server_unreachable``, ``server_response``.
        :raises ConfigurationError: see :meth:`capabilities`.
        """
        endpoint = (self._server or self._find_server()).endpoint
        with endpoint.client(_CHECK_TIMEOUT) as client:
            ask_capabilities(client, endpoint, self._model, self._revision, self._family)

    def family(self) -> ModelFamily:
        """See :meth:`airflow_deepseek_ocr.ocr.engine_protocol.Engine.family`."""
        return self._family

    def modes(self) -> tuple[str, ...]:
        """See :meth:`airflow_deepseek_ocr.ocr.engine_protocol.Engine.modes`."""
        return self.capabilities().modes

    def smallest_print(self) -> float:
        """See :meth:`airflow_deepseek_ocr.ocr.engine_protocol.Engine.smallest_print`."""
        reported = self.capabilities().smallest_print
        return self._family.smallest_print if reported is None else reported

    def read(
        self, requests: Iterable[PageRequest], progress: Callable[[Progress], None] | None = None
    ) -> Generator[PageOutput, None, None]:
        """See :meth:`airflow_deepseek_ocr.ocr.engine_protocol.Engine.read`.

        :raises UnavailableError: no server can be reached; see also :meth:`capabilities`.
        :raises ConfigurationError: the server does not support the requests: ``server_mode``,
            ``server_prompt``; see also :meth:`capabilities`.
        """
        server = self._find_server()
        limit = self._page_limit(server.capabilities)
        # Several servers together may have more pages in flight than a process has open files by default.
        raise_open_files_limit()
        finished, reported = 0, time.monotonic()
        loop = EventLoopThread()
        in_flight = PagesInFlight(loop, self._poll_s)
        with (
            loop,
            self._session(loop, server, limit) as session,
            Prefetcher(
                requests,
                lambda request: self._delivery.prepare(request, session.server),
                bound=min(limit, _ENCODED_PAGES),
                workers=min(_ENCODING_THREADS, usable_cores()),
                on_ready=in_flight.wake,
                stop=stop_of(requests),
            ) as encoded,
            # Pages are cancelled before the prefetcher waits for its threads.
            closing(in_flight),
        ):
            exchange = self._exchange(session)
            while True:
                while len(in_flight) < limit:
                    page = encoded.take(wait=not in_flight)
                    if page is None:
                        break
                    in_flight.start(page.request, partial(exchange.read, page))
                if not in_flight:
                    if encoded.over:
                        return
                    continue
                output = in_flight.next_output()
                if output is not None:
                    finished += 1
                    yield output
                if progress and time.monotonic() - reported >= self._progress_interval_s:
                    reported = time.monotonic()
                    progress(Progress(finished, len(in_flight), 0))

    def close(self) -> None:
        """Do nothing: :meth:`read` closes its connections, and a managed server ends when it is idle."""

    def _page_limit(self, capabilities: Capabilities) -> int:
        if self._pages is not None:
            return self._pages
        if capabilities.pages is None:
            return DEFAULT_PAGES
        return capabilities.pages + min(capabilities.pages, _PAGES_AHEAD)

    def _find_server(self) -> Server:
        """Find the server, and ask a server that was not known before for its capabilities."""
        endpoint = self._find()
        if self._server is None or self._server.endpoint != endpoint:
            self._server = Server(endpoint, self._verified_capabilities(endpoint))
        return self._server

    def _verified_capabilities(self, endpoint: Endpoint) -> Capabilities:
        with endpoint.client(self._retry_policy.timeout) as client:
            capabilities = ask_capabilities(
                client, endpoint, self._model, self._revision, self._family
            )
            capabilities = ask_modes(client, endpoint, capabilities)
            require_device(capabilities, self._device, self._dtype)
            if self._decoding.forced:
                require_forced(capabilities)
            if self._decoding.ngram_size:
                prove_no_repeat_ngram(client, endpoint, capabilities, self._decoding)
            if self._decoding.token_probabilities:
                capabilities = ask_token_probabilities(client, endpoint, capabilities)
        if not can_write_page_files(endpoint):
            # The client of a socket may be in another container, or another user.
            return replace(capabilities, page_directory=None)
        return capabilities

    @contextmanager
    def _session(
        self, loop: EventLoopThread, server: Server, connections: int
    ) -> Iterator[Session]:
        session = Session(
            server,
            find=self._find_server,
            connect=lambda endpoint: self._connect(endpoint, connections),
            uploads=self._uploads,
        )
        try:
            yield session
        finally:
            loop.finish(session.close())

    def _exchange(self, session: Session) -> PageExchange:
        return PageExchange(
            session,
            delivery=self._delivery,
            decoding=self._decoding,
            client_id=self._client_id,
            table_cells=self._table_cells,
            retry_policy=self._retry_policy,
        )
