"""Pages through an engine: each one judged, read again where it has to, and handed on when it ends."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator, Hashable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import chain, count
from typing import Generic, TypeVar

from airflow_deepseek_ocr.errors import DeepSeekOCRError, UnavailableError
from airflow_deepseek_ocr.ocr.attempts import PageWork, Plan, Try, from_layer
from airflow_deepseek_ocr.ocr.documents import Page
from airflow_deepseek_ocr.ocr.engine import Engine, PageReading, PageRequest, Progress
from airflow_deepseek_ocr.ocr.ladder import AUTO, LayerUse, Step
from airflow_deepseek_ocr.ocr.prompts import prompt_line
from airflow_deepseek_ocr.ocr.resolution import get_resolution
from airflow_deepseek_ocr.ocr.results import PageResult, PageStatus
from airflow_deepseek_ocr.ocr.verdict import ACCEPTED_SCORE

Owner = TypeVar("Owner")

#: Pages read without the model that may wait until the engine hands on a reading.
_MOST_READY = 64


class Reader:
    """Reads pages with one prompt.

    :param get_engine: makes or finds what runs the model; called when the first page needs it.
    :param prompt: a prompt's name, such as ``markdown`` or ``locate:Total``.
    :param resolution: a resolution mode's name, or ``auto``.
    :param steps: how a page is read again whose reading is refused.
    :param layer_use: what pages' own text is used for.
    :param min_score: the score from which on a reading is accepted, 0 to 1.
    :raises ConfigurationError: ``unknown_prompt``, ``prompt_text``, ``unknown_resolution``.
    """

    def __init__(
        self,
        get_engine: Callable[[], Engine],
        prompt: str,
        resolution: str,
        *,
        steps: Sequence[Step] = (),
        layer_use: LayerUse = LayerUse.COMPARE,
        min_score: float = ACCEPTED_SCORE,
    ) -> None:
        check_prompt_and_resolution(prompt, resolution)
        self._get_engine = get_engine
        self._plan = Plan(prompt, resolution, tuple(steps), layer_use, min_score=min_score)

    def read(
        self,
        pages: Iterable[tuple[Owner, Page]],
        progress: Callable[[Progress], None] | None = None,
    ) -> Generator[tuple[Owner, PageResult], None, None]:
        """(owner, result) of each page, in the order in which they end.

        :param pages: (owner, page), drawn lazily; the owner tells the pages of several documents
            apart and is handed back as it is. They are drawn by one thread at a time: the caller's
            until a page needs the model, then the engine's.
        :param progress: see :meth:`~airflow_deepseek_ocr.ocr.engine.Engine.read`.
        """
        pages = iter(pages)
        for owner, page in pages:
            result = from_layer(page, self._plan)
            if result is not None:
                yield owner, result
                continue
            engine = self._get_engine()
            plan = self._plan
            if plan.reads_again:
                plan = replace(plan, modes=engine.modes())
            desk = _Desk(chain([(owner, page)], pages), plan)
            del page
            with closing(engine.read(desk, progress)) as readings:
                try:
                    for reading in readings:
                        yield from desk.take(reading)
                finally:
                    # Before the engine ends its thread, which may be waiting for a reading.
                    desk.stop()
            yield from desk.results()


@dataclass(frozen=True)
class _Part(Generic[Owner]):
    owner: Owner
    work: PageWork
    number: int


class _Desk(Generic[Owner]):
    """Where the thread that draws requests and the one that takes readings meet.

    An iterator of requests: pages to be read again come before new ones. It ends when there are none of
    either; while a reading that is out may bring a page back, it waits.

    :param pages: drawn as the requests are.
    :param plan: how they are read.
    """

    def __init__(self, pages: Iterator[tuple[Owner, Page]], plan: Plan) -> None:
        self._pages, self._plan = pages, plan
        self._keys = count()
        self._changed = threading.Condition()
        self._out: dict[Hashable, _Part[Owner]] = {}
        self._again: deque[tuple[Hashable, _Part[Owner]]] = deque()
        self._ready: deque[tuple[Owner, PageResult]] = deque()
        self._exhausted = self._stopped = False

    def __iter__(self) -> _Desk[Owner]:
        return self

    def __next__(self) -> PageRequest:
        while True:
            with self._changed:
                self._changed.wait_for(self._may_go_on)
                if self._stopped or not (self._again or self._wants_pages()):
                    raise StopIteration
                again = self._again.popleft() if self._again else None
            if again is not None:
                key, part = again
                return self._request(key, part.work.next_try(part.number))
            request = self._next_page()
            if request is not None:
                return request

    def stop(self) -> None:
        """End the waiting: nobody draws requests any more."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def take(self, reading: PageReading) -> Iterator[tuple[Owner, PageResult]]:
        """Results that a reading completes; a page that is to be read again becomes a request."""
        part = self._out[reading.key]
        tries = part.work.take(part.number, reading)
        with self._changed:
            # Not earlier: with nothing out and nothing to be read again, the requests end.
            del self._out[reading.key]
            for number in range(tries):
                key, again = next(self._keys), replace(part, number=number)
                self._out[key] = again
                self._again.append((key, again))
            self._changed.notify_all()
        if part.work.ended:
            yield part.owner, part.work.result()
        yield from self.results()

    def results(self) -> Iterator[tuple[Owner, PageResult]]:
        """Pages that were read without the model meanwhile."""
        while self._ready:
            yield self._ready.popleft()
            with self._changed:
                self._changed.notify_all()

    def _wants_pages(self) -> bool:
        return not self._exhausted and len(self._ready) < _MOST_READY

    def _may_go_on(self) -> bool:
        return self._stopped or bool(self._again) or self._wants_pages() or not self._out

    def _next_page(self) -> PageRequest | None:
        """The next page's request; None if it needs none, or if there is none."""
        for owner, page in self._pages:
            result = from_layer(page, self._plan)
            if result is None:
                part = _Part(owner, PageWork(page, self._plan), 0)
                first = part.work.first
                part.work.forget_image()
                with self._changed:
                    key = next(self._keys)
                    self._out[key] = part
                return self._request(key, first)
            with self._changed:
                self._ready.append((owner, result))
                # With nothing out, no reading will carry the results away: the caller goes on alone.
                self._exhausted = not self._out
            return None
        self._exhausted = True
        return None

    def _request(self, key: Hashable, each: Try) -> PageRequest:
        return PageRequest(key, each.image, self._plan.prompt, each.resolution, guard=each.guard)


def check_prompt_and_resolution(prompt: str, resolution: str) -> None:
    """Raise if there is no such prompt or mode.

    :raises ConfigurationError: ``unknown_prompt``, ``prompt_text``, ``unknown_resolution``.
    """
    prompt_line(prompt)
    if resolution != AUTO:
        get_resolution(resolution)


def failed_page(number: int, resolution: str, error: DeepSeekOCRError) -> PageResult:
    """The result of a page that never reached the engine."""
    return PageResult(
        number=number,
        status=PageStatus.FAILED,
        resolution=resolution,
        error_code=error.code,
        error=str(error),
        retryable=isinstance(error, UnavailableError),
    )
