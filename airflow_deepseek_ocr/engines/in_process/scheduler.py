"""Continuous batching: pages enter the running batch when a slot is free and leave it when they end."""

from __future__ import annotations

import logging
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import torch

from airflow_deepseek_ocr.concurrency.prefetch import Prefetcher
from airflow_deepseek_ocr.engines.in_process.block_pool import count_blocks
from airflow_deepseek_ocr.engines.in_process.capacity import Occupancy
from airflow_deepseek_ocr.engines.in_process.decode_buffers import SlotText, Snapshot
from airflow_deepseek_ocr.engines.in_process.decode_slots import DecodeSlots
from airflow_deepseek_ocr.engines.in_process.device_timing import PhaseClock
from airflow_deepseek_ocr.engines.in_process.page_embedding import PreparedPage
from airflow_deepseek_ocr.exceptions import DeepSeekOCRError, ErrorCode, UnavailableError
from airflow_deepseek_ocr.ocr.engine_protocol import (
    FinishReason,
    PageOutput,
    PageRequest,
    Progress,
    cancelled_error,
)
from airflow_deepseek_ocr.ocr.token_probabilities import TokenProbabilities

log = logging.getLogger(__name__)

#: Seconds between two calls of ``progress``.
PROGRESS_INTERVAL_S = 5.0
#: Columns that an uncompiled step attends to are a multiple of this.
_COLUMN_MULTIPLE = 64
#: Blocks that stay free for each running page when another enters: with fewer, pages would soon be
#: preempted and restarted.
_HEADROOM = 2
#: Pages that must succeed after an out-of-memory error before the batch is doubled again.
RECOVERY_PAGES = 256


@dataclass
class _Queues:
    """Where each page is; running pages are in the order in which they entered."""

    waiting: deque[PreparedPage] = field(default_factory=deque)
    alone: deque[PreparedPage] = field(default_factory=deque)
    running: dict[int, PreparedPage] = field(default_factory=dict)
    snapshots: deque[tuple[Snapshot, dict[int, PreparedPage]]] = field(default_factory=deque)
    done: int = 0


