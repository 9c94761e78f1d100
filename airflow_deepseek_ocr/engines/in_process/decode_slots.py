"""Slots: a fixed number of pages that are written at once, each at its own place in its own text.

A page may enter when others are in the middle of their texts. On a GPU a step of all slots is one CUDA
graph, launched as a whole.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import UnlimitedOcrForConditionalGeneration

from airflow_deepseek_ocr.engines.in_process.block_pool import BLOCK, BlockPool, count_blocks
from airflow_deepseek_ocr.engines.in_process.compilation import LayerCompiler
from airflow_deepseek_ocr.engines.in_process.cuda_graph import Replayed
from airflow_deepseek_ocr.engines.in_process.device_transfer import BesideStream, to_device
from airflow_deepseek_ocr.engines.in_process.kv_cache import (
    KeyValueCache,
    VisibleBlocks,
    use_fused_attention,
)
from airflow_deepseek_ocr.engines.in_process.no_repeat_ngram import (
    NO_TOKEN,
    NoRepeatNgramConstraint,
)
from airflow_deepseek_ocr.model.deepseek_ocr.checkpoint import SpecialTokens
from airflow_deepseek_ocr.ocr.decoding import MOST_WINDOW, Decoding, NoRepeatNgram

log = logging.getLogger(__name__)

#: Numbers of slots whose steps are compiled and captured by themselves, besides that of all slots.
_LEVELS = (8, 64)


@dataclass(frozen=True)
class Text:
    """What a slot wrote.

    :param ids: token ids without the end token.
    :param ended: the end token was written.
    """

    ids: list[int]
    ended: bool


class DecodeSlots:
    """The decoder's state for all slots.

    :param model: the loaded model, on the device where all of this happens.
    :param tokens: ids of the special tokens.
    :param count: number of slots.
    :param length: most columns of a slot in the cache: prompt and text of a page, in tokens.
    :param blocks: of the cache; None for as many as all slots can fill.
    :param decoding: how text is generated.
    :param compiler: compiles the decoder's layers, here and now; None for none. Where that fails, or the
        step cannot be captured, it says so and steps are run kernel by kernel.
    :raises torch.OutOfMemoryError: the cache, or a step of all slots, does not fit.
    """

    def __init__(
        self,
        model: UnlimitedOcrForConditionalGeneration,
        tokens: SpecialTokens,
        count: int,
        length: int,
        blocks: int | None,
        decoding: Decoding,
        compiler: LayerCompiler | None = None,
    ) -> None:
        row_blocks = count_blocks(length)
        self.count, self.length = count, row_blocks * BLOCK
        self._decoder, self._head = model.model.language_model, model.lm_head
        parameters = inspect.signature(self._decoder.layers[0].forward).parameters
        # transformers 5.24 has renamed it.
        self._cache_name = "cache" if "cache" in parameters else "past_key_values"
        self._eos, self._decoding = NO_TOKEN if decoding.forced else tokens.eos, decoding
        weights = model.lm_head.weight
        device = weights.device

        def numbers() -> torch.Tensor:
            return torch.zeros(count, dtype=torch.long, device=device)

        self._rows = torch.arange(count, device=device)
        self._columns = torch.arange(self.length, device=device)
        self._last, self._position, self._written, self._budget = (numbers() for _ in range(4))
        self._done = torch.ones(count, dtype=torch.bool, device=device)
        self._ended = torch.zeros(count, dtype=torch.bool, device=device)
        # One more, into which slots write that are done.
        blocks = 1 + (count * row_blocks if blocks is None else max(blocks, row_blocks))
        self._pool = BlockPool(blocks)
        self._cache = KeyValueCache(model.config.text_config, blocks, self._position, weights)
        widest = max(decoding.ngram_window, MOST_WINDOW)
        self._no_repeat_ngram = NoRepeatNgramConstraint(count, widest, tokens.table_cells, device)
        # The widest window before the text, so that each guard always finds a full one; one column
        # behind it, into which the slots that are done write.
        self._before = widest
        self._text = torch.full(
            (count, self._before + self.length + 1), NO_TOKEN, dtype=torch.long, device=device
        )
        self._window = self._before - 1 - torch.arange(widest, device=device)
        self._beside = BesideStream(device)
        # Where few pages are written, a step of few slots is several times faster.
        self._levels = [*(level for level in _LEVELS if level < count), count]
        self._fast_steps: dict[int, Callable[[], None]] = {}
        # Before any page has come: those that are being written would wait for the compiler, and with
        # them in the cache there would be no way back from too little memory.
        for level in reversed(self._levels):
            if compiler is not None and compiler.works:
                self._prepare_fast_step(level, compiler)

    @property
    def is_fast(self) -> bool:
        """Whether its steps are compiled."""
        return bool(self._fast_steps)

    @property
    def free_blocks(self) -> int:
        """Blocks of the cache that no slot holds."""
        return self._pool.free

    def provide(self, columns: Mapping[int, int]) -> bool:
        """Give slots blocks for so many columns each; False, and nothing, if there are too few.

        :param columns: by slot; what is beyond :attr:`length` is not counted.
        """
        wanted = {slot: min(number, self.length) for slot, number in columns.items()}
        grants = self._pool.grant(wanted)
        if grants is None:
            return False
        self._cache.grant(grants)
        return True

    @torch.inference_mode()
    def enter(
        self,
        slots: Sequence[int],
        embeddings: torch.Tensor,
        lengths: Sequence[int],
        budgets: Sequence[int],
        no_repeat_ngrams: Sequence[NoRepeatNgram | None] | None = None,
    ) -> None:
        """Let pages take slots: run the decoder over their prompts and write their first tokens.

        :param slots: a free slot for each page, provided with blocks for its prompt.
        :param embeddings: (pages, longest prompt, hidden), padded on the right.
        :param lengths: of each prompt, in tokens.
        :param budgets: most tokens each page may write, at least 1.
        :param guards: of each page; None for that of the decoding.
        """
        usual = (self._decoding.ngram_size, self._decoding.ngram_window)
        numbers = [
            (
                slot,
                length,
                budget,
                *(
                    (no_repeat_ngram.ngram_size, no_repeat_ngram.ngram_window)
                    if no_repeat_ngram
                    else usual
                ),
            )
            for slot, length, budget, no_repeat_ngram in zip(
                slots, lengths, budgets, no_repeat_ngrams or [None] * len(slots), strict=True
            )
        ]
        rows, ends, budget, sizes, windows = to_device(numbers, embeddings.device).unbind(1)
        self._text[rows] = NO_TOKEN
        self._position[rows], self._written[rows], self._budget[rows] = ends, 0, budget
        self._ended[rows], self._done[rows] = False, False
        self._no_repeat_ngram.begin(rows, sizes, windows)
        places = self._columns[: embeddings.shape[1]]
        # What padding leaves in the cache stands behind the prompt's end, where each column is
        # written before it is read, or in the scrap block.
        caches = self._cache.prefill(rows, places)
        states = self._run(embeddings, places[None], None, caches, _call)
        last = states.gather(1, (ends - 1)[:, None, None].expand(-1, 1, states.shape[2]))[:, 0]
        self._write(rows, self._head(last).argmax(-1))

    @torch.inference_mode()
    def step(self, columns: int, slots: int) -> None:
        """Write a token in each slot that is not done and has a block for it; nothing waits.

        :param columns: of each slot that are looked at: more than any prompt and text.
        :param slots: how many of the first are in use.
        """
        count = next(level for level in self._levels if level >= slots)
        if count in self._fast_steps:
            self._fast_steps[count]()
            return
        seen = self._columns[:columns]
        mask = (seen <= self._position[:count, None])[:, None, None]
        self._step(self._rows[:count], mask, self._cache.step(count, seen), _call)

    @torch.inference_mode()
    def _prepare_fast_step(self, count: int, compiler: LayerCompiler) -> None:
        """Compile and capture the step of so many slots, if that is possible."""
        use_fused_attention(self._decoder.config)
        visible = VisibleBlocks(self._cache, self._position[:count])
        caches = self._cache.step(count, None)

        def step() -> None:
            visible.follow()
            self._step(visible.rows, visible.mask, caches, compiler)

        try:
            step()  # All slots are done, and write to nowhere.
        except (torch.OutOfMemoryError, torch.AcceleratorError):
            raise
        except Exception as error:
            compiler.give_up(error)
            return
        self._fast_steps[count] = self._captured(step)

    def _captured(self, step: Callable[[], None]) -> Callable[[], None]:
        # Other types' experts are computed in a loop that asks the device, and after a capture that
        # failed torch's allocator is not in order any more.
        if not self._rows.is_cuda or self._head.weight.dtype != torch.bfloat16:
            return step
        try:
            return Replayed(step, self._rows.device)
        except torch.OutOfMemoryError:
            raise
        except Exception as error:
            log.warning("Steps are launched kernel by kernel, which takes longer: %s", error)
            return step

    def _step(
        self,
        rows: torch.Tensor,
        mask: Any,
        caches: Sequence[Any],
        call: Callable[..., torch.Tensor],
    ) -> None:
        """A token of each of the first slots.

        :param rows: (slots,) the order in which the layers have them.
        """
        count = len(rows)
        self._cache.follow(rows)
        embeddings = self._decoder.embed_tokens(self._last[rows])[:, None]
        states = self._run(embeddings, self._position[rows, None], mask, caches, call)
        logits = self._head(torch.empty_like(states[:, 0]).index_copy_(0, rows, states[:, 0]))
        recent = self._text[:count].gather(1, self._written[:count, None] + self._window)
        banned = self._no_repeat_ngram.banned(recent, logits.shape[1])
        tokens = logits.masked_fill(banned, float("-inf")).argmax(-1)
        self._no_repeat_ngram.wrote(recent, tokens)
        # Slots that are done look at one column, and need no more of the GPU's time.
        self._position[:count].add_(1).mul_(~self._done[:count])
        self._write(self._rows[:count], tokens)

    def _run(
        self,
        embeddings: torch.Tensor,
        positions: torch.Tensor,
        mask: Any,
        caches: Sequence[Any],
        call: Callable[..., torch.Tensor],
    ) -> torch.Tensor:
        """The decoder's last states; without a mask each place sees those before it."""
        rotary = self._decoder.rotary_emb(embeddings, position_ids=positions)
        states = embeddings
        for layer, cache in zip(self._decoder.layers, caches, strict=True):
            states = call(
                layer,
                states,
                attention_mask=mask,
                position_embeddings=rotary,
                **{self._cache_name: cache},
            )
        last: torch.Tensor = self._decoder.norm(states)
        return last

    def _write(self, rows: torch.Tensor, token: torch.Tensor) -> None:
        """Take the tokens of these rows, unless they are done."""
        done, written = self._done[rows], self._written[rows]
        ended = ~done & (token == self._eos)
        takes = ~done & ~ended
        place = torch.where(takes, self._before + written, self._text.shape[1] - 1)
        self._text[rows, place] = token
        self._last[rows] = torch.where(takes, token, self._last[rows])
        written = written + takes
        self._written[rows] = written
        self._ended[rows] |= ended
        self._done[rows] |= ended | (written >= self._budget[rows])

    def look(self) -> Look:
        """What is done after the steps so far; nothing waits yet."""
        state = torch.stack([self._done, self._ended, self._written])
        return Look(self._beside, state, self._text, self._before)

    def leave(self, slots: Sequence[int]) -> None:
        """Free these slots and their blocks, whatever they were writing."""
        if slots:
            self._done[to_device(list(slots), self._done.device)] = True
            self._cache.release(slots)
            for slot in slots:
                self._pool.release(slot)


