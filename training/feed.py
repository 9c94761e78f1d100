"""Batches on their way from the processes that draw them to the card, with little work for the trainer's own.

Workers write batches to slots of shared memory, from which the card fetches them by itself. Between
processes go only numbers: of steps, and of slots. Whoever is free draws the next pages, so that one slow
page holds up nobody else; the trainer takes the steps in their order.
"""

from __future__ import annotations

import mmap
import multiprocessing
import os
import signal
import time
import traceback
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import wait
from multiprocessing.context import ForkContext
from pathlib import Path
from types import TracebackType

import torch

from training import curriculum
from training.batches import Batch, SeenPage, carve, pages_of
from training.curriculum import PageSpec
from training.schedule import BatchSource, Schedule

#: Slots for each worker, beside those of batches that share their pages: long and short draws even out.
_SLOTS_PER_WORKER = 4
#: How long the trainer waits for one batch before it gives up: many times the slowest draw.
_PATIENCE_S = 300.0
#: How often a trainer that waits for pages looks whether slots have become free.
_LOOK_EVERY_S = 0.05
#: The same where all slots are with the workers.
_LOOK_FOR_S = 5.0
_END_S = 5.0
#: Bytes of a buffer without memory, in which batches are laid out to learn their size.
_MORE_THAN_ANY = 2**40


