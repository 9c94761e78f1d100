"""Blocks of the key-value cache have at most one owner."""

from __future__ import annotations

from random import Random

from airflow_deepseek_ocr.engines.in_process.block_pool import (
    BLOCK,
    NULL_BLOCK,
    BlockPool,
    Grant,
    OwnBlocks,
    count_blocks,
)


def test_a_slot_gets_what_it_is_short_of() -> None:
    pool = BlockPool(6)
    assert pool.grant({3: BLOCK + 1}) == [Grant(3, 0, 1), Grant(3, 1, 2)]
    assert pool.grant({3: 2 * BLOCK}) == []
    assert pool.grant({3: 2 * BLOCK + 1, 1: 1}) == [Grant(3, 2, 3), Grant(1, 0, 4)]
    assert pool.free == 1


def test_too_few_blocks_change_nothing() -> None:
    pool = BlockPool(4)
    pool.grant({0: BLOCK})
    assert pool.grant({0: 2 * BLOCK, 1: 2 * BLOCK}) is None
    assert pool.free == 2
    pool.release(0)
    assert pool.free == 3
    pool.release(0)
    assert pool.free == 3


def test_no_block_is_held_twice_and_the_null_block_never() -> None:
    chance, pool = Random(0), BlockPool(40)
    rows: dict[int, list[int]] = {}
    for _ in range(2000):
        slot = chance.randrange(8)
        if chance.random() < 0.2:
            pool.release(slot)
            rows.pop(slot, None)
        else:
            for grant in pool.grant({slot: chance.randrange(1, 10 * BLOCK)}) or ():
                row = rows.setdefault(grant.slot, [])
                assert grant.index == len(row)
                row.append(grant.block)
        held = [block for row in rows.values() for block in row]
        assert len(set(held)) == len(held) == 39 - pool.free
        assert NULL_BLOCK not in held


def test_columns_are_rounded_up() -> None:
    assert [count_blocks(number) for number in (0, 1, BLOCK, BLOCK + 1)] == [0, 1, 1, 2]


def test_own_blocks_lie_in_a_row() -> None:
    pool = OwnBlocks(2, 3)
    assert pool.free == 6
    assert pool.grant({1: BLOCK + 1}) == [Grant(1, 0, 4), Grant(1, 1, 5)]
    assert pool.grant({1: 2 * BLOCK, 0: 1}) == [Grant(0, 0, 1)]
    assert pool.free == 3
    assert pool.grant({0: BLOCK, 1: 3 * BLOCK + 1}) is None
    assert pool.free == 3
    pool.release(1)
    pool.release(1)
    assert pool.free == 5
    assert pool.grant({1: 1}) == [Grant(1, 0, 4)]