class Look:
    """Which slots were done at a moment, and what they had written.

    :param beside: copies from the device while it goes on.
    :param state: (3, slots): done, ended by the end token, tokens written; at that moment.
    :param text: (slots, places): all slots' texts, those of slots that are done changing no more.
    :param before: places before a text's beginning.
    """

    def __init__(
        self, beside: BesideStream, state: torch.Tensor, text: torch.Tensor, before: int
    ) -> None:
        self._beside, self._state, self._text, self._before = beside, state, text, before
        self._moment = beside.moment()

    def finished(self, slots: Sequence[int]) -> dict[int, Text]:
        """Those of the slots that were done, with their texts; waits for that moment.

        A slot's text is what it was as long as no other page has taken the slot.
        """
        with self._beside.after(self._moment):
            done, ended, written = self._state.tolist()
            found = [slot for slot in slots if done[slot]]
            if not found:
                return {}
            longest = max(written[slot] for slot in found)
            rows = torch.tensor(found, device=self._text.device)
            texts = self._text[rows, self._before : self._before + longest].tolist()
        return {
            slot: Text(text[: written[slot]], bool(ended[slot]))
            for slot, text in zip(found, texts, strict=True)
        }


def _call(layer: Any, states: torch.Tensor, **others: Any) -> torch.Tensor:
    result: torch.Tensor = layer(states, **others)
    return result
