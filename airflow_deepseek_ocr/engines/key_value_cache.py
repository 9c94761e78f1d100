"""Keys and values of the slots, and who may look at which.

A slot has a row in each layer's cache, its page's keys from column 0 on: rows share nothing but the step.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.attention.flex_attention import BlockMask, flex_attention
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS, sdpa_mask
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

#: Columns that the fused kernel skips or reads together (flex attention's own default).
BLOCK = 128
#: Name of :func:`_attend` among transformers' attention functions.
_ATTENTION = "deepseek_ocr_slots"


@dataclass(frozen=True)
class PrefillCache:
    """A layer's cache while whole prompts come in; as transformers' layers call it.

    :param keys: of all slots, (slots, heads, columns, head size).
    :param values: the same.
    :param rows: (pages,) the slots whose prompts come in.
    """

    keys: torch.Tensor
    values: torch.Tensor
    rows: torch.Tensor

    def update(
        self, keys: torch.Tensor, values: torch.Tensor, layer: int, **_: object
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Store the prompts' keys and values, which are all there is to attend to."""
        places = keys.shape[2]
        self.keys[self.rows, :, :places] = keys
        self.values[self.rows, :, :places] = values
        return keys, values


@dataclass(frozen=True)
class StepCache:
    """A layer's cache while each slot writes one token; as transformers' layers call it.

    :param keys: of all slots, (slots, heads, columns, head size).
    :param values: the same.
    :param rows: (slots,) 0, 1, 2 and so on.
    :param position: (slots,) the column that each writes.
    :param columns: how many columns are attended to.
    """

    keys: torch.Tensor
    values: torch.Tensor
    rows: torch.Tensor
    position: torch.Tensor
    columns: int

    def update(
        self, keys: torch.Tensor, values: torch.Tensor, layer: int, **_: object
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Store the tokens' keys and values; return those to attend to."""
        self.keys[self.rows, :, self.position] = keys[:, :, 0]
        self.values[self.rows, :, self.position] = values[:, :, 0]
        return self.keys[:, :, : self.columns], self.values[:, :, : self.columns]


class KeyValueCache:
    """The caches of all layers.

    :param layers: how many.
    :param shape: (slots, heads, columns, head size) of each.
    :param like: a tensor of the model, for type and device.
    :param position: (slots,) the column that each slot writes next; it stays where it is.
    """

    def __init__(
        self,
        layers: int,
        shape: tuple[int, int, int, int],
        like: torch.Tensor,
        position: torch.Tensor,
    ) -> None:
        self._layers = [
            tuple(torch.zeros(shape, dtype=like.dtype, device=like.device) for _ in range(2))
            for _ in range(layers)
        ]
        self._rows = torch.arange(shape[0], device=like.device)
        self._position = position

    def prefill(self, rows: torch.Tensor) -> list[PrefillCache]:
        """Each layer's, for prompts that come in for these slots."""
        return [PrefillCache(keys, values, rows) for keys, values in self._layers]

    def step(self, columns: int) -> list[StepCache]:
        """Each layer's, for a token of each slot that looks at the first columns."""
        return [
            StepCache(keys, values, self._rows, self._position, columns)
            for keys, values in self._layers
        ]


class VisibleBlocks:
    """Which columns each slot's token sees, for the fused kernel: it reads no block behind them.

    :param position: (slots,) the column that each slot writes; it stays where it is.
    :param columns: of the cache, a multiple of :data:`BLOCK`.
    """

    def __init__(self, position: torch.Tensor, columns: int) -> None:
        self._position = position
        slots, device = len(position), position.device
        blocks = torch.arange(columns // BLOCK, dtype=torch.int32, device=device)
        self._counts = torch.zeros((slots, 1, 1), dtype=torch.int32, device=device)

        def sees(
            slot: torch.Tensor, head: torch.Tensor, query: torch.Tensor, column: torch.Tensor
        ) -> torch.Tensor:
            return column <= position[slot]

        self.mask = BlockMask.from_kv_blocks(
            self._counts,
            blocks.expand(slots, 1, 1, -1).contiguous(),
            BLOCK_SIZE=BLOCK,
            mask_mod=sees,
            seq_lengths=(1, columns),
        )

    def update(self) -> None:
        """Follow the position."""
        self._counts.copy_((self._position // BLOCK + 1)[:, None, None])


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
