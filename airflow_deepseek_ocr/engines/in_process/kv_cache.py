"""The paged key-value cache: keys and values of all slots, in blocks, and attention over them.

A layer's cache is a row of blocks. A slot's block table names the blocks that hold its columns, in any
order, so a page uses memory for the columns it has.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.attention.flex_attention import BlockMask, flex_attention
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS, sdpa_mask
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from airflow_deepseek_ocr.engines.in_process.block_pool import BLOCK, NULL_BLOCK, Grant
from airflow_deepseek_ocr.engines.in_process.device_transfer import to_device

#: Name of :func:`_attend` among transformers' attention functions.
_ATTENTION = "deepseek_ocr_slots"
#: Index of a block in the row of a slot that does not own it: behind all columns.
_NOT_OWNED = 2**20


@dataclass(frozen=True)
class PrefillCache:
    """A layer's cache during prefill, with the interface that transformers' layers use.

    :param keys: of all blocks, (heads, columns, head size).
    :param values: the same.
    :param columns: (pages x prompt length,) cache column of each prompt token.
    """

    keys: torch.Tensor
    values: torch.Tensor
    columns: torch.Tensor

    def update(
        self, keys: torch.Tensor, values: torch.Tensor, layer: int, **_: object
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Store the prompts' keys and values and return them: nothing else is attended to."""
        self.keys[:, self.columns] = keys.transpose(0, 1).flatten(1, 2)
        self.values[:, self.columns] = values.transpose(0, 1).flatten(1, 2)
        return keys, values


