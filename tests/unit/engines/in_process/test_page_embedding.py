"""Prompts with vision tokens, embedded by the small checkpoint."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from airflow_deepseek_ocr.engines.in_process.engine import InProcessEngine
from airflow_deepseek_ocr.engines.in_process.page_embedding import PreparedPage
from airflow_deepseek_ocr.ocr.engine_protocol import PageRequest
from tests.support.fixtures.small_pages import page_image


def prepared(engine: InProcessEngine, prompt: str) -> PreparedPage:
    image = page_image("table.png")
    page = engine.prepare(PageRequest(key=0, image=image, prompt=prompt, resolution="tiny"))
    assert isinstance(page, PreparedPage)
    return page


def test_text_tokens_keep_their_embedding_and_image_tokens_do_not(engine: InProcessEngine) -> None:
    page = prepared(engine, "free")
    (embeddings,) = engine.embed([page])
    ids = torch.tensor(page.prompt_ids)
    plain = engine.model.get_input_embeddings()(ids)
    same = (embeddings == plain).all(-1)
    assert same.tolist() == (ids != engine.tokens.image).tolist()


def test_a_page_has_the_same_embedding_alone_and_padded(engine: InProcessEngine) -> None:
    short, long = prepared(engine, "free"), prepared(engine, "locate:Total of the year")
    together = engine.embed([short, long])
    assert together.shape[:2] == (2, len(long.prompt_ids))
    alone = engine.embed([short])[0]
    assert torch.allclose(together[0, : len(alone)], alone, atol=1e-5)


def test_pixels_are_mapped_to_the_models_range(engine: InProcessEngine) -> None:
    pixels = np.zeros((1, 2, 3, 3), np.uint8)
    pixels[..., 1] = 255
    mapped = engine.embed.to_input(pixels)
    assert mapped.shape == (1, 3, 2, 3)
    assert mapped[0, :, 0, 0].tolist() == pytest.approx([-1, 1, -1])
