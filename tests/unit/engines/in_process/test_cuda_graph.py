"""The compiled step on a CPU; tests/gpu captures it as a CUDA graph."""

from __future__ import annotations

import pytest
import torch

from airflow_deepseek_ocr.engines.in_process.compilation import LayerCompiler
from airflow_deepseek_ocr.engines.in_process.decode_buffers import SlotText
from airflow_deepseek_ocr.engines.in_process.decode_slots import DecodeSlots
from airflow_deepseek_ocr.engines.in_process.engine import InProcessEngine
from airflow_deepseek_ocr.engines.in_process.page_embedding import PreparedPage
from airflow_deepseek_ocr.ocr.decoding import Decoding
from tests.conftest import TINY_MODEL
from tests.support.fixtures.small_pages import tiny_pages

#: Ten times a quiet run on two cores.
pytestmark = pytest.mark.timeout(600)


@torch.inference_mode()
def write(engine: InProcessEngine, compiler: LayerCompiler | None) -> SlotText:
    """Return twenty tokens of a page in slot 1 of 3."""
    slots = DecodeSlots(
        model=engine.model,
        tokens=engine.tokens,
        count=3,
        length=512,
        blocks=None,
        decoding=Decoding(forced=True),
        compiler=compiler,
    )
    assert slots.is_compiled == (compiler is not None)
    page = engine.prepare(tiny_pages(1)[0])
    assert isinstance(page, PreparedPage)
    length = len(page.prompt_ids)
    assert slots.provide({1: length + 20})
    slots.enter([1], engine.embed([page]), lengths=[length], budgets=[20])
    for _ in range(20):
        slots.step(slots.length, 2)
    return slots.poll().finished([1])[1]


def test_a_compiled_step_writes_the_tokens_of_an_uncompiled_one() -> None:
    # Not the shared engine: compiled slots change the attention function of the decoder.
    torch._dynamo.reset()
    engine = InProcessEngine(TINY_MODEL, device="cpu")
    expected = write(engine, None)
    assert len(expected.ids) == 20
    found = write(engine, LayerCompiler("eager"))
    assert found.ids == expected.ids
    assert found.probabilities is not None
    assert expected.probabilities is not None
    assert found.probabilities.runner_up_ids == expected.probabilities.runner_up_ids
    assert found.probabilities.chosen == pytest.approx(expected.probabilities.chosen, abs=1e-4)
    engine.close()