@dataclass(frozen=True)
class StepCache:
    """A layer's cache during a step of one token per slot, with the interface of transformers' layers.

    :param keys: of all blocks, (heads, columns, head size).
    :param values: the same.
    :param column: (slots,) cache column of each slot's token.
    :param seen: returns (slots, heads, columns, head size) of the keys or values that are attended to; None
        for all blocks, from which the mask chooses.
    """

    keys: torch.Tensor
    values: torch.Tensor
    column: torch.Tensor
    seen: Callable[[torch.Tensor], torch.Tensor] | None

    def update(
        self, keys: torch.Tensor, values: torch.Tensor, layer: int, **_: object
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Store the tokens' keys and values; return those to attend to."""
        self.keys[:, self.column] = keys[:, :, 0].transpose(0, 1)
        self.values[:, self.column] = values[:, :, 0].transpose(0, 1)
        if self.seen is None:
            return self.keys[None], self.values[None]
        return self.seen(self.keys), self.seen(self.values)


class KeyValueCache:
    """The caches of all layers.

    :param config: of the decoder.
    :param blocks: in each layer, the null block included.
    :param position: (slots,) the column that each slot writes next; its address never changes.
    :param like: a tensor of the model, for type and device.
    :param own_blocks: blocks of each slot if they are its own, as
        :class:`~airflow_deepseek_ocr.engines.in_process.block_pool.OwnBlocks` allocates them; None if slots
        share them.
    """

    def __init__(
        self,
        config: Any,
        blocks: int,
        position: torch.Tensor,
        like: torch.Tensor,
        own_blocks: int | None = None,
    ) -> None:
        self._own_columns = own_blocks and own_blocks * BLOCK
        shape = (config.num_key_value_heads, blocks * BLOCK, config.head_dim)
        self._layers = [
            tuple(torch.zeros(shape, dtype=like.dtype, device=like.device) for _ in range(2))
            for _ in range(config.num_hidden_layers)
        ]
        self._position = position
        slots = len(position)

        def numbers(*shape: int) -> torch.Tensor:
            return torch.full(shape, NULL_BLOCK, dtype=torch.int32, device=like.device)

        #: (slots, blocks): the block table. Rows are shorter, but flex attention expects one entry for
        #: each block of the cache.
        self.table = numbers(slots, blocks)
        #: (slots, blocks): the index of each block in a slot's row.
        self.index = numbers(slots, blocks)
        self._column = torch.zeros(slots, dtype=torch.long, device=like.device)
        self.release(list(range(slots)))

    def grant(self, grants: Sequence[Grant]) -> None:
        """Enter allocated blocks into the block table."""
        if not grants:
            return
        numbers = [(grant.slot, grant.index, grant.block) for grant in grants]
        slots, indices, blocks = to_device(numbers, self.table.device).unbind(1)
        self.table[slots, indices] = blocks.int()
        self.index[slots, blocks] = indices.int()
        self.index[slots, NULL_BLOCK] = _NOT_OWNED

    def release(self, slots: Sequence[int]) -> None:
        """Remove all blocks of slots, which write to the null block from now on."""
        rows = to_device(list(slots), self.table.device)
        self.table[rows] = NULL_BLOCK
        self.index[rows] = _NOT_OWNED
        # A softmax over nothing is NaN, which would spread through the null block.
        self.index[rows, NULL_BLOCK] = 0

    def prefill(self, rows: torch.Tensor, columns: torch.Tensor) -> list[PrefillCache]:
        """Return each layer's cache for the prefill of prompts.

        :param rows: (pages,) their slots.
        :param columns: (longest prompt,) 0, 1, 2 and so on.
        """
        found = self._find(rows[:, None], columns[None]).flatten()
        return [PrefillCache(keys, values, found) for keys, values in self._layers]

    def step(self, slots: int, seen: torch.Tensor | None) -> list[StepCache]:
        """Return each layer's cache for a token of each of the first slots at its position.

        :param slots: number of slots.
        :param seen: (columns,) 0, 1, 2 and so on: the slot's columns that are attended to; None leaves it to
            the mask.
        """
        look = None if seen is None else self._seen(slots, seen)
        column = self._column[:slots]
        return [StepCache(keys, values, column, look) for keys, values in self._layers]

    def _seen(self, slots: int, columns: torch.Tensor) -> Callable[[torch.Tensor], torch.Tensor]:
        own, count = self._own_columns, len(columns)
        if own:
            # A view: a copy of the columns takes longer than the attention on a CPU.
            return lambda cache: (
                cache[:, BLOCK:]
                .view(len(cache), -1, own, cache.shape[2])[:, :slots, :count]
                .transpose(0, 1)
            )
        where = self._find(torch.arange(slots, device=self.table.device)[:, None], columns[None])
        return lambda cache: cache[:, where].transpose(0, 1)

    def follow(self, rows: torch.Tensor) -> None:
        """Set the cache columns that the next step writes from the current positions.

        :param rows: (slots,) the slots of the tokens, in the order of the tokens.
        """
        position = self._position[rows]
        block = self.table[rows, position // BLOCK]
        self._column[: len(rows)].copy_(block * BLOCK + position % BLOCK)

    def _find(self, rows: torch.Tensor, columns: torch.Tensor) -> torch.Tensor:
        """Return the cache columns of slots' columns."""
        return self.table[rows, columns // BLOCK].long() * BLOCK + columns % BLOCK


class VisibleBlocks:
    """Block mask of the columns that each slot's token attends to; the kernel reads no other blocks.

    Rows are sorted by length, longest first: the kernel starts with the first rows, and a long row at the
    end would leave most of the GPU idle until it is done.

    :param cache: has the block table.
    :param position: (slots,) the column that each of the first slots writes; its address never changes.
    """

    def __init__(self, cache: KeyValueCache, position: torch.Tensor) -> None:
        self._table, self._position = cache.table[: len(position)], position
        #: (slots,) the slot of each row.
        self.rows = torch.arange(len(position), device=position.device)
        rows, sorted_position, index = self.rows, torch.zeros_like(position), cache.index
        self._sorted = sorted_position
        self._seen = torch.zeros_like(self._table)[:, None, None]
        # The last block is the only one that is attended to in part.
        self._last = torch.zeros_like(self._seen)
        self._full = torch.zeros_like(self._seen[..., 0])

        def sees(
            row: torch.Tensor, head: torch.Tensor, query: torch.Tensor, column: torch.Tensor
        ) -> torch.Tensor:
            own_column = index[rows[row], column // BLOCK] * BLOCK + column % BLOCK
            return own_column <= sorted_position[row]

        self.mask = BlockMask.from_kv_blocks(
            torch.ones_like(self._full),
            self._last,
            self._full,
            self._seen,
            BLOCK_SIZE=BLOCK,
            mask_mod=sees,
            seq_lengths=(1, index.shape[1] * BLOCK),
        )

    def follow(self) -> None:
        """Update the mask from the current positions."""
        self.rows.copy_(self._position.argsort(descending=True))
        self._sorted.copy_(self._position[self.rows])
        index = self._sorted // BLOCK
        self._full.copy_(index[:, None, None])
        self._seen[:, 0, 0] = self._table[self.rows]
        self._last[:, 0, 0, 0] = self._table[self.rows, index]


def use_fused_attention(config: Any) -> None:
    """Make a decoder accept the mask of :class:`VisibleBlocks` besides the usual ones.

    :param config: transformers' configuration of the decoder, which is changed.
    """
    ALL_ATTENTION_FUNCTIONS.register(_ATTENTION, _attend)
    # For the model's own forward, which makes its masks itself.
    ALL_MASK_ATTENTION_FUNCTIONS.register(_ATTENTION, sdpa_mask)
    config._attn_implementation = _ATTENTION


def _attend(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | BlockMask | None,
    scaling: float | None = None,
    **others: Any,
) -> tuple[torch.Tensor, None]:
    if isinstance(attention_mask, BlockMask):
        output = flex_attention(query, key, value, block_mask=attention_mask, scale=scaling)
        return output.transpose(1, 2), None
    output, _ = sdpa_attention_forward(
        module, query, key, value, attention_mask, scaling=scaling, **others
    )
    return output, None
