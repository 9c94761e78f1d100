"""How many pages fit into a GPU."""

from __future__ import annotations

import pytest

from airflow_deepseek_ocr.engines.capacity import CPU_SLOTS, MOST_SLOTS, Capacity, capacity

#: A slot of 8,192 tokens at the published size: 12 layers of 10 heads of 128 in bfloat16, keys and values.
ROW = 8192 * 2 * 12 * 10 * 128 * 2
GIB = 2**30


def test_a_cpu_takes_few_pages_or_as_many_as_told() -> None:
    assert capacity(None, ROW, None) == Capacity(CPU_SLOTS, CPU_SLOTS)
    assert capacity(None, ROW, 12) == Capacity(12, CPU_SLOTS)
    assert capacity(None, ROW, 1) == Capacity(1, 1)


@pytest.mark.parametrize(
    ("free", "slots", "vision_pages"), [(1, 1, 1), (16, 25, 3), (70, 112, 8), (130, 208, 8)]
)
def test_a_gpu_takes_what_its_memory_holds(free: int, slots: int, vision_pages: int) -> None:
    fits = capacity(free * GIB, ROW, None)
    assert fits == Capacity(slots, vision_pages)
    assert fits.slots * ROW <= max(free * GIB, ROW)


def test_short_texts_leave_room_for_more_pages_up_to_a_limit() -> None:
    assert capacity(70 * GIB, ROW // 2, None).slots == 2 * capacity(70 * GIB, ROW, None).slots
    assert capacity(1000 * GIB, ROW // 8, None).slots == MOST_SLOTS
    assert capacity(70 * GIB, ROW, 5) == Capacity(5, 5)
