"""The in-process engine with the small checkpoint."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pytest
import torch
from PIL import Image, ImageDraw

from airflow_deepseek_ocr.engines.in_process import engine_cache as local
from airflow_deepseek_ocr.engines.in_process import scheduler as continuous
from airflow_deepseek_ocr.engines.in_process.decode_slots import DecodeSlots
from airflow_deepseek_ocr.engines.in_process.engine import InProcessEngine
from airflow_deepseek_ocr.engines.in_process.engine_cache import EngineKey, cached_engine
from airflow_deepseek_ocr.engines.in_process.page_embedding import PreparedPage, PromptEmbedder
from airflow_deepseek_ocr.engines.in_process.scheduler import Scheduler
from airflow_deepseek_ocr.exceptions import ConfigurationError
from airflow_deepseek_ocr.ocr.decoding import Decoding, NoRepeatNgram
from airflow_deepseek_ocr.ocr.documents.open import open_document
from airflow_deepseek_ocr.ocr.engine_protocol import (
    FinishReason,
    PageOutput,
    PageRequest,
    Progress,
)
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
        PageRequest(key="gundam plain", image=small, prompt="free", resolution="gundam"),
        PageRequest(key="gundam square", image=square, prompt="markdown", resolution="gundam"),
        PageRequest(key="gundam wide", image=wide, prompt="ocr", resolution="gundam"),
        PageRequest(key="small", image=square, prompt="free", resolution="small"),
        PageRequest(key="small locate", image=square, prompt="locate:Total", resolution="small"),
        PageRequest(key="tiny", image=small, prompt="markdown", resolution="tiny"),
    ]


def test_batches_give_what_single_pages_give(
    engine: InProcessEngine, requests: list[PageRequest]
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
    engine: InProcessEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "decoding", Decoding(max_output_length=7))
    (reading,) = engine.read(
        [PageRequest(key=1, image=image("invoice.pdf"), prompt="free", resolution="small")]
    )
    assert (reading.finish_reason, reading.text_tokens) == (FinishReason.LENGTH, 7)


def pages(count: int, **settings: str) -> list[PageRequest]:
    """Requests for one page, in tiny mode unless ``settings`` say otherwise."""
    page = image("table.png")
    return [
        PageRequest(
            key=key, image=page, prompt="free", resolution=settings.get("resolution", "tiny")
        )
        for key in range(count)
    ]


def fail_in_vision(monkeypatch: pytest.MonkeyPatch, fail: Callable[[list[Any]], None]) -> None:
    """Let ``fail`` see the keys of each group that goes through the vision tower."""
    embed = PromptEmbedder.__call__

    def failing(self: PromptEmbedder, group: Sequence[PreparedPage]) -> torch.Tensor:
        fail([page.key for page in group])
        return embed(self, group)

    monkeypatch.setattr(PromptEmbedder, "__call__", failing)


def test_only_the_page_that_fails_is_lost(
    engine: InProcessEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(keys: list[Any]) -> None:
        if 2 in keys:
            raise RuntimeError("CUDA error: an illegal memory access")

    fail_in_vision(monkeypatch, fail)
    monkeypatch.setattr(engine, "decoding", Decoding(max_output_length=5))
    readings = {reading.key: reading for reading in engine.read(pages(7))}
    assert readings.keys() == set(range(7))
    assert {key for key, reading in readings.items() if reading.error} == {2}
    assert readings[2].error is not None
    assert readings[2].error.code == "engine_error"
    assert len({reading.text for key, reading in readings.items() if key != 2}) == 1
    assert readings[0].text


def test_an_image_that_cannot_be_prepared_fails_alone(engine: InProcessEngine) -> None:
    requests = pages(3)
    requests[1] = PageRequest(
        key=1, image=requests[1].image, prompt="no such prompt", resolution="tiny"
    )
    readings = {reading.key: reading for reading in engine.read(requests)}
    assert {key for key, reading in readings.items() if reading.error} == {1}
    assert readings[1].error is not None
    assert readings[1].error.code == "unknown_prompt"


def test_too_little_memory_for_a_group_halves_it(
    engine: InProcessEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    groups: list[int] = []

    def fail(keys: list[Any]) -> None:
        groups.append(len(keys))
        if len(keys) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")

    fail_in_vision(monkeypatch, fail)
    monkeypatch.setattr(engine, "decoding", Decoding(max_output_length=5))
    readings = list(engine.read(pages(8)))
    assert sorted(reading.key for reading in readings) == list(range(8))  # type: ignore[type-var]
    assert not any(reading.error for reading in readings)
    assert sum(size > 2 for size in groups) == 1, "the smaller size was not remembered"


def test_a_group_grows_again_when_the_memory_is_back(
    engine: InProcessEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    groups: list[int] = []

    def fail(keys: list[Any]) -> None:
        groups.append(len(keys))
        if len(keys) > 2 and max(groups[:-1], default=0) <= 2:
            raise torch.OutOfMemoryError("CUDA out of memory")

    fail_in_vision(monkeypatch, fail)
    monkeypatch.setattr(continuous, "_CALM", 3)
    monkeypatch.setattr(engine, "decoding", Decoding(max_output_length=5))
    assert not any(reading.error for reading in engine.read(pages(30)))
    assert sum(size > 2 for size in groups) > 1, groups


@pytest.mark.parametrize("memory", [True, False], ids=["out of memory", "another fault"])
def test_pages_that_were_being_written_when_a_step_failed_are_read_again(
    engine: InProcessEngine, monkeypatch: pytest.MonkeyPatch, memory: bool
) -> None:
    monkeypatch.setattr(engine, "decoding", Decoding(max_output_length=20))
    expected = {reading.key: reading.text for reading in engine.read(pages(6))}
    step, failed = DecodeSlots.step, False

    def failing(self: DecodeSlots, columns: int, slots: int) -> None:
        nonlocal failed
        if not failed and int((~self._done).sum()) >= 3:
            failed = True
            raise torch.OutOfMemoryError("CUDA out of memory") if memory else RuntimeError("lost")
        step(self, columns, slots)

    monkeypatch.setattr(DecodeSlots, "step", failing)
    readings = {reading.key: reading for reading in engine.read(pages(6))}
    assert failed
    assert {key: reading.text for key, reading in readings.items()} == expected


def test_pages_are_read_again_when_finding_room_for_them_failed(
    engine: InProcessEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "decoding", Decoding(max_output_length=20))
    expected = {reading.key: reading.text for reading in engine.read(pages(6))}
    provide, calls = DecodeSlots.provide, 0

    def failing(self: DecodeSlots, columns: Mapping[int, int]) -> bool:
        nonlocal calls
        calls += 1
        if calls == 9:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return provide(self, columns)

    monkeypatch.setattr(DecodeSlots, "provide", failing)
    readings = {reading.key: reading.text for reading in engine.read(pages(6))}
    assert calls > 9
    assert readings == expected


def test_a_page_that_made_room_is_counted_and_keeps_its_time(
    engine: InProcessEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "decoding", Decoding(max_output_length=20))
    expected = {reading.key: reading.text for reading in engine.read(pages(2))}
    before, provide, calls = engine.begun_anew, DecodeSlots.provide, 0

    def full_once(self: DecodeSlots, columns: Mapping[int, int]) -> bool:
        nonlocal calls
        both = len(columns) == 2
        calls += both
        return not (both and calls == 3) and provide(self, columns)

    enter = Scheduler._enter

    def slow(self: Scheduler, group: list[PreparedPage]) -> Iterator[PageOutput]:
        for page in group:
            page.seconds += 100.0
        yield from enter(self, group)

    monkeypatch.setattr(DecodeSlots, "provide", full_once)
    monkeypatch.setattr(Scheduler, "_enter", slow)
    readings = {reading.key: reading for reading in engine.read(pages(2))}
    assert engine.begun_anew == before + 1
    assert {key: reading.text for key, reading in readings.items()} == expected
    assert sorted(reading.seconds // 100 for reading in readings.values()) == [1, 2]


def test_a_page_that_fails_every_step_alone_has_an_error(
    engine: InProcessEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(self: DecodeSlots, columns: int, slots: int) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(DecodeSlots, "step", failing)
    readings = list(engine.read(pages(5)))
    assert sorted(reading.key for reading in readings) == list(range(5))  # type: ignore[type-var]
    assert {reading.error.code for reading in readings if reading.error} == {"out_of_memory"}


def test_closing_early_cancels_and_the_engine_reads_on(
    engine: InProcessEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "decoding", Decoding(max_output_length=30))
    drawn = 0

    def requests() -> Iterator[PageRequest]:
        nonlocal drawn
        for request in pages(200):
            drawn += 1
            yield request

    source = requests()
    readings = engine.read(source)
    first = next(readings)
    readings.close()
    source.close()  # type: ignore[attr-defined]  # raises if a thread still runs it
    assert drawn < 40
    (again,) = engine.read(pages(1))
    assert again.text == first.text


def test_a_cancelled_page_leaves_and_the_others_are_read(
    engine: InProcessEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps, step = 0, DecodeSlots.step

    def counting(self: DecodeSlots, columns: int, slots: int) -> None:
        nonlocal steps
        steps += 1
        step(self, columns, slots)

    monkeypatch.setattr(DecodeSlots, "step", counting)
    requests = pages(6)
    long = image("invoice.pdf", dpi=100)
    requests[1] = PageRequest(
        key=1, image=long, prompt="free", resolution="small", cancelled=lambda: steps > 5
    )
    requests[5] = PageRequest(
        key=5, image=long, prompt="free", resolution="tiny", cancelled=lambda: True
    )
    readings = {reading.key: reading for reading in engine.read(requests)}
    assert readings.keys() == set(range(6))
    cancelled = {key for key, reading in readings.items() if reading.error}
    assert cancelled == {1, 5}
    assert readings[1].error is not None
    assert readings[1].error.code == "cancelled"
    assert len({readings[key].text for key in (0, 2, 3, 4)}) == 1


def test_a_prompt_that_leaves_no_room_is_refused_and_harms_nobody(
    engine: InProcessEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "decoding", Decoding(max_output_length=5))
    first, second = pages(2)
    long = PageRequest(
        key="long", image=first.image, prompt="locate:" + "word " * 3000, resolution="tiny"
    )
    for _ in range(2):
        readings = {reading.key: reading for reading in engine.read([first, long, second])}
        assert readings["long"].error is not None
        assert readings["long"].error.code == "prompt_text"
        assert readings[0].text == readings[1].text != ""


def test_a_page_may_ask_for_less_text(engine: InProcessEngine) -> None:
    page = image("invoice.pdf", dpi=100)
    requests = [
        PageRequest(
            key=length, image=page, prompt="free", resolution="small", max_output_length=length
        )
        for length in (3, 9, 100_000)
    ]
    readings = {reading.key: reading for reading in engine.read(requests)}
    assert [readings[length].text_tokens for length in (3, 9)] == [3, 9]
    assert 9 < readings[100_000].text_tokens <= 160
    assert readings[3].prompt_tokens > readings[3].vision_tokens


def test_progress_is_told(engine: InProcessEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(continuous, "_PROGRESS_EVERY_S", 0.0)
    told: list[Progress] = []
    list(engine.read(pages(6), told.append))
    assert max(each.pages_in_flight for each in told) == 4
    done = [each.pages_done for each in told]
    assert done == sorted(done)
    # Two pages entered slots that others had left; how many end last, and together, is left open.
    assert 2 <= done[-1] == 6 - told[-1].pages_in_flight
    assert told[0].tokens < max(each.tokens for each in told)


def test_a_page_enters_while_others_are_being_written(
    engine: InProcessEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With batches the short page's slot would stay empty until the longest had ended."""
    entered: list[tuple[int, int]] = []
    enter, step, steps = DecodeSlots.enter, DecodeSlots.step, 0

    def counting(self: DecodeSlots, columns: int, slots: int) -> None:
        nonlocal steps
        steps += 1
        step(self, columns, slots)

    def noting(self: DecodeSlots, slots: Sequence[int], *rest: Any) -> None:
        entered.extend((steps, slot) for slot in slots)
        enter(self, slots, *rest)

    monkeypatch.setattr(DecodeSlots, "step", counting)
    monkeypatch.setattr(DecodeSlots, "enter", noting)
    short, long = image("table.png"), image("invoice.pdf", dpi=100)
    requests = [
        PageRequest(
            key=key,
            image=long if key % 2 else short,
            prompt="locate:Month" if key % 2 == 0 else "free",
            resolution="small",
        )
        for key in range(8)
    ]
    readings = list(engine.read(requests))
    assert len(readings) == 8
    assert len({when for when, _ in entered}) >= 3
    assert len({slot for _, slot in entered}) <= 4
    tokens = sum(reading.text_tokens for reading in readings)
    assert steps < 0.6 * tokens


