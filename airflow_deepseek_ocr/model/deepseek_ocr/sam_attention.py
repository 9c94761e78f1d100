"""SAM's attention with relative positions, through PyTorch's fused kernels.

transformers adds the positions as a bias of the full attention matrix: 400 MB for a layer of one
1024 x 1024 view in bfloat16, written and read again. Here they are part of the dot product. The bias
between a query at (row i, column j) and a key at (k, l) is ``q . Rh[i - k] + q . Rw[j - l]``: a sum of
two numbers that depend on the query and on the key's row or column alone. So queries are extended by
their products with ``Rh`` and ``Rw``, keys by one-hot vectors of their row and column, and the fused
kernel computes the same scores without ever holding the matrix.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812  (torch's own idiom)
from torch import nn


def fuse_sam_attention(sam: Any) -> None:
    """Replace the attention of each layer of transformers' SAM encoder; the weights stay.

    :param sam: ``model.vision_tower.sam_encoder`` of the native classes, with its weights loaded.
    """
    for layer in sam.layers:
        layer.attn = FusedRelativeAttention(layer.attn)


class FusedRelativeAttention(nn.Module):
    """The same function as transformers' SAM attention in either family, without the bias matrix.

    :param attention: the original, whose parameters are used.
    """

    def __init__(self, attention: Any) -> None:
        super().__init__()
        self.attention: Any = attention
        # Checkpoints trained without relative positions have tables of zeros.
        self._positions = any(
            bool(table.any()) for table in (attention.rel_pos_h, attention.rel_pos_w)
        )

    def forward(self, hidden_states: torch.Tensor) -> tuple[torch.Tensor, None]:
        """Attend within each grid.

        :param hidden_states: (batch, height, width, channels).
        :returns: the same shape; and None for the attention weights, which are never computed.
        """
        batch, height, width, _ = hidden_states.shape
        heads = self.attention.num_attention_heads
        query, key, value = (
            self.attention.qkv(hidden_states)
            .view(batch, height * width, 3, heads, -1)
            .permute(2, 0, 3, 1, 4)
        )
        size, scale = query.shape[-1], self.attention.scale
        if self._positions:
            query = torch.cat([query, self._products(query, height, width) / scale], dim=-1)
            places = _one_hot_places(height, width, key).expand(batch, heads, -1, -1)
            key = torch.cat([key, places], dim=-1)
            value = F.pad(value, (0, height + width))
        output = F.scaled_dot_product_attention(query, key, value, scale=scale)[..., :size]
        output = output.transpose(1, 2).reshape(batch, height, width, -1)
        return self.attention.proj(output), None

    def _products(self, query: torch.Tensor, height: int, width: int) -> torch.Tensor:
        """(batch, heads, height * width, height + width): each query times the tables."""
        attention = self.attention
        grid = query.view(*query.shape[:2], height, width, -1)
        rows = attention.get_rel_pos(height, height, attention.rel_pos_h)
        columns = attention.get_rel_pos(width, width, attention.rel_pos_w)
        products = (
            torch.einsum("bnhwc,hkc->bnhwk", grid, rows),
            torch.einsum("bnhwc,wkc->bnhwk", grid, columns),
        )
        return torch.cat(products, dim=-1).flatten(2, 3)


def _one_hot_places(height: int, width: int, like: torch.Tensor) -> torch.Tensor:
    """(height * width, height + width): one-hot row and column of each place of the grid."""
    rows = torch.eye(height, dtype=like.dtype, device=like.device).repeat_interleave(width, 0)
    columns = torch.eye(width, dtype=like.dtype, device=like.device).repeat(height, 1)
    return torch.cat([rows, columns], dim=-1)