class Scheduler:
    """Reads pages through a fixed number of slots.

    :param slots: the decoder's slots.
    :param vision_pages: most pages that go through the vision tower together.
    :param embed: returns the embeddings of pages' prompts, (pages, longest prompt, hidden), padded on
        the right.
    :param decode: token ids to text.
    :param pieces: token ids to the UTF-8 bytes of each.
    :param max_tokens: most tokens of a page's text; its request may ask for fewer.
    :param steps_per_poll: steps between two polls for finished pages.
    :param pending_snapshots: polls that are enqueued before the oldest snapshot is read. 1 keeps a GPU
        busy while the host waits, and costs each page ``steps_per_poll`` surplus steps.
    :param clock: measures device time by phase.
    :param on_preempted: called for each page that is preempted and will be restarted.
    :param recovery_pages: pages that must succeed after an out-of-memory error before the batch is
        doubled again.
    :param progress_interval_s: seconds between two calls of ``progress``.
    """

    def __init__(
        self,
        slots: DecodeSlots,
        *,
        vision_pages: int,
        embed: Callable[[Sequence[PreparedPage]], torch.Tensor],
        decode: Callable[[list[int]], str],
        pieces: Callable[[Sequence[int]], tuple[bytes, ...]],
        max_tokens: int,
        steps_per_poll: int,
        pending_snapshots: int,
        clock: PhaseClock,
        on_preempted: Callable[[], None],
        recovery_pages: int = RECOVERY_PAGES,
        progress_interval_s: float = PROGRESS_INTERVAL_S,
    ) -> None:
        self._slots, self._embed, self._decode, self._pieces = slots, embed, decode, pieces
        self._max_tokens, self._steps_per_poll = max_tokens, steps_per_poll
        self._pending_snapshots = pending_snapshots
        self._clock, self._on_preempted = clock, on_preempted
        self._recovery_pages, self._progress_interval_s = recovery_pages, progress_interval_s
        self.vision_pages, self._max_vision_pages = vision_pages, vision_pages
        self._usable = slots.count
        self._succeeded = 0  # since the last out-of-memory error
        self._pages = _Queues()

    def read(
        self,
        pages: Prefetcher[PageRequest, PreparedPage | PageOutput],
        progress: Callable[[Progress], None] | None = None,
    ) -> Iterator[PageOutput]:
        """Yield the output of each page, in the order in which they end.

        :param pages: prepared, or already failed.
        :param progress: called every few seconds.
        """
        self._pages = _Queues()
        reported = time.monotonic()
        try:
            while True:
                for output in self._round(pages):
                    self._pages.done += 1
                    if output.error is None:
                        self._recover()
                    yield output
                if pages.over and not self._unfinished():
                    return
                if progress and time.monotonic() - reported >= self._progress_interval_s:
                    reported = time.monotonic()
                    running = self._pages.running.values()
                    tokens = sum(page.steps for page in running)
                    progress(Progress(self._pages.done, len(running), tokens))
        finally:
            self._slots.leave(list(self._pages.running))

    def occupancy(self) -> Occupancy:
        """Return the use of slots and cache blocks; other threads may call it."""
        slots = self._slots
        return Occupancy(
            slots.count, len(self._pages.running), slots.blocks, slots.blocks - slots.free_blocks
        )

    def _unfinished(self) -> bool:
        return bool(self._pages.waiting or self._pages.alone or self._pages.running)

    def _round(
        self, pages: Prefetcher[PageRequest, PreparedPage | PageOutput]
    ) -> Iterator[PageOutput]:
        """Take prepared pages, let one group enter, run a few steps."""
        while not pages.over and len(self._pages.waiting) < 2 * self.vision_pages:
            prepared = pages.take(wait=not self._unfinished())
            if prepared is None:
                break
            if isinstance(prepared, PageOutput):
                yield prepared
            else:
                self._pages.waiting.append(prepared)
        yield from self._drop_cancelled()
        group = self._next_group(pages.over)
        if group:
            yield from self._enter(group)
        if self._pages.running:
            yield from self._decode_round()

    def _next_group(self, no_more: bool) -> list[PreparedPage]:
        """Return the pages of one mode that enter now.

        With many slots, a few stay free until a whole group can enter: the vision tower takes little
        longer for a group than for a single page.
        """
        queues = self._pages
        if queues.alone:
            return [] if queues.running else [queues.alone.popleft()]
        free = self._usable - len(queues.running)
        wanted = min(self.vision_pages, max(1, self._usable // 4))
        if no_more:
            wanted = min(wanted, len(queues.waiting))
        if not queues.waiting or free < max(1, wanted):
            return []
        mode = queues.waiting[0].request.resolution
        group = [page for page in queues.waiting if page.request.resolution == mode]
        group = self._fitting(group[: min(free, self.vision_pages)])
        for page in group:
            queues.waiting.remove(page)
        return group

    def _fitting(self, group: list[PreparedPage]) -> list[PreparedPage]:
        """Return the first pages whose prompts fit into the cache; at least one if no page runs."""
        running = len(self._pages.running)
        free = self._slots.free_blocks
        for number, page in enumerate(group):
            free -= count_blocks(len(page.prompt_ids) + 1)
            others = running + number
            if others and free < _HEADROOM * others:
                return group[:number]
        return group

    def _budget(self, page: PreparedPage) -> int:
        requested = page.request.max_output_length or self._max_tokens
        room = self._slots.length - len(page.prompt_ids)
        return max(1, min(requested, self._max_tokens, room))

    def _drop_cancelled(self) -> Iterator[PageOutput]:
        pages = self._pages
        for queue in (pages.waiting, pages.alone):
            for page in [page for page in queue if page.request.cancelled()]:
                queue.remove(page)
                yield PageOutput(key=page.key, error=cancelled_error())
        for slot, page in list(pages.running.items()):
            if page.request.cancelled():
                self._slots.leave([slot])
                del pages.running[slot]
                yield PageOutput(key=page.key, error=cancelled_error())

    def _enter(self, group: list[PreparedPage]) -> Iterator[PageOutput]:
        started = time.monotonic()
        free = [slot for slot in range(self._slots.count) if slot not in self._pages.running]
        entering = dict(zip(free, group, strict=False))
        lengths = [len(page.prompt_ids) for page in group]
        budgets = [self._budget(page) for page in group]
        try:
            if not self._slots.provide(dict(zip(entering, lengths, strict=True))):
                raise RuntimeError("the key-value cache has no room for admitted pages")
            with self._clock.phase("vision"):
                embeddings = self._embed(group)
            with self._clock.phase("prefill"):
                self._slots.enter(
                    list(entering),
                    embeddings,
                    lengths=lengths,
                    budgets=budgets,
                    constraints=[page.request.no_repeat_ngram for page in group],
                )
        except Exception as error:
            self._slots.leave(list(entering))
            clear_after(error)
            if len(group) == 1:
                yield PageOutput(key=group[0].key, error=page_error(error))
                return
            half = (len(group) + 1) // 2
            if isinstance(error, torch.OutOfMemoryError):
                self.vision_pages, self._succeeded = half, 0
            log.warning(
                "A group of %d pages failed (%s); retrying it in two halves.", len(group), error
            )
            yield from self._enter(group[:half])
            yield from self._enter(group[half:])
            return
        for page in group:
            page.steps = 1
            page.seconds += (time.monotonic() - started) / len(group)
        self._pages.running.update(entering)

    def _decode_round(self) -> Iterator[PageOutput]:
        running, started = self._pages.running, time.monotonic()
        try:
            self._allocate()
            with self._clock.phase("decode"):
                for _ in range(self._steps_per_poll):
                    longest = max(len(page.prompt_ids) + page.steps for page in running.values())
                    columns = longest + -longest % _COLUMN_MULTIPLE
                    self._slots.step(min(columns, self._slots.length), 1 + max(running))
                    for page in running.values():
                        page.steps += 1
            finished = [
                (slot, written, self._decode(written.ids)) for slot, written in self._poll()
            ]
        except Exception as error:
            yield from self._after_failure(error)
            return
        share = (time.monotonic() - started) / len(running)
        for page in running.values():
            page.seconds += share
        self._slots.leave([slot for slot, _, _ in finished])
        # All at once: between two outputs, the occupancy counts no page without blocks.
        pages = [running.pop(slot) for slot, _, _ in finished]
        for page, (_, written, text) in zip(pages, finished, strict=True):
            yield PageOutput(
                key=page.key,
                text=text,
                finish_reason=FinishReason.STOP if written.ended else FinishReason.LENGTH,
                vision_tokens=page.views.vision_tokens,
                prompt_tokens=len(page.prompt_ids),
                text_tokens=len(written.ids),
                seconds=page.seconds,
                token_probabilities=self._token_probabilities(written),
            )

    def _token_probabilities(self, text: SlotText) -> TokenProbabilities | None:
        if text.probabilities is None:
            return None
        return TokenProbabilities(
            pieces=self._pieces(text.ids),
            log_probabilities=tuple(text.probabilities.chosen),
            runner_up=tuple(text.probabilities.runner_up),
            runner_up_pieces=self._pieces(text.probabilities.runner_up_ids),
        )

    def _allocate(self) -> None:
        """Allocate blocks for the next steps; preempt the pages that entered last if too few are free."""
        running = self._pages.running
        while not self._slots.provide(
            {
                slot: len(page.prompt_ids)
                + min(page.steps + self._steps_per_poll, self._budget(page))
                for slot, page in running.items()
            }
        ):
            slot, page = running.popitem()
            self._on_preempted()
            self._slots.leave([slot])
            for _, running_then in self._pages.snapshots:
                running_then.pop(slot, None)
            page.steps = 0
            self._pages.waiting.appendleft(page)

    def _poll(self) -> list[tuple[int, SlotText]]:
        """Enqueue a snapshot; return the finished texts of the oldest one that is due."""
        snapshots, running = self._pages.snapshots, self._pages.running
        snapshots.append((self._slots.poll(), dict(running)))
        if len(snapshots) <= self._pending_snapshots:
            return []
        snapshot, running_then = snapshots.popleft()
        # Another page may have entered the slot since the snapshot.
        same = [slot for slot, page in running_then.items() if running.get(slot) is page]
        return list(snapshot.finished(same).items())

    def _after_failure(self, error: Exception) -> Iterator[PageOutput]:
        """Restart the running pages: fewer at once after an out-of-memory error, else one at a time."""
        pages = list(self._pages.running.values())
        self._slots.leave(list(self._pages.running))
        self._pages.running.clear()
        self._pages.snapshots.clear()
        clear_after(error)
        if len(pages) == 1:
            yield PageOutput(key=pages[0].key, error=page_error(error))
        elif isinstance(error, torch.OutOfMemoryError):
            self._usable, self._succeeded = max(1, len(pages) // 2), 0
            log.warning(
                "Out of GPU memory; reading at most %d pages at once for now.", self._usable
            )
            self._pages.waiting.extendleft(reversed(pages))
        else:
            log.warning(
                "%d pages failed together (%s); retrying them one at a time.", len(pages), error
            )
            self._pages.alone.extend(pages)

    def _recover(self) -> None:
        """Double the batch again after the recovery period: other processes may have left the GPU."""
        self._succeeded += 1
        if self._succeeded >= self._recovery_pages:
            self._succeeded = 0
            self._usable = min(2 * self._usable, self._slots.count)
            self.vision_pages = min(2 * self.vision_pages, self._max_vision_pages)


def clear_after(error: Exception) -> None:
    """Release the memory that a failed attempt holds."""
    # The traceback's frames hold its tensors.
    traceback.clear_frames(error.__traceback__)
    if isinstance(error, torch.OutOfMemoryError):
        torch.cuda.empty_cache()


def page_error(error: Exception) -> DeepSeekOCRError:
    """Return the error of a page that failed alone.

    :param error: what the attempt raised.
    """
    if isinstance(error, DeepSeekOCRError):
        return error
    if isinstance(error, torch.OutOfMemoryError):
        return UnavailableError(
            ErrorCode.OUT_OF_MEMORY,
            "GPU memory does not hold even one page; free some, or choose a smaller resolution.",
        )
    log.exception("The model failed on a page.", exc_info=error)
    return UnavailableError(
        ErrorCode.ENGINE_ERROR, f"The model failed on this page: {type(error).__name__}: {error}"
    )
