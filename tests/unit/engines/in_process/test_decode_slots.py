"""Slots of the small checkpoint: blocks, steps and texts."""

from __future__ import annotations

import pytest
import torch

from airflow_deepseek_ocr.engines.in_process.block_pool import BLOCK
from airflow_deepseek_ocr.engines.in_process.decode_slots import DecodeSlots
from airflow_deepseek_ocr.engines.in_process.engine import InProcessEngine
from airflow_deepseek_ocr.engines.in_process.page_embedding import PreparedPage
from airflow_deepseek_ocr.ocr.decoding import Decoding
from tests.support.fixtures.small_pages import tiny_pages


def make_slots(engine: InProcessEngine, count: int = 2, blocks: int | None = None) -> DecodeSlots:
    return DecodeSlots(
        model=engine.model,
        tokens=engine.tokens,
        count=count,
        length=2 * BLOCK,
        blocks=blocks,
        decoding=Decoding(forced=True),
    )


@pytest.fixture
def page(engine: InProcessEngine) -> PreparedPage:
    prepared = engine.prepare(tiny_pages(1)[0])
    assert isinstance(prepared, PreparedPage)
    return prepared


def test_steps_have_the_sizes_that_there_are_slots_for(engine: InProcessEngine) -> None:
    assert make_slots(engine, 2).step_sizes == [2]
    assert make_slots(engine, 20).step_sizes == [8, 20]


def test_blocks_are_given_and_taken_back(engine: InProcessEngine) -> None:
    slots = make_slots(engine, blocks=3)
    assert slots.provide({0: BLOCK + 1})
    assert slots.free_blocks == 1
    assert not slots.provide({1: BLOCK + 1})
    assert slots.free_blocks == 1
    # Columns beyond the slot's length take no block.
    assert slots.provide({0: 100 * BLOCK})
    slots.leave([0])
    assert slots.free_blocks == 3


@torch.inference_mode()
def test_a_slot_is_finished_after_as_many_tokens_as_its_budget(
    engine: InProcessEngine, page: PreparedPage
) -> None:
    slots = make_slots(engine)
    length = len(page.prompt_ids)
    assert slots.provide({1: length + 3})
    slots.enter([1], engine.embed([page]), lengths=[length], budgets=[3])
    finished = []
    for _ in range(3):
        finished.append(slots.poll().finished([1]))
        slots.step(slots.length, 2)
    assert finished[:2] == [{}, {}]
    assert len(finished[2][1].ids) == 3
    assert not finished[2][1].ended
    # Surplus steps change nothing.
    assert slots.poll().finished([1]) == finished[2]


@torch.inference_mode()
@pytest.mark.parametrize("used", [1, 2])
def test_a_page_s_text_is_the_same_in_shared_and_in_own_blocks(
    engine: InProcessEngine, page: PreparedPage, used: int
) -> None:
    length, texts = len(page.prompt_ids), []
    for blocks in (None, 4):
        slots = make_slots(engine, count=2, blocks=blocks)
        assert slots.provide(dict.fromkeys(range(used), length + 12))
        prompts = engine.embed([page] * used)
        slots.enter(list(range(used)), prompts, lengths=[length] * used, budgets=[12] * used)
        for _ in range(11):
            slots.step(2 * BLOCK, used)
        texts.append([each.ids for each in slots.poll().finished(range(used)).values()])
    assert texts[0] == texts[1]
    assert [len(ids) for ids in texts[0]] == [12] * used
