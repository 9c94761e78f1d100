"""The state behind the server's routes: the engine once it is loaded, and the limits."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import torch

from airflow_deepseek_ocr import __version__
from airflow_deepseek_ocr.engines.in_process.engine import InProcessEngine
from airflow_deepseek_ocr.engines.protocol.chat_completions import Capabilities, own_capabilities
from airflow_deepseek_ocr.exceptions import DeepSeekOCRError, ErrorCode, UnavailableError
from airflow_deepseek_ocr.hardware.cpu_limits import server_threads
from airflow_deepseek_ocr.hardware.gpu import device_memory
from airflow_deepseek_ocr.model_server.admission import (
    PAGE_TOKENS,
    Admission,
    Ticket,
    estimated_tokens,
)
from airflow_deepseek_ocr.model_server.body_budget import BodyBudget
from airflow_deepseek_ocr.model_server.dispatcher import Dispatcher
from airflow_deepseek_ocr.model_server.metrics import Load, Metrics
from airflow_deepseek_ocr.model_server.received_page_files import ReceivedPageFiles
from airflow_deepseek_ocr.model_server.request_parsing import ParsedPage
from airflow_deepseek_ocr.ocr.decoding import Decoding

log = logging.getLogger(__name__)

#: Pages admitted per slot: the next ones are prepared meanwhile. Clients of further pages should wait or use
#: another server.
_ADMITTED_PER_SLOT = 2
#: Least number of pages admitted: several clients may share a server with four slots.
_MIN_ADMITTED = 32
#: Largest request, in bytes: an uncompressed page of 30 megapixels, in base64.
MAX_BODY_BYTES = 128 << 20
#: Largest requests that are received at the same time, and until they are parsed; smaller ones are more: 50
#: pages of 5 MB, as compressed images of 300 dpi have.
_BODIES = 2


class State(StrEnum):
    """State of the server, as ``/health/ready`` reports it."""

    LOADING = "loading"
    READY = "ready"
    FAILED = "failed"  #: the model could not be loaded
    BROKEN = "broken"  #: the engine ended


@dataclass(frozen=True, kw_only=True)
class Model:
    """The model to serve.

    :param directory: a complete model directory.
    :param name: name that requests must use.
    :param revision: revision of the model; empty if unknown.
    :param device: see :class:`InProcessEngine`, like ``dtype``, ``batch_size``, ``decoding``.
    """

    directory: Path
    name: str
    revision: str = ""
    device: str = "auto"
    dtype: str = "auto"
    batch_size: int | None = None
    decoding: Decoding | None = None


def load_engine(model: Model) -> InProcessEngine:
    """Load the model into an engine that uses the CPU cores this process may use."""
    threads = server_threads()
    if threads is not None:
        torch.set_num_threads(threads)
    return InProcessEngine(
        model.directory,
        device=model.device,
        dtype=model.dtype,
        batch_size=model.batch_size,
        decoding=model.decoding,
    )


class Service:
    """The engine, and the admission of pages to it.

    :param model: model to serve.
    :param max_pending_tokens: estimated tokens of all admitted pages; None for those of twice as many pages
        as the engine has slots.
    :param max_body_bytes: largest request, and largest page file.
    :param page_directory: directory to create for page files of clients on this host; None to accept no
        files.
    :param load: loads the engine.
    :param on_end: called from another thread when the engine could not be loaded, or ended.
    """

    def __init__(
        self,
        model: Model,
        *,
        max_pending_tokens: int | None = None,
        max_body_bytes: int = MAX_BODY_BYTES,
        page_directory: Path | None = None,
        load: Callable[[Model], InProcessEngine] = load_engine,
        on_end: Callable[[], None],
    ) -> None:
        self.metrics = Metrics()
        self.max_body_bytes = max_body_bytes
        self.bodies = BodyBudget(_BODIES * max_body_bytes)
        self.page_files = (
            ReceivedPageFiles(page_directory, max_body_bytes) if page_directory else None
        )
        self.capabilities: Capabilities | None = None
        self.failure: DeepSeekOCRError | None = None
        self.state = State.LOADING
        self.dispatcher: Dispatcher
        self._model, self._load_engine, self._on_end = model, load, on_end
        self._max_pending_tokens = max_pending_tokens
        self._admission = Admission(0)
        self._last_used = time.monotonic()

    def load(self) -> None:
        """Load the model in another thread; :attr:`capabilities` are set when it is ready."""
        threading.Thread(target=self._load, name="load", daemon=True).start()

    def _load(self) -> None:
        try:
            self._start()
        except Exception as error:
            self._fail(State.FAILED, ErrorCode.SERVER_FAILED, error)
            return
        self.state = State.READY
        self.metrics.ready.set(1)

    def _start(self) -> None:
        model = self._model
        if self.page_files:
            self.page_files.open()
        engine = self._load_engine(model)
        slots = engine.plan().slots
        self.dispatcher = Dispatcher(engine, self._broken, slots)
        self.dispatcher.start()
        usual = max(_ADMITTED_PER_SLOT * slots, _MIN_ADMITTED) * PAGE_TOKENS
        self._admission = Admission(self._max_pending_tokens or usual)
        self.metrics.watch(lambda: self._load_of(engine))
        self.metrics.describe(
            version=__version__,
            model=model.name,
            revision=model.revision,
            device=engine.device,
            dtype=str(engine.dtype).removeprefix("torch."),
        )
        self.touch()
        self.capabilities = own_capabilities(
            model.name,
            model.revision,
            engine.decoding,
            engine.family(),
            context_length=engine.page_length,
            pages=slots,
            max_body_bytes=self.max_body_bytes,
            version=__version__,
            device=engine.device,
            dtype=str(engine.dtype).removeprefix("torch."),
            page_directory=self.page_files.url if self.page_files else None,
            smallest_print=engine.smallest_print(),
        )
        log.info(
            "Ready on %s: %d slots, %d CPU threads", engine.device, slots, torch.get_num_threads()
        )

    def _load_of(self, engine: InProcessEngine) -> Load:
        return Load(
            device_seconds=engine.clock.seconds(),
            preempted_pages=engine.preempted_pages,
            occupancy=engine.occupancy(),
            queued_pages=self.dispatcher.queued,
            oldest_page_s=self._admission.oldest_s,
            max_pending_tokens=self._admission.max_tokens,
            device_memory=device_memory(engine.device),
        )

    def _broken(self) -> None:
        self.metrics.ready.set(0)
        self.capabilities = None
        self._fail(State.BROKEN, ErrorCode.SERVER_BROKEN, RuntimeError("The engine ended."))

    def _fail(self, state: State, code: ErrorCode, error: Exception) -> None:
        if not isinstance(error, DeepSeekOCRError):
            error = UnavailableError(code, f"{type(error).__name__}: {error}")
        self.failure, self.state = error, state
        self._on_end()

    def close(self) -> None:
        """End the engine's thread, and remove page files."""
        if self.capabilities is not None:
            self.dispatcher.stop()
        if self.page_files:
            self.page_files.close()

    def touch(self) -> None:
        """Note that a client uses the server."""
        self._last_used = time.monotonic()

    @property
    def idle_s(self) -> float:
        """Seconds since a client used the server; 0 while it loads or has pages."""
        if self._admission.pages or self.state == State.LOADING:
            return 0.0
        return time.monotonic() - self._last_used

    @contextmanager
    def admit(self, client: str) -> Iterator[Ticket | None]:
        """Yield the ticket for a page, or None; see :meth:`Admission.admit`."""
        try:
            with self._admission.admit(client) as ticket:
                self._count()
                yield ticket
        finally:
            self._count()
            self.touch()

    def weigh(self, ticket: Ticket, page: ParsedPage) -> None:
        """Replace the ticket's tokens by an estimate, once the page is known."""
        if self.capabilities is not None:
            ticket.tokens = estimated_tokens(page, self.capabilities)
            self._count()

    def _count(self) -> None:
        self.metrics.pending_pages.set(self._admission.pages)
        self.metrics.pending_tokens.set(self._admission.tokens)
