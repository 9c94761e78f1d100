"""SAM's attention through the fused kernel is the attention of transformers."""

from __future__ import annotations

import pytest
import torch
from transformers.models.unlimited_ocr.configuration_unlimited_ocr import (
    UnlimitedOcrSamVisionConfig,
)
from transformers.models.unlimited_ocr.modeling_unlimited_ocr import (
    UnlimitedOcrSamVisionAttention,
)

from airflow_deepseek_ocr.model.deepseek_ocr.sam_attention import FusedRelativeAttention


def attention(window: int, table_scale: float) -> UnlimitedOcrSamVisionAttention:
    config = UnlimitedOcrSamVisionConfig(
        hidden_size=48, num_attention_heads=3, image_size=256, initializer_range=0.02
    )
    torch.manual_seed(0)
    original = UnlimitedOcrSamVisionAttention(config, window).eval()
    for parameter in original.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    for table in (original.rel_pos_h, original.rel_pos_w):
        torch.nn.init.normal_(table, std=table_scale) if table_scale else torch.nn.init.zeros_(
            table
        )
    return original


@pytest.mark.parametrize("table_scale", [1.0, 0.0], ids=["tables", "zero tables"])
@pytest.mark.parametrize(
    ("window", "size"),
    [(14, (14, 14)), (0, (16, 16)), (0, (10, 10)), (0, (6, 9))],
    ids=["window", "whole", "interpolated", "oblong"],
)
@torch.no_grad()
def test_same_result(window: int, size: tuple[int, int], table_scale: float) -> None:
    original = attention(window, table_scale)
    states = torch.randn(2, *size, 48)
    expected, _ = original(states)
    result, weights = FusedRelativeAttention(original)(states)
    assert weights is None
    assert (result - expected).abs().max() < 1e-5 * expected.abs().max()


@torch.no_grad()
def test_positions_count() -> None:
    states = torch.randn(1, 14, 14, 48)
    with_positions = FusedRelativeAttention(attention(14, 1.0))(states)[0]
    without = FusedRelativeAttention(attention(14, 0.0))(states)[0]
    assert (with_positions - without).abs().max() > 0.1
