"""Keys and values of the slots, in blocks, and who may look at which.

A layer's cache is a row of blocks; a slot's columns lie in those that its table names, wherever they are.
So a page takes as much memory as it has columns, not as the longest page might have.
"""

from __future__ import annotations

from collections.abc import Sequence
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
#: Place of a block in the row of a slot that does not hold it: behind all columns.
_NOWHERE = 2**20


@dataclass(frozen=True)
class PrefillCache:
    """A layer's cache while whole prompts come in; as transformers' layers call it.

    :param keys: of all blocks, (heads, columns, head size).
    :param values: the same.
    :param columns: (pages x places,) where each place of each prompt is kept.
    """

    keys: torch.Tensor
    values: torch.Tensor
    columns: torch.Tensor

    def update(
        self, keys: torch.Tensor, values: torch.Tensor, layer: int, **_: object
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Store the prompts' keys and values, which are all there is to attend to."""
        self.keys[:, self.columns] = keys.transpose(0, 1).flatten(1, 2)
        self.values[:, self.columns] = values.transpose(0, 1).flatten(1, 2)
        return keys, values


@dataclass(frozen=True)
class StepCache:
    """A layer's cache while each slot writes one token; as transformers' layers call it.

    :param keys: of all blocks, (heads, columns, head size).
    :param values: the same.
    :param column: (slots,) where each slot's token is kept.
    :param seen: (slots, columns) where the columns are that are attended to; None for all blocks, from
        which the mask chooses.
    """

    keys: torch.Tensor
    values: torch.Tensor
    column: torch.Tensor
    seen: torch.Tensor | None

    def update(
        self, keys: torch.Tensor, values: torch.Tensor, layer: int, **_: object
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Store the tokens' keys and values; return those to attend to."""
        self.keys[:, self.column] = keys[:, :, 0].transpose(0, 1)
        self.values[:, self.column] = values[:, :, 0].transpose(0, 1)
        if self.seen is None:
            return self.keys[None], self.values[None]
        return self.keys[:, self.seen].transpose(0, 1), self.values[:, self.seen].transpose(0, 1)


class KeyValueCache:
    """The caches of all layers.

    :param config: of the decoder.
    :param blocks: in each layer, the scrap block among them.
    :param position: (slots,) the column of its own that each slot writes next; it stays where it is.
    :param like: a tensor of the model, for type and device.
    """

    def __init__(
        self,
        config: Any,
        blocks: int,
        position: torch.Tensor,
        like: torch.Tensor,
    ) -> None:
        shape = (config.num_key_value_heads, blocks * BLOCK, config.head_dim)
        self._layers = [
            tuple(torch.zeros(shape, dtype=like.dtype, device=like.device) for _ in range(2))
            for _ in range(config.num_hidden_layers)
        ]
        self._position = position
        slots = len(position)

        def numbers(*shape: int) -> torch.Tensor:
            return torch.full(shape, NULL_BLOCK, dtype=torch.int32, device=like.device)

        #: (slots, blocks): the block at each place of a slot's row. Rows are shorter; flex attention
        #: wants a place for each block that there is.
        self.table = numbers(slots, blocks)
        #: (slots, blocks): the place of each block in a slot's row.
        self.place = numbers(slots, blocks)
        self._column = torch.zeros(slots, dtype=torch.long, device=like.device)
        self.release(list(range(slots)))

    def grant(self, grants: Sequence[Grant]) -> None:
        """Put blocks into the rows of slots."""
        if not grants:
            return
        numbers = [(grant.slot, grant.place, grant.block) for grant in grants]
        slots, places, blocks = to_device(numbers, self.table.device).unbind(1)
        self.table[slots, places] = blocks.int()
        self.place[slots, blocks] = places.int()
        self.place[slots, NULL_BLOCK] = _NOWHERE

    def release(self, slots: Sequence[int]) -> None:
        """Take all blocks from slots, which write to nowhere from now on."""
        rows = to_device(list(slots), self.table.device)
        self.table[rows] = NULL_BLOCK
        self.place[rows] = _NOWHERE
        # A softmax over nothing would be no number, and spread from the scrap block.
        self.place[rows, NULL_BLOCK] = 0

    def prefill(self, rows: torch.Tensor, places: torch.Tensor) -> list[PrefillCache]:
        """Each layer's, for prompts that come in.

        :param rows: (pages,) their slots.
        :param places: (longest prompt,) 0, 1, 2 and so on.
        """
        columns = self._find(rows[:, None], places[None]).flatten()
        return [PrefillCache(keys, values, columns) for keys, values in self._layers]

    def step(self, slots: int, seen: torch.Tensor | None) -> list[StepCache]:
        """Each layer's, for a token of each of the first slots at its position.

        :param slots: how many.
        :param seen: (columns,) those of its own that each slot looks at; None leaves it to the mask.
        """
        rows = torch.arange(slots, device=self.table.device)
        where = None if seen is None else self._find(rows[:, None], seen[None])
        column = self._column[:slots]
        return [StepCache(keys, values, column, where) for keys, values in self._layers]

    def follow(self, rows: torch.Tensor) -> None:
        """Let the steps write where the position is now.

        :param rows: (slots,) the slots whose tokens come in, in the order of the tokens.
        """
        position = self._position[rows]
        block = self.table[rows, position // BLOCK]
        self._column[: len(rows)].copy_(block * BLOCK + position % BLOCK)

    def _find(self, rows: torch.Tensor, columns: torch.Tensor) -> torch.Tensor:
        """Where columns of slots are kept."""
        return self.table[rows, columns // BLOCK].long() * BLOCK + columns % BLOCK


class VisibleBlocks:
    """Which columns each slot's token sees, for the fused kernel: it reads no other blocks.

    The kernel begins with the first rows, so the longest stand first: one that comes last would keep the
    others' places on the GPU empty until it is done.

    :param cache: knows which blocks are whose.
    :param position: (slots,) the column that each of the first slots writes; it stays where it is.
    """

    def __init__(self, cache: KeyValueCache, position: torch.Tensor) -> None:
        self._table, self._position = cache.table[: len(position)], position
        #: (slots,) which slot stands in which row.
        self.rows = torch.arange(len(position), device=position.device)
        rows, sorted_position, place = self.rows, torch.zeros_like(position), cache.place
        self._sorted = sorted_position
        self._seen = torch.zeros_like(self._table)[:, None, None]
        # The last block is the only one that is seen in part.
        self._last = torch.zeros_like(self._seen)
        self._full = torch.zeros_like(self._seen[..., 0])

        def sees(
            row: torch.Tensor, head: torch.Tensor, query: torch.Tensor, column: torch.Tensor
        ) -> torch.Tensor:
            own_column = place[rows[row], column // BLOCK] * BLOCK + column % BLOCK
            return own_column <= sorted_position[row]

        self.mask = BlockMask.from_kv_blocks(
            torch.ones_like(self._full),
            self._last,
            self._full,
            self._seen,
            BLOCK_SIZE=BLOCK,
            mask_mod=sees,
            seq_lengths=(1, place.shape[1] * BLOCK),
        )

    def follow(self) -> None:
        """Show what is seen from where the position is now."""
        self.rows.copy_(self._position.argsort(descending=True))
        self._sorted.copy_(self._position[self.rows])
        place = self._sorted // BLOCK
        self._full.copy_(place[:, None, None])
        self._seen[:, 0, 0] = self._table[self.rows]
        self._last[:, 0, 0, 0] = self._table[self.rows, place]


def use_fused_attention(config: Any) -> None:
    """Let a decoder take a :class:`VisibleBlocks`' mask as well as the usual ones.

    :param config: of transformers' decoder, which is changed.
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