def test_a_device_or_type_that_is_not_there() -> None:
    for wrong in ({"device": "cuda:7"}, {"device": "gpu"}, {"device": "mps"}, {"dtype": "int8"}):
        with pytest.raises(ConfigurationError) as caught:
            InProcessEngine(TINY_MODEL, **wrong)
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
    key = EngineKey(TINY_MODEL, "cpu", "auto", None, Decoding())
    assert cached_engine(key) is cached_engine(key)
    other = EngineKey(TINY_MODEL, "cpu", "float32", None, Decoding())
    assert cached_engine(other) is made[1]
    assert made[0].closed
    local.release_cached_engine()
    assert made[1].closed


def test_a_page_may_have_a_guard_of_its_own(
    engine: InProcessEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In one batch with others; the page without it repeats ten tokens, the one with it does not."""
    page, tight = Image.new("RGB", (512, 512), "white"), NoRepeatNgram(10, 512)
    for row in range(5):
        text = "Invoice of March"  # what stands there again must be written again
        ImageDraw.Draw(page).text((40, 60 + 60 * row), text, fill="black", font_size=36)
    own = PageRequest(
        key="own", image=page, prompt="free", resolution="tiny", no_repeat_ngram=tight
    )
    usual = PageRequest(key="usual", image=page, prompt="free", resolution="tiny")
    together = {reading.key: reading.text for reading in engine.read([own, usual, own, usual])}
    (alone,) = engine.read([usual])
    assert together["usual"] == alone.text
    monkeypatch.setattr(engine, "decoding", Decoding(160, tight.ngram_size, tight.ngram_window))
    (tightly,) = engine.read([usual])
    assert together["own"] == tightly.text
    assert together["usual"].count("Invoice of March") > together["own"].count("Invoice of March")


def test_guards_that_cannot_be() -> None:
    for wrong in ((9, 90), (30, 20), (30, 513)):
        with pytest.raises(ConfigurationError) as caught:
            NoRepeatNgram(*wrong)
        assert caught.value.code == "no_repeat_ngram"
