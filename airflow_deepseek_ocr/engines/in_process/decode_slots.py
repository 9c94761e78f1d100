"""A fixed number of slots; each holds one page, at its own position in its own text.

A page may enter while other pages are in the middle of their texts. On a GPU a step of all slots is one
CUDA graph.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from transformers import PreTrainedModel

from airflow_deepseek_ocr.engines.in_process.block_pool import (
    BLOCK,
    BlockPool,
    OwnBlocks,
    count_blocks,
)
from airflow_deepseek_ocr.engines.in_process.compilation import LayerCompiler
from airflow_deepseek_ocr.engines.in_process.cuda_graph import GraphedStep
from airflow_deepseek_ocr.engines.in_process.decode_buffers import DecodeBuffers, Snapshot
from airflow_deepseek_ocr.engines.in_process.decoder_step import DecoderStep, call_layer
from airflow_deepseek_ocr.engines.in_process.device_transfer import to_device
from airflow_deepseek_ocr.engines.in_process.kv_cache import KeyValueCache, use_fused_attention
from airflow_deepseek_ocr.engines.in_process.no_repeat_ngram import (
    NO_TOKEN,
    NoRepeatNgramConstraint,
)
from airflow_deepseek_ocr.model.deepseek_ocr.checkpoint import SpecialTokens
from airflow_deepseek_ocr.ocr.decoding import MOST_WINDOW, Decoding, NoRepeatNgram

#: Numbers of slots with a step of their size, besides that of all slots: with few pages in progress a
#: step of few slots is several times faster.
_STEP_SIZES = (8, 64)


class DecodeSlots:
    """Decodes the pages that hold slots.

    :param model: the loaded model; slots live on its device.
    :param tokens: ids of the special tokens.
    :param count: number of slots.
    :param length: most columns of a slot: prompt and text of a page, in tokens.
    :param blocks: blocks of the key-value cache; None for as many as all slots can fill.
    :param decoding: how text is generated.
    :param compiler: compiles the decoder's layers in this constructor; None runs them uncompiled. If
        compilation or graph capture fails, a warning is logged and steps run kernel by kernel.
    :raises torch.OutOfMemoryError: the cache, or a step of all slots, does not fit.
    """

    def __init__(
        self,
        *,
        model: PreTrainedModel,
        tokens: SpecialTokens,
        count: int,
        length: int,
        blocks: int | None,
        decoding: Decoding,
        compiler: LayerCompiler | None = None,
    ) -> None:
        row_blocks = count_blocks(length)
        self.count, self.length, self._decoding = count, row_blocks * BLOCK, decoding
        weights = model.lm_head.weight
        widest = max(decoding.ngram_window, MOST_WINDOW)
        self._buffers = DecodeBuffers(
            count=count,
            length=self.length,
            window=widest,
            eos=NO_TOKEN if decoding.forced else tokens.eos,
            device=weights.device,
            probabilities=decoding.token_probabilities,
        )
        # Compiled steps read blocks in any order.
        own_blocks = row_blocks if blocks is None and compiler is None else None
        # The null block comes on top: slots that are done write to it.
        blocks = 1 + (count * row_blocks if blocks is None else max(blocks, row_blocks))
        self._pool = OwnBlocks(count, row_blocks) if own_blocks else BlockPool(blocks)
        #: Blocks of the cache that slots may hold.
        self.blocks = self._pool.free
        self._cache = KeyValueCache(
            model.config.text_config, blocks, self._buffers.position, weights, own_blocks
        )
        self._constraint = NoRepeatNgramConstraint(
            rows=count, widest=widest, exempt=tokens.table_cells, device=weights.device
        )
        self._step = DecoderStep(
            model, buffers=self._buffers, cache=self._cache, constraint=self._constraint
        )
        #: Numbers of slots that a step may have.
        self.step_sizes = [*(size for size in _STEP_SIZES if size < count), count]
        self._graphed_steps: dict[int, GraphedStep] = {}
        # Compile before the first page: later, pages in progress would stall, and an out-of-memory
        # error could not be undone.
        for size in reversed(self.step_sizes):
            if compiler is not None and compiler.works:
                self._prepare_graphed_step(size, compiler)

    @torch.inference_mode()
    def _prepare_graphed_step(self, size: int, compiler: LayerCompiler) -> None:
        use_fused_attention(self._step.config)
        graphed = GraphedStep(
            self._step, buffers=self._buffers, cache=self._cache, count=size, compiler=compiler
        )
        try:
            graphed.compile()
        except (torch.OutOfMemoryError, torch.AcceleratorError):
            raise
        except Exception as error:
            compiler.give_up(error)
            return
        graphed.capture()
        self._graphed_steps[size] = graphed

    @property
    def is_compiled(self) -> bool:
        """Whether steps run compiled layers."""
        return bool(self._graphed_steps)

    @property
    def free_blocks(self) -> int:
        """Blocks of the cache that no slot holds."""
        return self._pool.free

    def provide(self, columns: Mapping[int, int]) -> bool:
        """Allocate blocks for this many columns of each slot; return False if too few are free.

        On False nothing has changed.

        :param columns: by slot; columns beyond :attr:`length` are not counted.
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
        *,
        lengths: Sequence[int],
        budgets: Sequence[int],
        constraints: Sequence[NoRepeatNgram | None] | None = None,
    ) -> None:
        """Give pages their slots: run the decoder over their prompts and write their first tokens.

        :param slots: a free slot for each page, provided with blocks for its prompt.
        :param embeddings: (pages, longest prompt, hidden), padded on the right.
        :param lengths: of each prompt, in tokens.
        :param budgets: most tokens each page may write, at least 1.
        :param constraints: no-repeat-n-gram constraint of each page; None for that of the decoding.
        """
        default = (self._decoding.ngram_size, self._decoding.ngram_window)
        numbers = [
            (slot, length, budget, *((own.ngram_size, own.ngram_window) if own else default))
            for slot, length, budget, own in zip(
                slots, lengths, budgets, constraints or [None] * len(slots), strict=True
            )
        ]
        rows, ends, budget, sizes, windows = to_device(numbers, embeddings.device).unbind(1)
        self._buffers.begin(rows, ends, budget)
        self._constraint.reset(rows, sizes, windows)
        self._step.prefill(rows, embeddings, ends)

    @torch.inference_mode()
    def step(self, columns: int, slots: int) -> None:
        """Write one token in each slot that is not done and has a block for it; never blocks.

        :param columns: of each slot that are attended to: more than any prompt and text.
        :param slots: how many of the first slots are in use.
        """
        count = next(size for size in self.step_sizes if size >= slots)
        if count in self._graphed_steps:
            self._graphed_steps[count]()
            return
        # Nothing is compiled for a size: slots that are not in use need no rows.
        buffers = self._buffers
        seen = buffers.columns[:columns]
        mask = (seen <= buffers.position[:slots, None])[:, None, None]
        self._step(buffers.rows[:slots], mask, self._cache.step(slots, seen), call_layer)

    def poll(self) -> Snapshot:
        """Capture which slots are done after the steps so far; does not block."""
        return self._buffers.snapshot()

    def leave(self, slots: Sequence[int]) -> None:
        """Free these slots and their blocks, whether or not their texts are complete."""
        if slots:
            self._buffers.stop(slots)
            self._cache.release(slots)
            for slot in slots:
                self._pool.release(slot)

    def set_mid_text(self, positions: Sequence[int], budget: int) -> None:
        """Put all slots into the middle of texts; see :meth:`DecodeBuffers.set_mid_text`."""
        self._buffers.set_mid_text(positions, budget)