def usual_workers(cards: int) -> int:
    """How many processes draw for a card: one less than its share of the cores.

    :param cards: how many share the cores that this process may use.
    """
    return max(1, len(os.sched_getaffinity(0)) // cards - 1)


@dataclass
class Figures:
    """What happened since the last look.

    :param waited_s: for which the trainer waited for pages.
    :param at_work_s: for which workers were at work, all together.
    :param workers_cpu_s: processor time that they took for it.
    """

    waited_s: float = 0.0
    at_work_s: float = 0.0
    workers_cpu_s: float = 0.0


class Feed:
    """The batches of a schedule from one step on, on a device; a context manager that ends its processes.

    :param assets: directory of fonts and texts, see :mod:`training.assets`.
    :param schedule: the order of pages; it does not depend on the number of workers.
    :param first_step: where to begin.
    :param workers: processes that draw; 0 draws in this one.
    :param device: a torch device.
    """

    def __init__(
        self, assets: Path, schedule: Schedule, first_step: int, workers: int, device: str
    ) -> None:
        self._assets, self._schedule = assets, schedule
        self._first_step, self.workers = first_step, workers
        self._device = torch.device(device)
        self._figures = Figures()
        self._pool = _Pool(assets, schedule, first_step, workers, self._device) if workers else None

    def __enter__(self) -> Feed:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._pool is not None:
            self._pool.close()

    def __iter__(self) -> Iterator[Batch]:
        """The batches.

        :raises RuntimeError: if a worker fails or is ended.
        :raises TimeoutError: if a batch does not come.
        """
        return iter(self._here() if self._pool is None else self._pool.batches(self._figures))

    def figures(self) -> Figures:
        """The figures since the last call."""
        figures = Figures(**vars(self._figures))
        vars(self._figures).update(vars(Figures()))
        return figures

    def _here(self) -> Iterator[Batch]:
        schedule, source = self._schedule, BatchSource(self._assets, self._schedule)
        seen: dict[int, list[SeenPage]] = {}
        for step in range(self._first_step, schedule.steps):
            drawn = schedule.drawn_at(step)
            if drawn not in seen:
                seen[drawn] = source.see(step)
            batch = source.ask(step, seen[drawn])
            if schedule.is_last(step):
                del seen[drawn]
            yield batch


class _Channel:
    """Messages from or to several processes."""

    def __init__(self, context: ForkContext) -> None:
        self.reader, self.writer = context.Pipe(duplex=False)
        self.lock = context.Lock()

    def close(self) -> None:
        self.reader.close()
        self.writer.close()


class _Pool:
    """Worker processes, and the slots that they write to."""

    def __init__(
        self, assets: Path, schedule: Schedule, first_step: int, workers: int, device: torch.device
    ) -> None:
        self._schedule, self._device, self._step = schedule, device, first_step
        self._draws = schedule.draws(first_step)
        self._next_draw = next(self._draws, None)
        size = _largest(schedule.share)
        count = schedule.turn + _SLOTS_PER_WORKER * workers
        # Anonymous memory, which forked processes share: /dev/shm is small in many containers.
        self._slots = torch.frombuffer(mmap.mmap(-1, size * count), dtype=torch.uint8)
        self._slots = self._slots.view(count, size)
        self._free = deque(range(count))
        self._fetched: deque[tuple[torch.cuda.Event | None, int]] = deque()
        self._ready: dict[int, int] = {}
        self._is_pinned = False
        context = multiprocessing.get_context("fork")
        self._tasks, self._results = _Channel(context), _Channel(context)
        self._processes = [
            context.Process(
                target=_work,
                args=(assets, schedule, self._slots, self._tasks, self._results),
                daemon=True,
            )
            for _ in range(workers)
        ]
        try:
            for process in self._processes:
                process.start()
            self._give()
            # After the fork: workers have nothing to do with the card.
            self._is_pinned = device.type == "cuda" and _pin(self._slots)
        except BaseException:
            self.close()
            raise

    def batches(self, figures: Figures) -> Iterator[Batch]:
        for step in range(self._step, self._schedule.steps):
            began = time.monotonic()
            while step not in self._ready:
                self._wait(step, began)
                self._receive(figures)
            figures.waited_s += time.monotonic() - began
            batch = self._fetch(step, self._ready.pop(step))
            self._receive(figures)
            self._give()
            yield batch

    def _wait(self, step: int, began: float) -> None:
        """Until there is a message, or slots may have become free."""
        sentinels = [process.sentinel for process in self._processes]
        timeout = _LOOK_EVERY_S if self._fetched else _LOOK_FOR_S
        found = wait([self._results.reader, *sentinels], timeout)
        self._give()
        if found and self._results.reader not in found:
            ended = next(each for each in self._processes if each.sentinel in found)
            ended.join(_END_S)
            raise RuntimeError(
                f"a process that draws pages has ended with exit code {ended.exitcode}; -9 is often "
                "a lack of memory: give fewer --workers or a smaller --batch-share"
            )
        if time.monotonic() - began > _PATIENCE_S:
            raise TimeoutError(
                f"the pages of step {step} are not drawn after {_PATIENCE_S:.0f} s: look whether "
                "other programs take the cores, or give a smaller --batch-share"
            )

    def _receive(self, figures: Figures) -> None:
        """What workers have done."""
        while self._results.reader.poll():
            message = self._results.reader.recv()
            if isinstance(message, str):
                raise RuntimeError(f"a process that draws pages has failed:\n{message}")
            step, slot, took_s, cpu_s = message
            self._ready[step] = slot
            figures.at_work_s += took_s
            figures.workers_cpu_s += cpu_s

    def _fetch(self, step: int, slot: int) -> Batch:
        """Begin to copy a slot to the device; it is free again once that is done."""
        shape = self._schedule.shape(step)
        _, used = carve(self._slots[slot], *shape)
        source, copied = self._slots[slot, :used], None
        buffer = torch.empty(used, dtype=torch.uint8, device=self._device)
        if self._device.type == "cuda":
            buffer.copy_(source if self._is_pinned else source.pin_memory(), non_blocking=True)
            copied = torch.cuda.Event()
            copied.record()
        else:
            buffer.copy_(source)
        self._fetched.append((copied, slot))
        batch, _ = carve(buffer, *shape)
        return batch

    def _give(self) -> None:
        """Order the draws for which there is room.

        They go out in the order of their first steps, and there are more slots than steps that share
        their pages: what is due next never waits for a slot that a later step holds.
        """
        while self._fetched and (self._fetched[0][0] is None or self._fetched[0][0].query()):
            self._free.append(self._fetched.popleft()[1])
        while self._next_draw and len(self._free) >= len(self._next_draw):
            self._tasks.writer.send([(step, self._free.popleft()) for step in self._next_draw])
            self._next_draw = next(self._draws, None)

    def close(self) -> None:
        """End the workers, whatever they are doing."""
        for process in self._processes:
            if process.pid is not None:
                process.kill()
                process.join(_END_S)
        if self._is_pinned:
            torch.cuda.synchronize(self._device)
            torch.cuda.check_error(torch.cuda.cudart().cudaHostUnregister(self._slots.data_ptr()))
            self._is_pinned = False
        self._tasks.close()
        self._results.close()


def _largest(share: float) -> int:
    """Bytes of the largest batch of the curriculum, in whole pages of memory."""
    buffer = torch.empty(_MORE_THAN_ANY, dtype=torch.uint8, device="meta")
    used = max(
        carve(buffer, mode, stage.pages[mode], pages_of(mode, share))[1]
        for stage in curriculum.STAGES
        for mode in stage.modes
    )
    return used + -used % mmap.PAGESIZE


def _pin(memory: torch.Tensor) -> bool:
    """Let the card fetch from memory by itself; returns whether it can."""
    runtime = torch.cuda.cudart()
    if runtime.cudaHostRegister(memory.data_ptr(), memory.numel(), 0) == runtime.cudaError.success:
        return True
    # The error would be reported by the next launch.
    with suppress(RuntimeError):
        torch.zeros(1, device="cuda")
    print("shared memory cannot be page-locked: batches are copied once more", flush=True)
    return False


def _work(
    assets: Path, schedule: Schedule, slots: torch.Tensor, tasks: _Channel, results: _Channel
) -> None:
    """Draw what is ordered, until the trainer has ended."""
    # The trainer decides when its workers end, also when signals come to all of them.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    torch.set_num_threads(1)
    tasks.writer.close()
    results.reader.close()
    try:
        source = BatchSource(assets, schedule)
        while True:
            with tasks.lock:
                task = tasks.reader.recv()
            began, began_cpu = time.monotonic(), time.process_time()
            seen = source.see(task[0][0])
            for step, slot in task:
                _lay(source.ask(step, seen), slots[slot], schedule.shape(step))
                now, now_cpu = time.monotonic(), time.process_time()
                with results.lock:
                    results.writer.send((step, slot, now - began, now_cpu - began_cpu))
                began, began_cpu = now, now_cpu
    except (EOFError, BrokenPipeError):
        return
    except Exception:
        with results.lock:
            results.writer.send(traceback.format_exc())


def _lay(batch: Batch, slot: torch.Tensor, shape: tuple[str, PageSpec, int]) -> None:
    """Write a batch to a slot."""
    room, _ = carve(slot, *shape)
    for own, drawn in zip(room.tensors(), batch.tensors(), strict=True):
        if own.shape != drawn.shape or own.dtype != drawn.dtype:
            raise TypeError(
                f"a batch in {batch.mode} has {drawn.dtype} {tuple(drawn.shape)} where "
                f"{own.dtype} {tuple(own.shape)} has its place"
            )
        own.copy_(drawn)
