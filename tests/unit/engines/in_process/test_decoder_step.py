"""The decoder's pass over slots equals the model's own forward pass."""

from __future__ import annotations

import math

import pytest
import torch

from airflow_deepseek_ocr.engines.in_process.decode_slots import DecodeSlots
from airflow_deepseek_ocr.engines.in_process.decoder_step import TokenScores
from airflow_deepseek_ocr.engines.in_process.engine import InProcessEngine
from airflow_deepseek_ocr.engines.in_process.page_embedding import PreparedPage
from airflow_deepseek_ocr.ocr.decoding import Decoding
from tests.support.fixtures.small_pages import tiny_pages


@torch.inference_mode()
def test_prefill_and_steps_write_the_most_likely_tokens(engine: InProcessEngine) -> None:
    page = engine.prepare(tiny_pages(1)[0])
    assert isinstance(page, PreparedPage)
    embeddings, length = engine.embed([page]), len(page.prompt_ids)
    expected, states = [], embeddings
    for _ in range(5):
        hidden = engine.model.model.language_model(inputs_embeds=states).last_hidden_state
        expected.append(int(engine.model.lm_head(hidden[0, -1]).argmax()))
        token = engine.model.get_input_embeddings()(torch.tensor([[expected[-1]]]))
        states = torch.cat([states, token], dim=1)
    slots = DecodeSlots(
        model=engine.model,
        tokens=engine.tokens,
        count=2,
        length=512,
        blocks=None,
        decoding=Decoding(ngram_size=0, forced=True),
    )
    assert slots.provide({0: length + 5})
    slots.enter([0], embeddings, lengths=[length], budgets=[5])
    for _ in range(4):
        slots.step(slots.length, 1)
    assert slots.poll().finished([0])[0].ids == expected


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_probabilities_are_over_the_whole_vocabulary(dtype: torch.dtype) -> None:
    """Of the chosen token, which may be less probable than its runner-up, and of the best other one."""
    logits = torch.tensor([[1.0, 3.0, 2.0], [3.0, 1.0, 3.0], [0.0, 5.0, 4.0]], dtype=dtype)
    expected = torch.log_softmax(logits.float(), -1)
    found, others = TokenScores()(logits, torch.tensor([1, 0, 2]))
    assert others.tolist() == [2, 2, 1]
    assert found.dtype == torch.float32
    pairs = torch.stack([expected[[0, 1, 2], [1, 0, 2]], expected[[0, 1, 2], [2, 2, 1]]], 1)
    torch.testing.assert_close(found, pairs)


def test_a_sure_token_keeps_its_digits() -> None:
    """Where a large logit and a small difference are added, the difference is lost."""
    found, _ = TokenScores()(torch.tensor([[1000.0, 986.0]]), torch.tensor([0]))
    assert found.tolist()[0] == pytest.approx([-math.exp(-14), -14.0], rel=1e-2)
