"""Continuous batching with the small checkpoint: admission, preemption and recovery from faults."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import pytest
import torch

from airflow_deepseek_ocr.concurrency.prefetch import Prefetcher
from airflow_deepseek_ocr.engines.in_process.decode_slots import DecodeSlots
from airflow_deepseek_ocr.engines.in_process.device_timing import PhaseClock
from airflow_deepseek_ocr.engines.in_process.engine import InProcessEngine
from airflow_deepseek_ocr.engines.in_process.page_embedding import PreparedPage
from airflow_deepseek_ocr.engines.in_process.scheduler import Scheduler
from airflow_deepseek_ocr.exceptions import ErrorCode
from airflow_deepseek_ocr.ocr.engine_protocol import PageOutput, PageRequest, Progress
from tests.support.fixtures.small_pages import page_image, tiny_pages

#: Ten times a quiet run on two cores.
pytestmark = pytest.mark.timeout(600)


class Slots(DecodeSlots):
    """Real slots that report their calls, and let a test fail them."""

    def __init__(self, engine: InProcessEngine) -> None:
        super().__init__(
            model=engine.model,
            tokens=engine.tokens,
            count=4,
            length=engine.page_length,
            blocks=None,
            decoding=engine.decoding,
        )
        self.steps, self.in_use = 0, 0
        self.entered: list[tuple[int, int]] = []
        self.before_step: Callable[[], None] = lambda: None
        self.before_provide: Callable[[Mapping[int, int]], bool] = lambda columns: True

    def step(self, columns: int, slots: int) -> None:
        self.before_step()
        self.steps += 1
        super().step(columns, slots)

    def provide(self, columns: Mapping[int, int]) -> bool:
        self.in_use = len(columns)
        return self.before_provide(columns) and super().provide(columns)

    def enter(self, slots: Sequence[int], embeddings: torch.Tensor, **others: Any) -> None:
        self.entered.extend((self.steps, slot) for slot in slots)
        super().enter(slots, embeddings, **others)


@pytest.fixture
def slots(engine: InProcessEngine) -> Slots:
    return Slots(engine)


Read = Callable[..., list[PageOutput]]


@pytest.fixture
def read(engine: InProcessEngine, slots: Slots) -> Read:
    """Reads requests through a scheduler whose parts a test may replace."""

    def run(
        requests: Iterable[PageRequest],
        progress: Callable[[Progress], None] | None = None,
        **options: Any,
    ) -> list[PageOutput]:
        defaults = {
            "vision_pages": 4,
            "embed": engine.embed,
            "decode": engine.decode,
            "pieces": engine.pieces,
            "max_tokens": 160,
            "steps_per_poll": 1,
            "pending_snapshots": 0,
            "clock": PhaseClock(torch.device("cpu")),
            "on_preempted": lambda: None,
        }
        scheduler = Scheduler(slots, **{**defaults, **options})
        with Prefetcher(requests, engine.prepare, bound=8) as pages:
            return list(scheduler.read(pages, progress))

    return run


def failing_in_vision(
    engine: InProcessEngine, fail: Callable[[list[Any]], None]
) -> Callable[[Sequence[PreparedPage]], torch.Tensor]:
    """Embed pages, after ``fail`` has seen the keys of each group."""

    def embed(group: Sequence[PreparedPage]) -> torch.Tensor:
        fail([page.key for page in group])
        return engine.embed(group)

    return embed


def texts(outputs: Iterable[PageOutput]) -> dict[Any, str]:
    return {output.key: output.text for output in outputs}


def out_of_memory() -> torch.OutOfMemoryError:
    return torch.OutOfMemoryError("CUDA out of memory")


def test_only_the_page_that_fails_is_lost(engine: InProcessEngine, read: Read) -> None:
    def fail(keys: list[Any]) -> None:
        if 2 in keys:
            raise RuntimeError("CUDA error: an illegal memory access")

    outputs = read(tiny_pages(7, 5), embed=failing_in_vision(engine, fail))
    errors = {output.key: output.error.code for output in outputs if output.error}
    assert errors == {2: ErrorCode.ENGINE_ERROR}
    written = texts(outputs)
    assert written.keys() == set(range(7))
    assert len({text for key, text in written.items() if key != 2}) == 1
    assert written[0]


def test_too_little_memory_for_a_group_splits_it(engine: InProcessEngine, read: Read) -> None:
    groups: list[int] = []

    def fail(keys: list[Any]) -> None:
        groups.append(len(keys))
        if len(keys) > 2:
            raise out_of_memory()

    outputs = read(tiny_pages(8, 5), embed=failing_in_vision(engine, fail))
    assert texts(outputs).keys() == set(range(8))
    assert not any(output.error for output in outputs)
    assert sum(size > 2 for size in groups) == 1, "the smaller size was not remembered"


def test_a_group_grows_again_after_the_recovery_period(engine: InProcessEngine, read: Read) -> None:
    groups: list[int] = []

    def fail(keys: list[Any]) -> None:
        groups.append(len(keys))
        if len(keys) > 2 and max(groups[:-1], default=0) <= 2:
            raise out_of_memory()

    outputs = read(tiny_pages(30, 5), embed=failing_in_vision(engine, fail), recovery_pages=3)
    assert not any(output.error for output in outputs)
    assert sum(size > 2 for size in groups) > 1, groups


@pytest.mark.parametrize("memory", [True, False], ids=["out of memory", "another fault"])
def test_running_pages_are_restarted_when_a_step_fails(
    slots: Slots, read: Read, memory: bool
) -> None:
    expected = texts(read(tiny_pages(6, 20)))
    failed = False

    def fail_once() -> None:
        nonlocal failed
        if not failed and slots.in_use >= 3:
            failed = True
            raise out_of_memory() if memory else RuntimeError("lost")

    slots.before_step = fail_once
    assert texts(read(tiny_pages(6, 20))) == expected
    assert failed


def test_running_pages_are_restarted_when_allocating_blocks_fails(slots: Slots, read: Read) -> None:
    expected = texts(read(tiny_pages(6, 20)))
    calls = 0

    def fail_once(columns: Mapping[int, int]) -> bool:
        nonlocal calls
        calls += 1
        if calls == 9:
            raise out_of_memory()
        return True

    slots.before_provide = fail_once
    assert texts(read(tiny_pages(6, 20))) == expected
    assert calls > 9


def test_a_preempted_page_is_counted_and_keeps_its_time(
    engine: InProcessEngine, slots: Slots, read: Read
) -> None:
    expected = texts(read(tiny_pages(2, 20)))
    calls, preempted = 0, []

    def full_once(columns: Mapping[int, int]) -> bool:
        nonlocal calls
        calls += len(columns) == 2
        return not (len(columns) == 2 and calls == 3)

    def embed(group: Sequence[PreparedPage]) -> torch.Tensor:
        for page in group:
            page.seconds += 100.0
        return engine.embed(group)

    slots.before_provide = full_once
    outputs = read(tiny_pages(2, 20), embed=embed, on_preempted=lambda: preempted.append(1))
    assert len(preempted) == 1
    assert texts(outputs) == expected
    assert sorted(output.seconds // 100 for output in outputs) == [1, 2]


def test_a_page_that_fails_every_step_alone_has_an_error(slots: Slots, read: Read) -> None:
    def fail() -> None:
        raise out_of_memory()

    slots.before_step = fail
    outputs = read(tiny_pages(5))
    assert texts(outputs).keys() == set(range(5))
    assert {output.error and output.error.code for output in outputs} == {ErrorCode.OUT_OF_MEMORY}


def test_a_cancelled_page_leaves_and_the_others_are_read(slots: Slots, read: Read) -> None:
    requests = tiny_pages(6)
    long = page_image("invoice.pdf", dpi=100)
    requests[1] = PageRequest(
        key=1,
        image=long,
        prompt="free",
        resolution="small",
        cancelled=lambda: slots.steps > 5,
    )
    requests[5] = PageRequest(
        key=5, image=long, prompt="free", resolution="tiny", cancelled=lambda: True
    )
    outputs = {output.key: output for output in read(requests)}
    assert outputs.keys() == set(range(6))
    errors = {key: output.error.code for key, output in outputs.items() if output.error}
    assert errors == {1: ErrorCode.CANCELLED, 5: ErrorCode.CANCELLED}
    assert len({outputs[key].text for key in (0, 2, 3, 4)}) == 1


def test_progress_is_reported(read: Read) -> None:
    reported: list[Progress] = []
    read(tiny_pages(6), reported.append, progress_interval_s=0.0)
    assert max(each.pages_in_flight for each in reported) == 4
    done = [each.pages_done for each in reported]
    assert done == sorted(done)
    # Two pages entered slots that others had left; how many end last, together, is not determined.
    assert 2 <= done[-1] == 6 - reported[-1].pages_in_flight
    assert reported[0].tokens < max(each.tokens for each in reported)


def test_a_page_enters_while_others_are_in_the_middle_of_their_texts(
    slots: Slots, read: Read
) -> None:
    """With fixed batches the short page's slot would stay empty until the longest had ended."""

    def requests() -> Iterator[PageRequest]:
        short, long = page_image("table.png"), page_image("invoice.pdf", dpi=100)
        for key in range(8):
            yield PageRequest(
                key=key,
                image=long if key % 2 else short,
                prompt="free" if key % 2 else "locate:Month",
                resolution="small",
            )

    outputs = read(requests())
    assert len(outputs) == 8
    assert len({steps for steps, _ in slots.entered}) >= 3
    assert len({slot for _, slot in slots.entered}) <= 4
    assert slots.steps < 0.6 * sum(output.text_tokens for output in outputs)
