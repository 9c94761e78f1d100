"""Continuous batching: pages enter a running batch when a slot is free and leave it when they end."""

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
from airflow_deepseek_ocr.engines.in_process.decode_slots import DecodeSlots, Look, Text
from airflow_deepseek_ocr.engines.in_process.device_timing import PhaseClock
from airflow_deepseek_ocr.engines.in_process.page_embedding import PreparedPage
from airflow_deepseek_ocr.exceptions import DeepSeekOCRError, ErrorCode, UnavailableError
from airflow_deepseek_ocr.ocr.engine_protocol import (
    FinishReason,
    PageOutput,
    PageRequest,
    Progress,
)

log = logging.getLogger(__name__)

_PROGRESS_EVERY_S = 5.0
#: Columns of the cache that are looked at are a multiple of this.
_COLUMNS = 64
#: Blocks that stay free for each page that is being written when another enters: one that has to make
#: room for the others begins anew.
_HEADROOM = 2
#: Pages that must end well before twice as many are tried again after memory ran out.
_CALM = 256


@dataclass
class _Shared:
    """What is where; pages that run stand in the order in which they entered."""

    waiting: deque[PreparedPage] = field(default_factory=deque)
    alone: deque[PreparedPage] = field(default_factory=deque)
    running: dict[int, PreparedPage] = field(default_factory=dict)
    looks: deque[tuple[Look, dict[int, PreparedPage]]] = field(default_factory=deque)
    done: int = 0


