"""How many pages fit into a GPU."""

from __future__ import annotations

import pytest

from airflow_deepseek_ocr.engines.in_process.block_pool import BLOCK
from airflow_deepseek_ocr.engines.in_process.capacity import (
    CPU_SLOTS,
    MAX_SLOTS,
    Capacity,
    capacity,
    unified_budget,
)
from airflow_deepseek_ocr.model.deepseek_ocr.architectures.registry import ARCHITECTURES

#: A token at the published size: 12 layers of 10 heads of 128 in bfloat16, keys and values.
KEY = 10 * 128
COLUMN = 2 * 12 * KEY * 2
#: Of a page of 8,192 tokens.
ROW = 64
GIB = 2**30


#: Of a usual page of DeepSeek-OCR and of DeepSeek-OCR-2.
PROMPT, PROMPT_2 = 930, 1148
VISION, VISION_2 = (architecture.vision_bytes(2) for architecture in ARCHITECTURES.values())


def fitting(
    free_bytes: int | None, limit: int | None, page_prompt: int = PROMPT, vision: int = VISION
) -> Capacity:
    return capacity(
        free_bytes=free_bytes,
        column_bytes=COLUMN,
        key_size=KEY,
        row_blocks=ROW,
        page_prompt=page_prompt,
        vision_bytes=vision,
        limit=limit,
    )


def test_a_cpu_takes_few_pages_or_as_many_as_set() -> None:
    assert fitting(None, limit=None) == Capacity(CPU_SLOTS, CPU_SLOTS)
    assert fitting(None, limit=12) == Capacity(12, CPU_SLOTS)
    assert fitting(None, limit=1) == Capacity(1, 1)


@pytest.mark.parametrize(
    ("free", "slots", "vision_pages"),
    [(1, 6, 1), (4, 29, 3), (16, 117, 8), (40, 292, 8), (130, 384, 8)],
)
def test_a_gpu_takes_what_its_memory_holds(free: int, slots: int, vision_pages: int) -> None:
    fits = fitting(free * GIB, limit=None)
    assert (fits.slots, fits.vision_pages) == (slots, vision_pages)
    assert fits.blocks is not None
    assert fits.blocks * BLOCK * COLUMN <= free * GIB
    assert fits.blocks >= ROW


def test_longer_prompts_leave_room_for_fewer_pages() -> None:
    first, second = (fitting(16 * GIB, None, prompt).slots for prompt in (PROMPT, PROMPT_2))
    assert second < first
    assert second > first * 14 // 18


def test_a_family_whose_views_take_more_has_fewer_pages_in_the_vision_tower() -> None:
    first, second = (
        fitting(10 * GIB, None, vision=each).vision_pages for each in (VISION, VISION_2)
    )
    assert (first, second) == (8, 7)
    # In float32 they take twice as much.
    doubled = fitting(10 * GIB, None, vision=ARCHITECTURES["deepseek_ocr"].vision_bytes(4))
    assert doubled.vision_pages == 4


def test_the_longest_page_fits_in_any_case() -> None:
    assert fitting(GIB // 8, limit=None) == Capacity(4, 1, ROW)


def test_a_limit_holds_and_takes_no_memory_that_it_cannot_use() -> None:
    assert fitting(1000 * GIB, limit=None).slots == MAX_SLOTS
    assert fitting(70 * GIB, limit=5) == Capacity(5, 5, 5 * ROW)


def test_the_keys_of_a_layer_can_be_counted_with_32_bits() -> None:
    """Flex attention cannot be compiled for more, which a card of 141 GB would have room for."""
    blocks = fitting(133 * GIB, limit=None).blocks
    assert blocks is not None
    null_block = 1
    assert (blocks + null_block) * BLOCK * KEY < 2**31 < (blocks + null_block + 1) * BLOCK * KEY


def test_half_of_a_shared_memory_is_left_to_the_host() -> None:
    """NVIDIA GB10: 121.7 GiB in all, 118 GiB available after the start."""
    budget = unified_budget(118 * GIB)
    assert budget == 59 * GIB
    fits = fitting(budget, limit=None)
    assert fits.slots > 256
    assert fits.blocks is not None
    assert fits.blocks * BLOCK * COLUMN < 45 * GIB
