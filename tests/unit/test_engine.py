"""The in-process engine with the small checkpoint."""

from __future__ import annotations

import random
from typing import Any

import pytest
from PIL import Image

from airflow_deepseek_ocr.engines import local
from airflow_deepseek_ocr.engines import transformers_engine as module
from airflow_deepseek_ocr.engines.local import LocalEngineKey, get_local_engine
from airflow_deepseek_ocr.engines.transformers_engine import TransformersEngine, batches_by_mode
from airflow_deepseek_ocr.errors import ConfigurationError
from airflow_deepseek_ocr.ocr.decoding import Decoding
from airflow_deepseek_ocr.ocr.documents import open_document
from airflow_deepseek_ocr.ocr.engine import FinishReason, PageRequest, Progress
from tests.conftest import ROOT, TINY_MODEL

DOCUMENTS = ROOT / "demo" / "documents"


def image(name: str, number: int = 1, dpi: int = 72) -> Image.Image:
    with open_document(DOCUMENTS / name, dpi=dpi) as document:
        return document.page(number).image


@pytest.fixture(scope="module")
def requests() -> list[PageRequest]:
    """Pages of one view, of 2 x 2 and of 1 x 2 tiles, with several prompts, in three modes."""
    small, square, wide = image("table.png"), image("invoice.pdf", dpi=100), image("invoice.pdf")
    wide = wide.crop((0, 0, 640, 300)).resize((1400, 656))
    return [
        PageRequest("gundam plain", small, "free", "gundam"),
        PageRequest("gundam square", square, "markdown", "gundam"),
        PageRequest("gundam wide", wide, "ocr", "gundam"),
        PageRequest("small", square, "free", "small"),
        PageRequest("small locate", square, "locate:Total", "small"),
        PageRequest("tiny", small, "markdown", "tiny"),
    ]


def test_batches_give_what_single_pages_give(
    engine: TransformersEngine, requests: list[PageRequest]
) -> None:
    alone = {request.key: next(iter(engine.read([request]))) for request in requests}
    assert len({reading.vision_tokens for reading in alone.values()}) >= 5
    for seed in range(2):
        order = random.Random(seed).sample(requests, len(requests))
        together = {reading.key: reading for reading in engine.read(order)}
        assert together.keys() == alone.keys()
        for key, reading in together.items():
            assert reading.text == alone[key].text, key
            assert reading.finish_reason == alone[key].finish_reason


def test_a_page_without_an_end_token_says_so(
    engine: TransformersEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "decoding", Decoding(max_output_length=7))
    (reading,) = engine.read([PageRequest(1, image("invoice.pdf"), "free", "small")])
    assert (reading.finish_reason, reading.text_tokens) == (FinishReason.LENGTH, 7)


def test_only_the_page_that_fails_is_lost(
    engine: TransformersEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    generate = TransformersEngine._generate

    def fail(self: TransformersEngine, pages: Any, report: Any) -> Any:
        if any(page.key == 2 for page in pages):
            raise RuntimeError("CUDA error: an illegal memory access")
        return generate(self, pages, report)

    monkeypatch.setattr(TransformersEngine, "_generate", fail)
    monkeypatch.setattr(engine, "decoding", Decoding(max_output_length=5))
    page = image("table.png")
    readings = {
        reading.key: reading
        for reading in engine.read([PageRequest(key, page, "free", "tiny") for key in range(4)])
    }
    assert {key for key, reading in readings.items() if reading.error} == {2}
    assert readings[2].error is not None
    assert readings[2].error.code == "engine_error"
    assert readings[0].text == readings[3].text != ""


def test_progress_is_told(engine: TransformersEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PROGRESS_EVERY_S", 0.0)
    told: list[Progress] = []
    requests = [PageRequest(key, image("table.png"), "free", "tiny") for key in range(5)]
    list(engine.read(requests, told.append))
    assert told[0].pages_in_flight == 4
    assert told[-1].pages_done == 4
    assert told[0].tokens < max(each.tokens for each in told)


def test_requests_are_drawn_lazily_and_grouped_by_mode() -> None:
    drawn = 0

    def requests() -> Any:
        nonlocal drawn
        for number in range(100):
            drawn += 1
            yield PageRequest(
                number, image_of_nothing, "free", ["tiny", "base", "small"][number % 3]
            )

    image_of_nothing = Image.new("RGB", (8, 8))
    batches = batches_by_mode(requests(), 4)
    first = next(batches)
    assert len(first) <= 4
    assert drawn <= 8
    rest = [first, *batches]
    assert all(len({request.resolution for request in batch}) == 1 for batch in rest)
    assert sorted(request.key for batch in rest for request in batch) == list(range(100))  # type: ignore[type-var]


def test_a_device_or_type_that_is_not_there() -> None:
    for wrong in ({"device": "cuda:7"}, {"device": "gpu"}, {"device": "mps"}, {"dtype": "int8"}):
        with pytest.raises(ConfigurationError) as caught:
            TransformersEngine(TINY_MODEL, **wrong)
        assert caught.value.code in ("device", "dtype")


def test_one_engine_is_kept_in_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Any] = []

    class Engine:
        closed = False

        def __init__(self, *_: Any, **__: Any) -> None:
            made.append(self)

        def close(self) -> None:
            self.closed = True

    monkeypatch.setattr(local, "_engine_class", lambda: Engine)
    monkeypatch.setattr(local, "_current", None)
    key = LocalEngineKey(TINY_MODEL, "cpu", "auto", None, Decoding())
    assert get_local_engine(key) is get_local_engine(key)
    other = LocalEngineKey(TINY_MODEL, "cpu", "float32", None, Decoding())
    assert get_local_engine(other) is made[1]
    assert made[0].closed
    local.release_local_engine()
    assert made[1].closed
