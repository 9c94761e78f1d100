"""An engine with a script instead of a model: quick, the same every time; and diaries of who read what."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from pathlib import Path

from airflow_deepseek_ocr.concurrency.prefetch import Prefetcher, stop_of
from airflow_deepseek_ocr.ocr.engine_protocol import (
    Engine,
    FinishReason,
    PageOutput,
    PageRequest,
    Progress,
)
from airflow_deepseek_ocr.ocr.families.deepseek_ocr import DEEPSEEK_OCR
from airflow_deepseek_ocr.ocr.families.family import ModelFamily
from airflow_deepseek_ocr.ocr.page_pixels import decoded
from tests.chaos.documents import PageId, page_id

#: Pages in the engine's hands at once, which end in any order, and pages drawn ahead of it.
AT_ONCE, AHEAD = 3, 2


class EventLog:
    """Lines that survive their writer's death: reads and writes with time and process."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)

    def write(self, what: str, page: PageId) -> None:
        """Add a line about a page."""
        self._write(what, f"{page.document} {page.version} {page.page}")

    def write_claim(self, etag: str) -> None:
        """Add a line about a document version that was claimed."""
        self._write("claimed", etag)

    def _write(self, what: str, subject: str) -> None:
        line = f"{time.time():.6f} {what} {os.getpid()} {subject}\n"
        os.write(self._file, line.encode())


class ScriptedEngine:
    """Reads pages of :mod:`tests.chaos.documents`.

    :param seconds: time a page takes.
    :param what: what the event_log calls a page that is taken in hand.
    :param at_once: pages in hand at once.
    """

    def __init__(
        self, event_log: EventLog, seconds: float, what: str = "read", at_once: int = AT_ONCE
    ) -> None:
        self._event_log, self._seconds, self._what = event_log, seconds, what
        self._at_once = at_once

    def family(self) -> ModelFamily:
        """Return DeepSeek-OCR."""
        return DEEPSEEK_OCR

    def smallest_print(self) -> float:
        return 0.0

    def modes(self) -> tuple[str, ...]:
        return tuple(DEEPSEEK_OCR.resolutions)

    def read(
        self, requests: Iterable[PageRequest], progress: Callable[[Progress], None] | None = None
    ) -> Generator[PageOutput, None, None]:
        order, in_hand = random.Random(os.getpid()), []
        with Prefetcher(
            requests, lambda request: request, bound=AHEAD, stop=stop_of(requests)
        ) as ahead:
            while True:
                while len(in_hand) < self._at_once and not ahead.over:
                    request = ahead.take(wait=not in_hand)
                    if request is None:
                        break
                    page = page_id(decoded(request.image))
                    self._event_log.write(self._what, page)
                    in_hand.append((request, page))
                if not in_hand:
                    return
                time.sleep(self._seconds)
                request, page = in_hand.pop(order.randrange(len(in_hand)))
                yield PageOutput(
                    key=request.key,
                    text=page.text(),
                    finish_reason=FinishReason.STOP,
                    vision_tokens=73,
                    text_tokens=60,
                    seconds=0.1,
                )

    def close(self) -> None: ...


class _HandedOut:
    """Pages, each logged when the engine takes it."""

    def __init__(self, requests: Iterable[PageRequest], event_log: EventLog) -> None:
        self._requests, self._event_log = requests, event_log

    def __iter__(self) -> Iterator[PageRequest]:
        for request in self._requests:
            self._event_log.write("read", page_id(decoded(request.image)))
            yield request

    def stop(self) -> None:
        if stop := stop_of(self._requests):
            stop()


class WatchedEngine:
    """Another engine, with a event_log of the pages that it is given."""

    def __init__(self, engine: Engine, event_log: EventLog) -> None:
        self._engine, self._event_log = engine, event_log

    def family(self) -> ModelFamily:
        return self._engine.family()

    def smallest_print(self) -> float:
        return self._engine.smallest_print()

    def modes(self) -> tuple[str, ...]:
        return self._engine.modes()

    def read(
        self, requests: Iterable[PageRequest], progress: Callable[[Progress], None] | None = None
    ) -> Generator[PageOutput, None, None]:
        return self._engine.read(_HandedOut(requests, self._event_log), progress)

    def close(self) -> None:
        self._engine.close()
