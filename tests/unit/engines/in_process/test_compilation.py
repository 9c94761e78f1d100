"""Compiled layers, as a GPU has them, here on a CPU."""

from __future__ import annotations

import logging
from typing import Any

import pytest
import torch
from PIL import Image

from airflow_deepseek_ocr.engines.in_process import engine as transformers_engine
from airflow_deepseek_ocr.engines.in_process.compilation import LayerCompiler
from airflow_deepseek_ocr.engines.in_process.decode_slots import DecodeSlots
from airflow_deepseek_ocr.engines.in_process.engine import InProcessEngine
from airflow_deepseek_ocr.ocr.decoding import Decoding
from airflow_deepseek_ocr.ocr.documents.open import open_document
from airflow_deepseek_ocr.ocr.engine_protocol import PageRequest
from tests.conftest import ROOT, TINY_MODEL

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
    texts = {reading.key: reading.text for reading in engine.read(requests)}
    assert all(texts.values())
    return texts


def with_backend(monkeypatch: pytest.MonkeyPatch, backend: Any) -> InProcessEngine:
    monkeypatch.setattr(transformers_engine, "LayerCompiler", lambda: LayerCompiler(backend))
    torch._dynamo.reset()
    return InProcessEngine(TINY_MODEL, device="cpu", decoding=DECODING, compiled=True)


def test_each_kind_of_layer_is_compiled_once(
    monkeypatch: pytest.MonkeyPatch, requests: list[PageRequest], expected: dict[Any, str]
) -> None:
    compiled = 0

    def backend(graph: Any, example: Any) -> Any:
        nonlocal compiled
        compiled += 1
        return graph.forward

    engine = with_backend(monkeypatch, backend)
    for group in (requests, requests[:2], requests):  # another number of views is no other kind
        texts = {reading.key: reading.text for reading in engine.read(group)}
        assert texts == {request.key: expected[request.key] for request in group}
    # Two kinds in the decoder, two in SAM, one in CLIP.
    assert compiled == 5


def test_where_compiling_fails_it_is_said_once_and_pages_are_read(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    requests: list[PageRequest],
    expected: dict[Any, str],
) -> None:
    def backend(graph: Any, example: Any) -> Any:
        raise RuntimeError("no C compiler")

    engine = with_backend(monkeypatch, backend)
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            assert {reading.key: reading.text for reading in engine.read(requests)} == expected
    (warning,) = (each for each in caplog.records if "cannot be compiled" in each.message)
    assert "no C compiler" in warning.message
    assert "gcc" in warning.message


def test_slots_are_kept_for_the_next_call(
    monkeypatch: pytest.MonkeyPatch, requests: list[PageRequest]
) -> None:
    made = []
    slots = transformers_engine.DecodeSlots

    def making(*arguments: Any) -> Any:
        made.append(arguments)
        return slots(*arguments)

    monkeypatch.setattr(transformers_engine, "Slots", making)
    engine = InProcessEngine(TINY_MODEL, device="cpu", decoding=DECODING)
    for _ in range(2):
        list(engine.read(requests[:1]))
    assert len(made) == 1
    reading = engine.read(requests)
    next(reading)
    assert len(list(engine.read(requests[:1]))) == 1  # while the others are still being read
    reading.close()
    assert len(made) == 2
    monkeypatch.setattr(engine, "decoding", Decoding(max_output_length=5))
    list(engine.read(requests[:1]))
    assert len(made) == 3


def test_steps_are_compiled_before_the_first_page_enters(
    monkeypatch: pytest.MonkeyPatch, requests: list[PageRequest]
) -> None:
    compiled = 0

    def backend(graph: Any, example: Any) -> Any:
        nonlocal compiled
        compiled += 1
        return graph.forward

    engine = with_backend(monkeypatch, backend)
    slots = engine._take_slots().slots
    assert slots.is_fast
    assert compiled == 2


def test_too_little_memory_for_a_step_of_all_slots_makes_fewer(
    monkeypatch: pytest.MonkeyPatch, requests: list[PageRequest], expected: dict[Any, str]
) -> None:
    step = DecodeSlots._step

    def failing(self: DecodeSlots, rows: torch.Tensor, *others: Any) -> None:
        if len(rows) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        step(self, rows, *others)

    monkeypatch.setattr(DecodeSlots, "_step", failing)
    engine = with_backend(monkeypatch, "eager")
    assert engine._take_slots().slots.count == 2
    assert {reading.key: reading.text for reading in engine.read(requests)} == expected


@pytest.mark.slow
def test_compiled_for_this_machine_the_texts_are_the_same(
    monkeypatch: pytest.MonkeyPatch, requests: list[PageRequest], expected: dict[Any, str]
) -> None:
    engine = with_backend(monkeypatch, "inductor")
    assert {reading.key: reading.text for reading in engine.read(requests)} == expected
    assert engine._compiler is not None
    assert engine._compiler.works
