"""The decoder's pass over slots equals the model's own forward pass."""

from __future__ import annotations

import torch

from airflow_deepseek_ocr.engines.in_process.decode_slots import DecodeSlots
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
