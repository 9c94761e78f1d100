"""Hands pages to the engine and collects its outputs."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, replace
from itertools import count
from typing import Generic, TypeVar

from airflow_deepseek_ocr.ocr.documents.base import Page
from airflow_deepseek_ocr.ocr.engine_protocol import PageOutput, PageRequest
from airflow_deepseek_ocr.ocr.recognition.candidate import Try
from airflow_deepseek_ocr.ocr.recognition.page_attempts import PageAttempts
from airflow_deepseek_ocr.ocr.recognition.plan import Plan
from airflow_deepseek_ocr.ocr.recognition.text_layer_result import text_layer_result
from airflow_deepseek_ocr.ocr.results import PageResult

Owner = TypeVar("Owner")


#: Pages read without the model that may wait until the engine hands on a reading.
_MOST_READY = 64


@dataclass(frozen=True)
class _Part(Generic[Owner]):
    owner: Owner
    work: PageAttempts
    number: int


class Coordinator(Generic[Owner]):
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

    def __iter__(self) -> Coordinator[Owner]:
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

    def take(self, reading: PageOutput) -> Iterator[tuple[Owner, PageResult]]:
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
            result = text_layer_result(page, self._plan)
            if result is None:
                part = _Part(owner, PageAttempts(page, self._plan), 0)
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
        return PageRequest(
            key=key,
            image=each.image,
            prompt=self._plan.prompt,
            resolution=each.resolution,
            no_repeat_ngram=each.no_repeat_ngram,
        )
