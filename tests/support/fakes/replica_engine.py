"""An engine for tests of balancing: it reads at a given pace, fails when told, and hangs when told."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Iterable

from airflow_deepseek_ocr.concurrency.prefetch import Prefetcher, stop_of
from airflow_deepseek_ocr.exceptions import DeepSeekOCRError, ServerUnreachableError
from airflow_deepseek_ocr.ocr.engine_protocol import (
    FinishReason,
    PageOutput,
    PageRequest,
    Progress,
    cancelled_error,
)
from airflow_deepseek_ocr.ocr.families.deepseek_ocr import DEEPSEEK_OCR
from airflow_deepseek_ocr.ocr.families.family import ModelFamily


class ReplicaEngine:
    """Answers pages with its name.

    :param name: text of the outputs.
    :param room: pages that it has at once.
    :param page_s: seconds for which a page takes room.
    :param modes: resolution modes it has.
    """

    def __init__(
        self, name: str, room: int = 4, page_s: float = 0.0, modes: tuple[str, ...] = ("base",)
    ) -> None:
        self.name, self.room, self.page_s, self._modes = name, room, page_s, modes
        self.error: DeepSeekOCRError | None = None
        #: Called before each output; may set an error.
        self.before_output: Callable[[PageRequest], None] = lambda request: None
        self.hangs = threading.Event()
        self.read_keys: list[object] = []
        self.most = 0
        self.closed = False

    def family(self) -> ModelFamily:
        """Return DeepSeek-OCR."""
        return DEEPSEEK_OCR

    def smallest_print(self) -> float:
        """Return 0: any print."""
        return 0.0

    def modes(self) -> tuple[str, ...]:
        """Return the modes."""
        self._raise()
        return self._modes

    def check(self) -> None:
        """Return unless it fails or hangs."""
        self._raise()
        if self.hangs.is_set():
            raise ServerUnreachableError(f"{self.name} does not respond")

    def read(
        self, requests: Iterable[PageRequest], progress: Callable[[Progress], None] | None = None
    ) -> Generator[PageOutput, None, None]:
        """Yield the outputs, a bounded number of pages at a time."""
        self._raise()
        held: list[tuple[float, PageRequest]] = []
        with Prefetcher(requests, lambda each: each, bound=1, stop=stop_of(requests)) as ahead:
            while True:
                while len(held) < self.room and (page := ahead.take(wait=not held)) is not None:
                    held.append((time.monotonic() + self.page_s, page))
                self.most = max(self.most, len(held))
                if not held:
                    if ahead.over:
                        return
                    continue
                yield from self._ended(held)
                time.sleep(0.001)

    def _ended(self, held: list[tuple[float, PageRequest]]) -> Generator[PageOutput, None, None]:
        for item in list(held):
            ends, request = item
            if request.cancelled():
                held.remove(item)
                yield PageOutput(key=request.key, error=cancelled_error())
            elif time.monotonic() >= ends and not self.hangs.is_set():
                self.before_output(request)
                self._raise()
                held.remove(item)
                self.read_keys.append(request.key)
                yield PageOutput(
                    key=request.key,
                    text=self.name,
                    finish_reason=FinishReason.STOP,
                    text_tokens=100,
                )

    def close(self) -> None:
        """Take note of it."""
        self.closed = True

    def _raise(self) -> None:
        if self.error is not None:
            raise self.error
