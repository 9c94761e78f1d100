"""Compiled layers, on a CPU."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from airflow_deepseek_ocr.engines.in_process.engine import InProcessEngine
from airflow_deepseek_ocr.ocr.decoding import Decoding
from airflow_deepseek_ocr.ocr.documents.open import open_document
from airflow_deepseek_ocr.ocr.engine_protocol import PageRequest
from tests.conftest import GOLDEN, ROOT, TINY_MODEL
from tests.support.golden import make_readable_checkpoint

#: Ten times a quiet run on two cores.
pytestmark = pytest.mark.timeout(600)

DECODING = Decoding(max_output_length=40)


def page(name: str) -> Image.Image:
    with open_document(ROOT / "demo" / "documents" / name, dpi=100) as document:
        return document.page(1).image


@pytest.fixture(scope="module")
def requests() -> list[PageRequest]:
    """Three pages of one mode, so that the vision tower has several views at once."""
    images = [page("table.png"), page("invoice.pdf"), page("letter.tiff")]
    return [
        PageRequest(key=number, image=image, prompt="free", resolution="tiny")
        for number, image in enumerate(images)
    ]


@pytest.fixture(scope="module")
def expected(requests: list[PageRequest]) -> dict[Any, str]:
    engine = InProcessEngine(TINY_MODEL, device="cpu", decoding=DECODING)
    texts = {output.key: output.text for output in engine.read(requests)}
    assert all(texts.values())
    return texts


def with_backend(backend: Any) -> InProcessEngine:
    torch._dynamo.reset()
    return InProcessEngine(
        TINY_MODEL, device="cpu", decoding=DECODING, compiled=True, compile_backend=backend
    )


@pytest.mark.slow
def test_each_kind_of_layer_is_compiled_once(
    requests: list[PageRequest], expected: dict[Any, str]
) -> None:
    compiled = 0

    def backend(graph: Any, example: Any) -> Any:
        nonlocal compiled
        compiled += 1
        return graph.forward

    engine = with_backend(backend)
    for group in (requests, requests[:2], requests):  # another number of views is no other kind
        texts = {output.key: output.text for output in engine.read(group)}
        assert texts == {request.key: expected[request.key] for request in group}
    # Two kinds in the decoder and the scores of tokens, two in SAM, one in CLIP.
    assert compiled == 6


@pytest.mark.slow
def test_the_second_family_s_layers_are_compiled_once_for_each_size_of_views(
    tmp_path: Path,
) -> None:
    """Other numbers of views, and other grids of tiles, are no other kinds of layers."""
    compiled = 0

    def backend(graph: Any, example: Any) -> Any:
        nonlocal compiled
        compiled += 1
        return graph.forward

    checkpoint = make_readable_checkpoint(GOLDEN[1], tmp_path / "model")
    decoding = Decoding(max_output_length=3)
    wide = page("table.png").resize((1280, 720))
    pages = [
        PageRequest(key=number, image=image, prompt="free", resolution="gundam")
        for number, image in enumerate((wide, wide.resize((720, 1280)), wide.rotate(180)))
    ]
    plain = InProcessEngine(checkpoint, device="cpu", decoding=decoding)
    expected = {output.key: output.text for output in plain.read(pages)}
    torch._dynamo.reset()
    engine = InProcessEngine(
        checkpoint, device="cpu", decoding=decoding, compiled=True, compile_backend=backend
    )
    for group in (pages, pages[:2]):
        texts = {output.key: output.text for output in engine.read(group)}
        assert texts == {request.key: expected[request.key] for request in group}
    # Two kinds in the decoder and the scores of tokens; two in SAM and one in the encoder, for tiles and for
    # the view.
    assert compiled == 3 + 2 * 3


def test_where_compiling_fails_it_is_said_once_and_pages_are_read(
    caplog: pytest.LogCaptureFixture,
    requests: list[PageRequest],
    expected: dict[Any, str],
) -> None:
    def backend(graph: Any, example: Any) -> Any:
        raise RuntimeError("no C compiler")

    engine = with_backend(backend)
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            assert {output.key: output.text for output in engine.read(requests)} == expected
    (warning,) = (each for each in caplog.records if "cannot be compiled" in each.message)
    assert "no C compiler" in warning.message
    assert "gcc" in warning.message


def test_steps_are_compiled_before_the_first_page_enters(requests: list[PageRequest]) -> None:
    compiled = 0

    def backend(graph: Any, example: Any) -> Any:
        nonlocal compiled
        compiled += 1
        return graph.forward

    engine = with_backend(backend)
    with engine.borrow_slots() as kept:
        assert kept.slots.is_compiled
        assert compiled == 3


def test_too_little_memory_for_a_step_of_all_slots_makes_fewer(
    requests: list[PageRequest], expected: dict[Any, str]
) -> None:
    def backend(graph: Any, example: Any) -> Any:
        def run(*inputs: Any) -> Any:
            # A step of the decoder has states of shape (slots, 1, hidden).
            if any(each.ndim == 3 and each.shape[1] == 1 and len(each) > 2 for each in inputs):
                raise torch.OutOfMemoryError("CUDA out of memory")
            return graph.forward(*inputs)

        return run

    engine = with_backend(backend)
    with engine.borrow_slots() as kept:
        assert kept.slots.count == 2
    assert {output.key: output.text for output in engine.read(requests)} == expected


@pytest.mark.slow
def test_compiled_for_this_machine_the_texts_are_the_same(
    requests: list[PageRequest], expected: dict[Any, str]
) -> None:
    engine = with_backend("inductor")
    assert {output.key: output.text for output in engine.read(requests)} == expected
    assert engine.kept_slots is not None
    assert engine.kept_slots.is_compiled
