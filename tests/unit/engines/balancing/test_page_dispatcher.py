"""Pages on the dispatcher: taken, finished, given back, given up."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from PIL import Image

from airflow_deepseek_ocr.concurrency.prefetch import Prefetcher
from airflow_deepseek_ocr.engines.balancing.page_dispatcher import MAX_FAILURES, PageDispatcher
from airflow_deepseek_ocr.exceptions import ServerUnreachableError
from airflow_deepseek_ocr.ocr.engine_protocol import PageOutput, PageRequest
from airflow_deepseek_ocr.ocr.families.deepseek_ocr import DEEPSEEK_OCR

AWAY = ServerUnreachableError("away")


def page(key: int, *, cancelled: bool = False) -> PageRequest:
    return PageRequest(
        key=key,
        image=Image.new("RGB", (64, 64)),
        prompt="free",
        resolution="base",
        cancelled=lambda: cancelled,
    )


@contextmanager
def dispatcher_of(
    pages: Iterator[PageRequest] | list[PageRequest], replicas: int
) -> Iterator[tuple[PageDispatcher, list[PageOutput]]]:
    outputs: queue.SimpleQueue[PageOutput] = queue.SimpleQueue()
    received: list[PageOutput] = []
    dispatchers: list[PageDispatcher] = []
    with Prefetcher(
        pages, lambda each: each, bound=1, on_ready=lambda: [each.wake() for each in dispatchers]
    ) as fetched:
        dispatcher = PageDispatcher(fetched, replicas, outputs, DEEPSEEK_OCR)
        dispatchers.append(dispatcher)
        yield dispatcher, received
        dispatcher.stop()
    while not outputs.empty():
        received.append(outputs.get())


def taken(dispatcher: PageDispatcher, replica: int) -> PageRequest:
    request = dispatcher.take(replica)
    assert request is not None
    return request


def test_each_page_is_taken_once_and_in_order() -> None:
    with dispatcher_of([page(0), page(1), page(2)], 2) as (dispatcher, received):
        assert [taken(dispatcher, each).key for each in (0, 1, 0)] == [0, 1, 2]
        for replica, key in ((0, 0), (1, 1), (0, 2)):
            assert dispatcher.finish(replica, PageOutput(key=key))
        assert dispatcher.take(0) is None
        assert dispatcher.over
    assert [each.key for each in received] == [0, 1, 2]


def test_the_replica_with_the_fewest_outstanding_tokens_is_served_first() -> None:
    feed: queue.SimpleQueue[PageRequest | None] = queue.SimpleQueue()
    with dispatcher_of(iter(feed.get, None), 2) as (dispatcher, _):
        feed.put(page(0))
        assert taken(dispatcher, 0).key == 0
        got: dict[int, PageRequest | None] = {}

        def take(replica: int) -> None:
            got[replica] = dispatcher.take(replica)

        threads = [threading.Thread(target=take, args=(each,)) for each in (0, 1)]
        for each in threads:
            each.start()
        feed.put(page(1))
        threads[1].join(10)
        assert got[1] is not None and got[1].key == 1
        assert 0 not in got
        feed.put(None)
        dispatcher.stop()
        threads[0].join(10)
        assert got[0] is None


def test_pages_of_an_ejected_replica_are_given_to_another() -> None:
    with dispatcher_of([page(0)], 2) as (dispatcher, received):
        first = taken(dispatcher, 0)
        dispatcher.eject(0, AWAY)
        assert first.cancelled()
        assert dispatcher.take(0) is None, "an ejected replica has no turn"
        second = taken(dispatcher, 1)
        assert second.key == 0 and not second.cancelled()
        assert not dispatcher.finish(0, PageOutput(key=0, text="late"))
        assert dispatcher.finish(1, PageOutput(key=0, text="right"))
    assert [each.text for each in received] == ["right"]


def test_a_page_is_not_returned_to_the_replica_that_failed_with_it_while_another_serves() -> None:
    with dispatcher_of([page(0)], 2) as (dispatcher, _):
        taken(dispatcher, 0)
        dispatcher.eject(0, AWAY)
        dispatcher.restore(0)
        got: list[PageRequest | None] = []
        waiting = threading.Thread(target=lambda: got.append(dispatcher.take(0)))
        waiting.start()
        assert taken(dispatcher, 1).key == 0
        dispatcher.finish(1, PageOutput(key=0))
        waiting.join(10)
        assert got == [None]


def test_the_only_replica_receives_the_page_again() -> None:
    with dispatcher_of([page(0)], 1) as (dispatcher, received):
        taken(dispatcher, 0)
        dispatcher.eject(0, AWAY)
        assert not dispatcher.serving
        dispatcher.restore(0)
        assert taken(dispatcher, 0).key == 0
        dispatcher.finish(0, PageOutput(key=0, text="right"))
    assert [each.text for each in received] == ["right"]


def test_a_page_with_which_several_replicas_failed_is_given_up() -> None:
    with dispatcher_of([page(0)], MAX_FAILURES) as (dispatcher, received):
        for replica in range(MAX_FAILURES):
            assert not dispatcher.over
            taken(dispatcher, replica)
            dispatcher.eject(replica, AWAY)
        dispatcher.restore(0)
        assert dispatcher.take(0) is None
        assert dispatcher.over
    assert [(each.key, each.error) for each in received] == [(0, AWAY)]


def test_a_cancelled_page_stays_cancelled_whoever_has_it() -> None:
    with dispatcher_of([page(0, cancelled=True)], 1) as (dispatcher, _):
        assert taken(dispatcher, 0).cancelled()


def test_stop_cancels_the_pages_and_ends_the_waiting() -> None:
    feed: queue.SimpleQueue[PageRequest | None] = queue.SimpleQueue()
    with dispatcher_of(iter(feed.get, None), 1) as (dispatcher, _):
        feed.put(page(0))
        request = taken(dispatcher, 0)
        ended = threading.Thread(target=dispatcher.take, args=(0,))
        ended.start()
        dispatcher.stop()
        ended.join(10)
        assert not ended.is_alive()
        assert request.cancelled()
        assert dispatcher.over
        feed.put(None)


def test_an_error_of_the_pages_ends_them() -> None:
    def pages() -> Iterator[PageRequest]:
        yield page(0)
        raise ValueError("broken source")

    with dispatcher_of(pages(), 1) as (dispatcher, _):
        assert taken(dispatcher, 0).key == 0
        assert dispatcher.take(0) is None
        assert isinstance(dispatcher.error, ValueError)


@pytest.mark.parametrize("replica", [0, 1])
def test_a_withheld_replica_keeps_its_page(replica: int) -> None:
    with dispatcher_of([page(0), page(1)], 2) as (dispatcher, received):
        request = taken(dispatcher, replica)
        dispatcher.withhold(replica)
        assert dispatcher.take(replica) is None
        assert not request.cancelled()
        assert dispatcher.outstanding(replica) == 1
        assert dispatcher.finish(replica, PageOutput(key=request.key))
    assert len(received) == 1
