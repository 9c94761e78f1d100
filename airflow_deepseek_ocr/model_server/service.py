"""What is behind the server's routes: the engine once it is loaded, and the limits."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import torch

from airflow_deepseek_ocr import __version__
from airflow_deepseek_ocr.engines.in_process.engine import InProcessEngine
from airflow_deepseek_ocr.engines.protocol.chat_completions import Capabilities, own_capabilities
from airflow_deepseek_ocr.hardware.cpu_limits import server_threads
from airflow_deepseek_ocr.model_server.admission import PAGE_TOKENS, Place, Places, estimated_tokens
from airflow_deepseek_ocr.model_server.dispatcher import Pages
from airflow_deepseek_ocr.model_server.metrics import Metrics
from airflow_deepseek_ocr.model_server.received_page_files import PageFiles
from airflow_deepseek_ocr.model_server.request_parsing import ParsedPage
from airflow_deepseek_ocr.ocr.decoding import Decoding

log = logging.getLogger(__name__)

#: Pages accepted for each that is read at once: the next ones are prepared meanwhile, and a caller whose
#: page would wait longer had better know.
_ACCEPTED_PER_SLOT = 2
#: And at least so many: a few callers of a server that reads four at once.
_LEAST_ACCEPTED = 32
#: Largest request, in bytes: a page of 30 megapixels without compression, in base64.
MAX_BODY_BYTES = 128 << 20


@dataclass(frozen=True)
class Model:
    """What is served.

    :param directory: a complete model directory.
    :param name: what requests must call it.
    :param revision: its revision; empty if it has none.
    :param device: see :class:`InProcessEngine`, like ``dtype``, ``batch_size``, ``decoding``.
    """

    directory: Path
    name: str
    revision: str = ""
    device: str = "auto"
    dtype: str = "auto"
    batch_size: int | None = None
    decoding: Decoding = field(default_factory=Decoding)


class Service:
    """The engine and who uses it.

    :param model: what to serve.
    :param max_pending_tokens: estimated tokens of the pages accepted at once; those of twice as many pages
        as the engine reads at once if None.
    :param max_body_bytes: largest request, and largest file of a page.
    :param page_directory: to be made for pages that callers on this host hand over as files; None if they
        may not.
    :param on_end: called when the engine failed to load or to go on, from another thread.
    """

    def __init__(
        self,
        model: Model,
        *,
        max_pending_tokens: int | None = None,
        max_body_bytes: int = MAX_BODY_BYTES,
        page_directory: Path | None = None,
        on_end: Callable[[], None],
    ) -> None:
        self.metrics = Metrics()
        self.max_body_bytes = max_body_bytes
        self.page_files = PageFiles(page_directory, max_body_bytes) if page_directory else None
        self.capabilities: Capabilities | None = None
        self.failure: Exception | None = None
        self.state = "loading"
        self.pages: Pages
        self._model, self._on_end = model, on_end
        self._max_pending_tokens = max_pending_tokens
        self._places = Places(0)
        self._last_used = time.monotonic()

    def load(self) -> None:
        """Load the model in a thread of its own; :attr:`capabilities` are there when it is done."""
        threading.Thread(target=self._load, name="load", daemon=True).start()

    def _load(self) -> None:
        model = self._model
        try:
            if self.page_files:
                self.page_files.open()
            threads = server_threads()
            if threads is not None:
                torch.set_num_threads(threads)
            engine = InProcessEngine(
                model.directory,
                device=model.device,
                dtype=model.dtype,
                batch_size=model.batch_size,
                decoding=model.decoding,
            )
            slots = engine.plan().slots
            self.metrics.watch_engine(engine.clock.seconds, lambda: engine.begun_anew)
            self.pages = Pages(engine, self._broken, slots)
            self.pages.start()
            usual = max(_ACCEPTED_PER_SLOT * slots, _LEAST_ACCEPTED) * PAGE_TOKENS
            self._places = Places(self._max_pending_tokens or usual)
            self.touch()
            self.capabilities = own_capabilities(
                model.name,
                model.revision,
                engine.decoding,
                context_length=engine.page_length,
                pages=slots,
                max_body_bytes=self.max_body_bytes,
                version=__version__,
                device=engine.device,
                dtype=str(engine.dtype).removeprefix("torch."),
                page_directory=self.page_files.url if self.page_files else None,
            )
        except Exception as error:
            self.failure, self.state = error, "failed"
            self._on_end()
            return
        self.state = "ready"
        self.metrics.ready.set(1)
        log.info(
            "Ready on %s: %d pages at once, %d threads of the CPU's",
            engine.device,
            slots,
            torch.get_num_threads(),
        )

    def _broken(self) -> None:
        self.capabilities, self.state = None, "broken"
        self.failure = RuntimeError("The engine ended.")
        self.metrics.ready.set(0)
        self._on_end()

    def close(self) -> None:
        """Let the engine's thread end, and remove what was handed over."""
        if self.capabilities is not None:
            self.pages.stop()
        if self.page_files:
            self.page_files.close()

    def touch(self) -> None:
        """Somebody uses the server."""
        self._last_used = time.monotonic()

    @property
    def idle_s(self) -> float:
        """Seconds since somebody used the server; 0 while it loads or pages are being read."""
        if self._places.pages or self.state == "loading":
            return 0.0
        return time.monotonic() - self._last_used

    @contextmanager
    def place(self, caller: str) -> Iterator[Place | None]:
        """A place among the pages accepted, if there is one; for the event loop's thread.

        :param caller: whose page it is for.
        """
        try:
            with self._places.place(caller) as place:
                self._count()
                yield place
        finally:
            self._count()
            self.touch()

    def weigh(self, place: Place, page: ParsedPage) -> None:
        """Note what the page in that place is estimated to take, now that it is there."""
        if self.capabilities is not None:
            place.tokens = estimated_tokens(page, self.capabilities)
            self._count()

    def _count(self) -> None:
        self.metrics.pending.set(self._places.pages)
        self.metrics.pending_tokens.set(self._places.tokens)
