"""The paged cache stores and finds columns; fused attention over blocks equals plain attention."""

from __future__ import annotations

from types import SimpleNamespace

import torch
from torch.nn.attention.flex_attention import flex_attention
from torch.nn.functional import scaled_dot_product_attention

from airflow_deepseek_ocr.engines.in_process.block_pool import BLOCK, Grant, OwnBlocks
from airflow_deepseek_ocr.engines.in_process.kv_cache import KeyValueCache, VisibleBlocks

HEADS, SIZE = 2, 16
CONFIG = SimpleNamespace(num_key_value_heads=HEADS, head_dim=SIZE, num_hidden_layers=1)


def make_cache(position: list[int]) -> tuple[KeyValueCache, torch.Tensor]:
    positions = torch.tensor(position)
    cache = KeyValueCache(CONFIG, 6, positions, torch.zeros(1))
    # Blocks in no order: slot 0 has two, slot 1 has one.
    cache.grant([Grant(0, 0, 4), Grant(0, 1, 2), Grant(1, 0, 5)])
    return cache, positions


def fill(cache: KeyValueCache, columns: int) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    keys, values = (torch.randn(2, HEADS, columns, SIZE) for _ in range(2))
    (layer,) = cache.prefill(torch.tensor([0, 1]), torch.arange(columns))
    layer.update(keys, values, 0)
    return keys, values


def test_a_step_finds_the_columns_that_prefill_stored() -> None:
    cache, _ = make_cache([BLOCK + 3, 40])
    keys, values = fill(cache, 41)
    (layer,) = cache.step(2, torch.arange(41))
    cache.follow(torch.tensor([0, 1]))
    new = torch.ones(2, HEADS, 1, SIZE)
    found_keys, found_values = layer.update(new, new, 0)
    assert torch.equal(found_keys[0], keys[0])
    assert torch.equal(found_values[0], values[0])
    # Slot 1 has written its own column 40.
    assert torch.equal(found_keys[1, :, 40], new[1, :, 0])
    assert torch.equal(found_keys[1, :, :40], keys[1, :, :40])


def test_columns_of_own_blocks_are_read_where_they_are() -> None:
    pool, positions = OwnBlocks(2, 2), torch.tensor([BLOCK + 3, 40])
    cache = KeyValueCache(CONFIG, 5, positions, torch.zeros(1), own_blocks=2)
    shared, _ = make_cache(positions.tolist())
    cache.grant(pool.grant({0: BLOCK + 4, 1: 41}) or [])
    for each in (cache, shared):
        fill(each, 41)
        each.follow(torch.tensor([0, 1]))
    new = torch.ones(2, HEADS, 1, SIZE)
    (own_layer,), (layer,) = cache.step(2, torch.arange(41)), shared.step(2, torch.arange(41))
    storages = {each.untyped_storage().data_ptr() for each in (own_layer.keys, own_layer.values)}
    for own, copied in zip(own_layer.update(new, new, 0), layer.update(new, new, 0), strict=True):
        assert torch.equal(own, copied)
        assert own.untyped_storage().data_ptr() in storages
    (first,) = cache.step(1, torch.arange(7))
    assert first.seen is not None
    assert first.seen(first.keys).shape == (1, HEADS, 7, SIZE)


def test_attention_by_blocks_is_attention_over_the_own_columns() -> None:
    position = [BLOCK + 3, 40]
    cache, positions = make_cache(position)
    keys, values = fill(cache, BLOCK + 4)
    visible = VisibleBlocks(cache, positions)
    visible.follow()
    assert visible.rows.tolist() == [0, 1]  # the longest first
    (layer,) = cache.step(2, None)
    query = torch.randn(2, HEADS, 1, SIZE)
    output = flex_attention(
        query,
        layer.keys[None].expand(2, -1, -1, -1),
        layer.values[None].expand(2, -1, -1, -1),
        block_mask=visible.mask,
    )
    for row, last in enumerate(position):
        own = slice(0, last + 1)
        expected = scaled_dot_product_attention(query[row], keys[row, :, own], values[row, :, own])
        if row == 0:
            assert torch.allclose(output[row], expected, atol=1e-5)
        else:
            # Slot 1 has one block, so its columns from BLOCK on lie in the null block.
            assert torch.allclose(output[row], expected, atol=1e-5)


def test_a_released_slot_writes_to_the_null_block() -> None:
    cache, _ = make_cache([0, 7])
    cache.release([1])
    cache.follow(torch.tensor([0, 1]))
    (layer,) = cache.step(2, None)
    assert layer.column.tolist() == [4 * BLOCK, 7]
