"""The ways in which a page is read again."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from airflow_deepseek_ocr.engines.in_process.engine import InProcessEngine
from airflow_deepseek_ocr.exceptions import ConfigurationError
from airflow_deepseek_ocr.ocr.decoding import NoRepeatNgram
from airflow_deepseek_ocr.ocr.documents.base import Page
from airflow_deepseek_ocr.ocr.documents.open import open_document
from airflow_deepseek_ocr.ocr.documents.text_layer import TextLayer
from airflow_deepseek_ocr.ocr.engine_protocol import PageRequest
from airflow_deepseek_ocr.ocr.recognition.reader import Reader
from airflow_deepseek_ocr.ocr.recognition.retry_strategy import (
    TIGHT_NO_REPEAT_NGRAM,
    parse_retry_with,
    parse_text_layer_use,
    retry_with_text,
)
from airflow_deepseek_ocr.ocr.recognition.slicing import cut_slices, join_slices
from airflow_deepseek_ocr.ocr.resolution import RESOLUTIONS
from airflow_deepseek_ocr.ocr.results import PageStatus
from tests.conftest import ROOT
from tests.corpus.model_outputs.languages import SENTENCES
from tests.support.fakes.scripted_engine import (
    GOOD,
    LAYER,
    LOOP,
    ScriptedEngine,
    long_text,
    read,
    sheet,
    small_print,
)


def test_the_same_mode_with_a_tighter_guard_recovers() -> None:
    engine = ScriptedEngine(lambda request: GOOD if request.no_repeat_ngram else LOOP)
    (page,) = read(engine)
    assert (page.status, page.error_code, page.resolution) == (PageStatus.RECOVERED, None, "small")
    assert page.markdown == GOOD
    assert [(each.how, each.score) for each in page.attempts] == [
        ("small", 0.12),
        ("no_repeat_ngram", 1),
    ]
    assert page.attempts[0].flags == ("loop", "repeated_words")
    assert page.seconds == 1.0
    assert engine.order == [("small", ""), ("small", str(TIGHT_NO_REPEAT_NGRAM.ngram_size))]


def test_another_mode_recovers() -> None:
    engine = ScriptedEngine(lambda request: GOOD if request.resolution == "base" else LOOP)
    (page,) = read(engine)
    assert (page.status, page.resolution) == (PageStatus.RECOVERED, "base")
    assert page.vision_tokens == 273
    assert engine.order == [("small", ""), ("small", "20"), ("base", "")]


def test_halves_are_cut_between_lines_and_put_together() -> None:
    seen: list[Image.Image] = []

    def script(request: PageRequest) -> str:
        if request.image.height == 900:
            return LOOP
        seen.append(request.image)
        name = f"half {len(seen)}: {SENTENCES['english'][len(seen)]}"
        return f"<|ref|>text<|/ref|><|det|>[[100, 0, 900, 999]]<|/det|>\n{name}\n"

    text = "\n\n".join(SENTENCES["english"][:18])
    (page,) = read(
        ScriptedEngine(script), Page(1, sheet(text)), steps="slices_2", prompt="markdown"
    )
    assert page.status is PageStatus.RECOVERED
    assert [image.width for image in seen] == [700, 700]
    assert sum(image.height for image in seen) == 900
    assert all(image.crop((0, 0, 700, 1)).getextrema()[0][0] == 255 for image in seen)
    upper, lower = (region.boxes[0].normalized for region in page.regions)
    edge = round(seen[0].height * 999 / 900)
    assert upper == (100, 0, 900, edge)
    assert lower == (100, edge, 900, 999)
    assert page.markdown.index("half 1") < page.markdown.index("half 2")
    assert page.vision_tokens == 2 * 111


def test_quarters_of_several_pages_in_flight_together() -> None:
    sentences = itertools.cycle(SENTENCES["english"])
    engine = ScriptedEngine(lambda r: LOOP if r.image.height == 900 else next(sentences), bound=5)
    pages = read(engine, *(Page(n, sheet()) for n in range(1, 8)), steps="slices_4")
    assert {page.status for page in pages} == {PageStatus.RECOVERED}
    assert {len(page.markdown.splitlines()) for page in pages} == {4}
    assert [page.number for page in pages] == list(range(1, 8))
    assert len(engine.order) == 7 * (1 + 4)


def test_the_text_layer_is_the_last_resort() -> None:
    engine = ScriptedEngine(lambda _: LOOP)
    (page,) = read(engine, Page(1, sheet(), LAYER))
    assert (page.status, page.markdown) == (PageStatus.TEXT_LAYER, GOOD)
    assert page.regions[0].boxes == (LAYER.lines[0].box,)
    assert [each.how for each in page.attempts] == [
        "small",
        "no_repeat_ngram",
        "base",
        "text_layer",
    ]
    assert (page.error_code, page.text_tokens) == (None, 0)


@pytest.mark.parametrize(
    "layer",
    [None, TextLayer(""), TextLayer(GOOD, invisible=1.0), TextLayer(GOOD, unmapped=1.0)],
    ids=["none", "empty", "invisible", "garbage"],
)
def test_a_layer_that_is_not_sound_is_not_used(layer: TextLayer | None) -> None:
    engine = ScriptedEngine(lambda _: LOOP)
    for use in ("compare", "first"):
        (page,) = read(engine, Page(1, sheet(), layer), use=use)
        assert (page.status, page.agreement) == (PageStatus.FAILED, None)


def test_auto_stays_with_the_cheap_mode_and_says_what_that_saved() -> None:
    (page,) = read(ScriptedEngine(lambda _: GOOD), resolution="auto")
    assert (page.status, page.resolution, page.vision_tokens) == (PageStatus.OK, "small", 111)
    gundam = RESOLUTIONS["gundam"]
    assert page.vision_tokens_saved == gundam.vision_tokens(gundam.grid(700, 900)) - 111


@pytest.mark.parametrize(
    ("tokens", "modes"),
    [
        (1110, ["small"]),
        (1111, ["small", "base"]),
        (2730, ["small", "base"]),
        (2731, ["small", "gundam"]),
        (99_999, ["small", "gundam"]),
    ],
)
def test_auto_takes_the_cheapest_mode_with_room_for_the_text(tokens: int, modes: list[str]) -> None:
    engine = ScriptedEngine(long_text(tokens))
    (page,) = read(engine, resolution="auto", steps="none")
    assert [mode for mode, _ in engine.order] == modes
    assert page.resolution == modes[-1]
    # A reading that was good but for the knee is no failure that was recovered from.
    assert page.status is (PageStatus.FAILED if tokens > 90_000 else PageStatus.OK)


def test_auto_climbs_when_the_score_is_low_and_then_goes_down_the_ladder() -> None:
    engine = ScriptedEngine(lambda request: GOOD if request.no_repeat_ngram else LOOP)
    (page,) = read(engine, resolution="auto", steps="no_repeat_ngram")
    assert engine.order == [("small", ""), ("base", ""), ("gundam", ""), ("gundam", "20")]
    assert page.status is PageStatus.RECOVERED
    assert (page.vision_tokens_saved or 0) < 0


def test_modes_that_the_engine_cannot_do_are_left_out() -> None:
    engine = ScriptedEngine(lambda _: LOOP, modes=("gundam",))
    read(engine, resolution="gundam", steps="base,no_repeat_ngram,large")
    assert engine.order == [("gundam", ""), ("gundam", "20")]
    engine = ScriptedEngine(lambda _: LOOP, modes=("gundam",))
    read(engine, resolution="auto", steps="none")
    assert engine.order == [("gundam", "")]


def test_a_way_that_was_tried_is_not_tried_again() -> None:
    engine = ScriptedEngine(lambda _: LOOP)
    read(
        engine,
        resolution="base",
        steps="base,no_repeat_ngram,no_repeat_ngram,no_repeat_ngram:12/100,base",
    )
    assert engine.order == [("base", ""), ("base", "20"), ("base", "12")]


def test_steps_as_users_write_them() -> None:
    steps = parse_retry_with(
        " No_Repeat_Ngram, no_repeat_ngram:25/300 ,slices_2,GUNDAM, text_layer"
    )
    assert [step.no_repeat_ngram for step in steps[:2]] == [
        TIGHT_NO_REPEAT_NGRAM,
        NoRepeatNgram(25, 300),
    ]
    assert (steps[2].slices, steps[3].resolution, steps[4].text_layer) == (2, "gundam", True)
    assert (
        retry_with_text(steps)
        == "no_repeat_ngram,no_repeat_ngram:25/300,slices_2,gundam,text_layer"
    )
    assert parse_retry_with(["no_repeat_ngram", "base"]) == parse_retry_with("no_repeat_ngram,base")
    assert parse_retry_with(None) == parse_retry_with("") == parse_retry_with("none") == ()


@pytest.mark.parametrize(
    "wrong", ["again", "no_repeat_ngram:5/90", "no_repeat_ngram:30", "auto", ["no_repeat_ngram", 3]]
)
def test_steps_that_there_are_not(wrong: object) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_retry_with(wrong)  # type: ignore[arg-type]
    assert caught.value.code in ("retry_with", "no_repeat_ngram")


def test_uses_of_the_layer_that_there_are_not() -> None:
    with pytest.raises(ConfigurationError, match="off, compare, first"):
        parse_text_layer_use("always")


def test_strips_of_pages_that_can_hardly_be_cut_slices() -> None:
    assert len(cut_slices(Image.new("RGB", (50, 1)), 4)) == 1
    full = Image.effect_noise((300, 90), 90)
    strips = cut_slices(full, 4)
    assert sum(strip.image.height for strip in strips) == 90
    assert join_slices(["a", "b"], strips[:2]) == "a\nb"
    broken = "<|det|>[[1, 2, 3"
    assert join_slices([broken], strips[:1]) == broken


def test_the_small_checkpoint_recovers_a_page_and_falls_back_to_a_layer(
    engine: InProcessEngine, tmp_path: Path
) -> None:
    form = ROOT / "demo" / "documents" / "form_dd0293.pdf"

    def pages() -> Iterator[tuple[str, Page]]:
        for name, path in (("small", small_print(tmp_path)), ("form", form)):
            with open_document(path, dpi=72) as document:
                yield name, document.page(1)

    reader = Reader(
        lambda: engine, "free", "tiny", steps=parse_retry_with("no_repeat_ngram,base,text_layer")
    )
    results = dict(reader.read(pages()))
    recovered, layered = results["small"], results["form"]
    assert recovered.status is PageStatus.RECOVERED, recovered
    assert recovered.resolution == "base"
    assert (recovered.agreement or 0) > 0.5
    assert [each.how for each in recovered.attempts] == ["tiny", "no_repeat_ngram", "base"]
    assert layered.status is PageStatus.TEXT_LAYER
    assert "CUI (when filled in)" in layered.markdown
    assert [each.how for each in layered.attempts] == [
        "tiny",
        "no_repeat_ngram",
        "base",
        "text_layer",
    ]
    assert "no_end_token" in layered.attempts[0].flags
