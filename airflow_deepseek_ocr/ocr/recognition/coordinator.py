"""The hand-over of pages between the engine's prefetch thread and the thread that takes its outputs."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, replace
from itertools import count
from typing import Generic, TypeVar

from airflow_deepseek_ocr.exceptions import DeepSeekOCRError
from airflow_deepseek_ocr.ocr.documents.base import Page
from airflow_deepseek_ocr.ocr.engine_protocol import PageOutput, PageRequest
from airflow_deepseek_ocr.ocr.recognition.figures import DescribedPage
from airflow_deepseek_ocr.ocr.recognition.page_attempts import PagePart
from airflow_deepseek_ocr.ocr.recognition.plan import RecognitionPlan
from airflow_deepseek_ocr.ocr.recognition.text_layer_result import text_layer_result
from airflow_deepseek_ocr.ocr.results import PageResult

Owner = TypeVar("Owner")


#: Results without model output (``text_layer="first"``) that may wait for the next output. The bound keeps a
#: long document of such pages from being rendered to its end while one page is recognised.
_MAX_WAITING_RESULTS = 64


@dataclass(frozen=True)
class _PendingPart(Generic[Owner]):
    """A part of a page that awaits its output."""

    owner: Owner
    attempts: DescribedPage
    number: int


class Coordinator(Generic[Owner]):
    """An iterator of requests that takes outputs and turns them into results or further requests.

    Two threads use it. The *request thread* (the engine's) iterates over it; the *output thread* (the
    caller's) calls :meth:`take_output` and :meth:`take_results`. A part of a page is in one of three states::

                       next(coordinator)                 engine
        pages ---------------------------> in flight ------------> take_output ---> result
                                               ^                        |
                                               |  next(coordinator)     |  rejected: next attempt
                                               +-------- retry <--------+

    1. *in flight*: its request was handed to the engine, or will be as soon as it is asked for (``_pending``
       has it by its key). Set by the request thread for a new page.
    2. *retry*: the output was rejected, and the parts of the page's next attempt wait in ``_retries`` (and in
       ``_pending``, so that the iteration does not end). Set by the output thread. Retries go before new
       pages.
    3. *finished*: the page has its result. It left ``_pending``; a page that needed no model output, or could
       not be rendered for another attempt, waits in ``_results`` until the output thread takes it.

    The iteration ends when no page, no retry and no part in flight is left. While a part in flight may still
    come back as a retry, the request thread waits; each change by the output thread wakes it up, and
    :meth:`stop` ends the wait.

    :param pages: (owner, page) pairs, taken as the engine asks for requests.
    :param plan: the settings of the run.
    """

    def __init__(self, pages: Iterator[tuple[Owner, Page]], plan: RecognitionPlan) -> None:
        self._pages, self._plan = pages, plan
        self._keys = count()
        self._changed = threading.Condition()
        self._pending: dict[Hashable, _PendingPart[Owner]] = {}
        self._retries: deque[tuple[Hashable, _PendingPart[Owner]]] = deque()
        self._results: deque[tuple[Owner, PageResult]] = deque()
        self._exhausted = self._stopped = False

    def __iter__(self) -> Coordinator[Owner]:
        return self

    def __next__(self) -> PageRequest:
        """Return the next request; wait while an output in flight may bring one.

        :raises StopIteration: no page is left, or :meth:`stop` was called.
        """
        while True:
            with self._changed:
                self._changed.wait_for(self._is_decided)
                if self._stopped or not (self._retries or self._takes_pages()):
                    raise StopIteration
                retry = self._retries.popleft() if self._retries else None
            request = self._next_page() if retry is None else self._retry(*retry)
            if request is not None:
                return request

    def stop(self) -> None:
        """End the iteration, also for a thread that waits in it."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def take_output(self, output: PageOutput) -> Iterator[tuple[Owner, PageResult]]:
        """Yield the results that an output completes; a rejected page becomes a request again.

        :param output: the engine's output for a request of this coordinator.
        """
        finished = self._add_output(output)
        if finished is not None:
            yield finished
        yield from self.take_results()

    def _add_output(self, output: PageOutput) -> tuple[Owner, PageResult] | None:
        """Add an output to its page; return the page's result if it was the last one."""
        pending = self._pending[output.key]
        next_parts = pending.attempts.add_output(pending.number, output)
        with self._changed:
            # Only now: with nothing pending and nothing to retry, the iteration would end.
            del self._pending[output.key]
            for number in range(next_parts):
                key, part = next(self._keys), replace(pending, number=number)
                self._pending[key] = part
                self._retries.append((key, part))
            self._changed.notify_all()
        if pending.attempts.is_finished:
            return pending.owner, pending.attempts.result()
        return None

    def take_results(self) -> Iterator[tuple[Owner, PageResult]]:
        """Yield the results that no output completed."""
        while self._results:
            yield self._results.popleft()
            with self._changed:
                self._changed.notify_all()

    def _takes_pages(self) -> bool:
        return not self._exhausted and len(self._results) < _MAX_WAITING_RESULTS

    def _is_decided(self) -> bool:
        """Return whether the request thread need not wait: a request can follow, or none ever will."""
        return self._stopped or bool(self._retries) or self._takes_pages() or not self._pending

    def _retry(self, key: Hashable, pending: _PendingPart[Owner]) -> PageRequest | None:
        """Return the request of a further attempt; None if its page cannot be rendered again."""
        try:
            part = pending.attempts.part(pending.number)
        except DeepSeekOCRError as error:
            # All parts of such an attempt fail here, so no other thread adds outputs to the page meanwhile.
            finished = self._add_output(PageOutput(key=key, error=error))
            if finished is not None:
                self._results.append(finished)
            return None
        return self._request(key, part)

    def _next_page(self) -> PageRequest | None:
        """Return the next page's request; None if the page needs none or no page is left."""
        for owner, page in self._pages:
            result = text_layer_result(page, self._plan)
            if result is None:
                attempts = DescribedPage(page, self._plan)
                with self._changed:
                    key, *others = (next(self._keys) for _ in range(attempts.part_count))
                    self._pending[key] = _PendingPart(owner, attempts, 0)
                    for number, other in enumerate(others, 1):
                        self._pending[other] = part = _PendingPart(owner, attempts, number)
                        self._retries.append((other, part))
                return self._request(key, attempts.part(0, page.pixels))
            with self._changed:
                self._results.append((owner, result))
                # With nothing in flight, no output will make the output thread take the results. The
                # iteration ends, and the reader processes the remaining pages itself until one needs the
                # model.
                self._exhausted = not self._pending
            return None
        self._exhausted = True
        return None

    def _request(self, key: Hashable, part: PagePart) -> PageRequest:
        return PageRequest(
            key=key,
            image=part.image,
            prompt=part.prompt,
            resolution=part.resolution,
            max_output_length=part.max_output_length,
            no_repeat_ngram=part.no_repeat_ngram,
        )