class Scheduler:
    """Reads pages through a fixed number of slots.

    :param slots: the decoder's state.
    :param vision_pages: most pages that go through the vision tower together.
    :param embed: embeddings of pages' prompts (pages, longest prompt, hidden), padded on the right.
    :param decode: token ids to text.
    :param most_tokens: a page may write; its request may ask for fewer.
    :param steps: tokens written between two looks at which pages have ended.
    :param ahead: how often ``steps`` tokens more are asked for before the device must have answered a
        look: 1 keeps a GPU at work meanwhile, and costs each page so many steps in vain.
    :param clock: told what the device does when.
    :param on_begun_anew: called when a page makes room for the others and will begin anew.
    """

    def __init__(
        self,
        slots: DecodeSlots,
        *,
        vision_pages: int,
        embed: Callable[[Sequence[PreparedPage]], torch.Tensor],
        decode: Callable[[list[int]], str],
        most_tokens: int,
        steps: int,
        ahead: int,
        clock: PhaseClock,
        on_begun_anew: Callable[[], None],
    ) -> None:
        self._slots, self._embed, self._decode = slots, embed, decode
        self._most_tokens, self._steps, self._ahead = most_tokens, steps, ahead
        self._clock, self._on_begun_anew = clock, on_begun_anew
        self.vision_pages, self._most_vision_pages = vision_pages, vision_pages
        self._usable = slots.count
        self._calm = 0
        self._pages = _Shared()

    def read(
        self,
        pages: Prefetcher[PageRequest, PreparedPage | PageOutput],
        progress: Callable[[Progress], None] | None = None,
    ) -> Iterator[PageOutput]:
        """Readings of all pages, in the order in which they end.

        :param pages: prepared, or already failed.
        :param progress: called every few seconds.
        """
        self._pages = _Shared()
        told = time.monotonic()
        try:
            while True:
                for reading in self._round(pages):
                    self._pages.done += 1
                    if reading.error is None:
                        self._recover()
                    yield reading
                if pages.over and not self._unfinished():
                    return
                if progress and time.monotonic() - told >= _PROGRESS_EVERY_S:
                    told = time.monotonic()
                    running = self._pages.running.values()
                    tokens = sum(page.steps for page in running)
                    progress(Progress(self._pages.done, len(running), tokens))
        finally:
            self._slots.leave(list(self._pages.running))

    def _unfinished(self) -> bool:
        return bool(self._pages.waiting or self._pages.alone or self._pages.running)

    def _round(
        self, pages: Prefetcher[PageRequest, PreparedPage | PageOutput]
    ) -> Iterator[PageOutput]:
        """Take what is ready, let one group enter, write a few tokens."""
        while not pages.over and len(self._pages.waiting) < 2 * self.vision_pages:
            taken = pages.take(wait=not self._unfinished())
            if taken is None:
                break
            if isinstance(taken, PageOutput):
                yield taken
            else:
                self._pages.waiting.append(taken)
        yield from self._give_up_cancelled()
        group = self._next_group(pages.over)
        if group:
            yield from self._enter(group)
        if self._pages.running:
            yield from self._write()

    def _next_group(self, no_more: bool) -> list[PreparedPage]:
        """Pages of one mode that enter now.

        Where there are many slots, a few stay free until a whole group can enter: the vision tower
        takes little longer for it than for a single page.
        """
        shared = self._pages
        if shared.alone:
            return [] if shared.running else [shared.alone.popleft()]
        free = self._usable - len(shared.running)
        wanted = min(self.vision_pages, max(1, self._usable // 4))
        if no_more:
            wanted = min(wanted, len(shared.waiting))
        if not shared.waiting or free < max(1, wanted):
            return []
        mode = shared.waiting[0].request.resolution
        group = [page for page in shared.waiting if page.request.resolution == mode]
        group = self._that_fit(group[: min(free, self.vision_pages)])
        for page in group:
            shared.waiting.remove(page)
        return group

    def _that_fit(self, group: list[PreparedPage]) -> list[PreparedPage]:
        """The first of the group: those whose prompts find room in the cache; always one if none runs."""
        running = len(self._pages.running)
        free = self._slots.free_blocks
        for number, page in enumerate(group):
            free -= count_blocks(len(page.prompt_ids) + 1)
            others = running + number
            if others and free < _HEADROOM * others:
                return group[:number]
        return group

    def _budget(self, page: PreparedPage) -> int:
        asked = page.request.max_output_length or self._most_tokens
        room = self._slots.length - len(page.prompt_ids)
        return max(1, min(asked, self._most_tokens, room))

    def _give_up_cancelled(self) -> Iterator[PageOutput]:
        pages = self._pages
        for queue in (pages.waiting, pages.alone):
            for page in [page for page in queue if page.request.cancelled()]:
                queue.remove(page)
                yield PageOutput(key=page.key, error=_cancelled())
        for slot, page in list(pages.running.items()):
            if page.request.cancelled():
                self._slots.leave([slot])
                del pages.running[slot]
                yield PageOutput(key=page.key, error=_cancelled())

    def _enter(self, group: list[PreparedPage]) -> Iterator[PageOutput]:
        started = time.monotonic()
        free = [slot for slot in range(self._slots.count) if slot not in self._pages.running]
        taken = dict(zip(free, group, strict=False))
        lengths = [len(page.prompt_ids) for page in group]
        budgets = [self._budget(page) for page in group]
        try:
            if not self._slots.provide(dict(zip(taken, lengths, strict=True))):
                raise RuntimeError("the key-value cache has no room for pages that were let in")
            no_repeat_ngrams = [page.request.no_repeat_ngram for page in group]
            with self._clock.phase("vision"):
                embeddings = self._embed(group)
            with self._clock.phase("prefill"):
                self._slots.enter(list(taken), embeddings, lengths, budgets, no_repeat_ngrams)
        except Exception as error:
            self._slots.leave(list(taken))
            clear_after(error)
            if len(group) == 1:
                yield PageOutput(key=group[0].key, error=page_error(error))
                return
            half = (len(group) + 1) // 2
            if isinstance(error, torch.OutOfMemoryError):
                self.vision_pages, self._calm = half, 0
            log.warning("%d pages failed together (%s); trying halves.", len(group), error)
            yield from self._enter(group[:half])
            yield from self._enter(group[half:])
            return
        for page in group:
            page.steps = 1
            page.seconds += (time.monotonic() - started) / len(group)
        self._pages.running.update(taken)

    def _write(self) -> Iterator[PageOutput]:
        running, started = self._pages.running, time.monotonic()
        try:
            self._make_room()
            with self._clock.phase("decode"):
                for _ in range(self._steps):
                    longest = max(len(page.prompt_ids) + page.steps for page in running.values())
                    columns = longest + -longest % _COLUMNS
                    self._slots.step(min(columns, self._slots.length), 1 + max(running))
                    for page in running.values():
                        page.steps += 1
            finished = [
                (slot, written, self._decode(written.ids)) for slot, written in self._look()
            ]
        except Exception as error:
            yield from self._after_failure(error)
            return
        share = (time.monotonic() - started) / len(running)
        for page in running.values():
            page.seconds += share
        self._slots.leave([slot for slot, _, _ in finished])
        for slot, written, text in finished:
            page = running.pop(slot)
            yield PageOutput(
                key=page.key,
                text=text,
                finish_reason=FinishReason.STOP if written.ended else FinishReason.LENGTH,
                vision_tokens=page.views.vision_tokens,
                prompt_tokens=len(page.prompt_ids),
                text_tokens=len(written.ids),
                seconds=page.seconds,
            )

    def _make_room(self) -> None:
        """Blocks for what is written next; the pages that entered last begin anew if there are too few."""
        running = self._pages.running
        while not self._slots.provide(
            {
                slot: len(page.prompt_ids) + min(page.steps + self._steps, self._budget(page))
                for slot, page in running.items()
            }
        ):
            slot, page = running.popitem()
            self._on_begun_anew()
            self._slots.leave([slot])
            for _, then in self._pages.looks:
                then.pop(slot, None)
            page.steps = 0
            self._pages.waiting.appendleft(page)

    def _look(self) -> list[tuple[int, Text]]:
        """Look at what is done now; give what an earlier look has found."""
        looks, running = self._pages.looks, self._pages.running
        looks.append((self._slots.look(), dict(running)))
        if len(looks) <= self._ahead:
            return []
        look, then = looks.popleft()
        # Another page may have taken a slot since then.
        same = [slot for slot, page in then.items() if running.get(slot) is page]
        return list(look.finished(same).items())

    def _after_failure(self, error: Exception) -> Iterator[PageOutput]:
        """Begin the running pages anew: fewer at once if memory ran out, else each by itself."""
        pages = list(self._pages.running.values())
        self._slots.leave(list(self._pages.running))
        self._pages.running.clear()
        self._pages.looks.clear()
        clear_after(error)
        if len(pages) == 1:
            yield PageOutput(key=pages[0].key, error=page_error(error))
        elif isinstance(error, torch.OutOfMemoryError):
            self._usable, self._calm = max(1, len(pages) // 2), 0
            log.warning("Out of memory; for now %d pages at once.", self._usable)
            self._pages.waiting.extendleft(reversed(pages))
        else:
            log.warning("%d pages failed together (%s); reading each alone.", len(pages), error)
            self._pages.alone.extend(pages)

    def _recover(self) -> None:
        """After enough pages without a failure try more at once again: others may have left the GPU."""
        self._calm += 1
        if self._calm >= _CALM:
            self._calm = 0
            self._usable = min(2 * self._usable, self._slots.count)
            self.vision_pages = min(2 * self.vision_pages, self._most_vision_pages)


def clear_after(error: Exception) -> None:
    """Let go of what a failed attempt holds."""
    # The traceback's frames hold its tensors.
    traceback.clear_frames(error.__traceback__)
    if isinstance(error, torch.OutOfMemoryError):
        torch.cuda.empty_cache()


def _cancelled() -> DeepSeekOCRError:
    return UnavailableError(ErrorCode.CANCELLED, "Nobody waits for this page any more.")


def page_error(error: Exception) -> DeepSeekOCRError:
    """What to tell about a page that failed even by itself."""
    if isinstance(error, DeepSeekOCRError):
        return error
    if isinstance(error, torch.OutOfMemoryError):
        return UnavailableError(
            ErrorCode.OUT_OF_MEMORY,
            "The GPU's memory does not hold even one page; free it, or choose a smaller resolution.",
        )
    log.exception("A page could not be read.", exc_info=error)
    return UnavailableError(
        ErrorCode.ENGINE_ERROR, f"The model failed on this page: {type(error).__name__}: {error}"
    )
