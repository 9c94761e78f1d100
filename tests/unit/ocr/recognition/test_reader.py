"""Pages through the reader: accepted, retried, or taken from their text layer."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image, ImageDraw, ImageFont

from airflow_deepseek_ocr.engines.in_process.engine import InProcessEngine
from airflow_deepseek_ocr.exceptions import DeepSeekOCRError, ErrorCode, UnavailableError
from airflow_deepseek_ocr.ocr.documents.base import Page
from airflow_deepseek_ocr.ocr.documents.open import open_document
from airflow_deepseek_ocr.ocr.documents.text_layer import TextLayer
from airflow_deepseek_ocr.ocr.engine_protocol import PageRequest
from airflow_deepseek_ocr.ocr.families.deepseek_ocr import DEEPSEEK_OCR
from airflow_deepseek_ocr.ocr.families.deepseek_ocr_2 import DEEPSEEK_OCR_2
from airflow_deepseek_ocr.ocr.page_turns import turn
from airflow_deepseek_ocr.ocr.recognition.reader import Reader
from airflow_deepseek_ocr.ocr.recognition.retry_strategy import (
    TIGHT_NO_REPEAT_NGRAM,
    TextLayerUse,
    parse_retry_with,
)
from airflow_deepseek_ocr.ocr.recognition.turning import turn_boxes_back
from airflow_deepseek_ocr.ocr.results import PageStatus
from tests.conftest import ROOT
from tests.corpus.model_outputs.languages import SENTENCES
from tests.support.fakes.scripted_engine import (
    GOOD,
    LAYER,
    LOOP,
    WORSE,
    ScriptedEngine,
    long_text,
    no_engine,
    read,
    sheet,
    small_print,
)

#: What a model makes up in each mode.
OTHERS = {"small": "german", "base": "russian", "gundam": "greek"}


def test_an_accepted_output_is_the_only_attempt() -> None:
    engine = ScriptedEngine(lambda _: GOOD)
    (page,) = read(engine)
    assert (page.status, page.score, page.flags, page.markdown) == (PageStatus.OK, 1, (), GOOD)
    assert [attempt.how for attempt in page.attempts] == ["small"]
    assert page.vision_tokens_saved is None
    assert engine.order == [("small", "")]


@pytest.mark.parametrize(
    ("min_score", "status", "attempts"),
    [(0, PageStatus.OK, 1), (0.12, PageStatus.OK, 1), (0.13, PageStatus.FAILED, 2)],
)
def test_the_user_sets_the_lowest_accepted_score(
    min_score: float, status: PageStatus, attempts: int
) -> None:
    engine = ScriptedEngine(lambda _: LOOP)
    reader = Reader(
        lambda: engine,
        "free",
        "small",
        steps=parse_retry_with("no_repeat_ngram"),
        min_score=min_score,
    )
    ((_, page),) = reader.read([(1, Page(1, sheet()))])
    assert (page.status, len(page.attempts)) == (status, attempts)
    assert page.flags == ("loop", "repeated_words"), "they are stored in any case"


def test_the_best_attempt_is_kept_not_the_last() -> None:
    answers = {"small": WORSE, "base": LOOP, "large": WORSE}
    engine = ScriptedEngine(lambda request: answers[request.resolution])
    (page,) = read(engine, steps="base,large")
    assert (page.status, page.resolution, page.text) == (PageStatus.FAILED, "base", LOOP)
    assert page.error_code == "loop"
    assert "retry_with" in (page.error or "")
    assert not page.retryable
    assert [each.how for each in page.attempts] == ["small", "base", "large"]
    assert page.score == max(each.score for each in page.attempts)


def test_of_equal_scores_the_higher_agreement_with_the_layer_is_kept() -> None:
    half = "\n".join(SENTENCES["english"][:4])
    answers = {"small": half + LOOP[len(GOOD) :], "base": LOOP}
    engine = ScriptedEngine(lambda request: answers[request.resolution])
    (page,) = read(engine, Page(1, sheet(), TextLayer(GOOD)), steps="base")
    assert page.resolution == "base"
    assert page.agreement is not None
    assert page.agreement_ordered is not None
    assert 0.5 < page.agreement_ordered <= page.agreement < 1


def test_without_text_layers_nothing_is_compared() -> None:
    german = " ".join(SENTENCES["german"])
    engine = ScriptedEngine(lambda _: german)
    (page,) = read(engine, Page(1, sheet(), LAYER), use="off")
    assert (page.status, page.agreement) == (PageStatus.OK, None)
    engine = ScriptedEngine(lambda request: " ".join(SENTENCES[OTHERS[request.resolution]]))
    (page,) = read(engine, Page(1, sheet(), LAYER), use="compare")
    assert page.status is PageStatus.TEXT_LAYER
    assert "layer_disagrees" in page.attempts[0].flags
    assert page.flags == ("layer_unconfirmed",)
    (page,) = read(engine, Page(1, sheet(), LAYER), prompt="describe")
    assert (page.status, page.agreement) == (PageStatus.OK, None)


def test_pages_with_a_usable_layer_need_no_model() -> None:
    reader = Reader(no_engine, "markdown", "base", text_layer_use=TextLayerUse.FIRST)
    pages = (("a", Page(number, sheet(), LAYER)) for number in range(1, 4))
    results = [page for _, page in reader.read(pages)]
    assert [page.status for page in results] == [PageStatus.TEXT_LAYER] * 3
    assert [page.markdown for page in results] == [GOOD] * 3
    assert (results[0].width, results[0].height) == (700, 900)


def test_pages_with_and_without_a_layer_in_any_order() -> None:
    layered = {n for n in range(1, 36) if n % 7 not in (0, 3) and not 20 < n < 30}
    pages = [Page(n, sheet(), LAYER if n in layered else None) for n in range(1, 36)]
    engine = ScriptedEngine(lambda _: GOOD)
    results = read(engine, *pages, use="first")
    assert [page.number for page in results] == list(range(1, 36))
    kept = {page.number for page in results if page.status is PageStatus.TEXT_LAYER}
    assert kept == layered
    assert len(engine.order) == 35 - len(layered)


def test_pages_without_the_model_are_emitted_while_others_wait_for_it() -> None:
    """They do not wait until a long document is rendered."""
    drawn = 0

    def pages() -> Iterator[tuple[int, Page]]:
        nonlocal drawn
        image = sheet(height=200)
        for number in range(1, 201):
            drawn += 1
            yield number, Page(number, image, None if number == 1 else LAYER)

    engine = ScriptedEngine(lambda _: GOOD)
    reader = Reader(lambda: engine, "free", "small", text_layer_use=TextLayerUse.FIRST)
    most = 0
    for taken, _ in enumerate(reader.read(pages()), start=1):
        most = max(most, drawn - taken)
    assert drawn == 200
    assert most < 80


@pytest.mark.parametrize(
    ("code", "retried"), [(ErrorCode.ENGINE_ERROR, True), (ErrorCode.SERVER_TIMEOUT, False)]
)
def test_only_errors_of_the_page_are_retried(code: ErrorCode, retried: bool) -> None:
    def script(request: PageRequest) -> str | DeepSeekOCRError:
        return GOOD if request.no_repeat_ngram else UnavailableError(code, "no")

    (page,) = read(ScriptedEngine(script), Page(1, sheet(), LAYER))
    if retried:
        assert page.status is PageStatus.RECOVERED
        assert page.attempts[0].error_code == code
    else:
        assert (page.status, page.error_code, page.retryable) == (PageStatus.FAILED, code, True)
        assert len(page.attempts) == 1


def test_the_same_mode_with_a_tighter_constraint_recovers() -> None:
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


def test_slices_are_cut_between_lines_and_joined() -> None:
    seen: list[Image.Image] = []

    def script(request: PageRequest) -> str:
        if request.image.height == 900:
            return LOOP
        seen.append(request.image)
        name = f"slice {len(seen)}: {SENTENCES['english'][len(seen)]}"
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
    assert page.markdown.index("slice 1") < page.markdown.index("slice 2")
    assert page.vision_tokens == 2 * 111


def test_slices_of_several_pages_in_flight_together() -> None:
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
def test_a_layer_that_is_not_usable_is_not_used(layer: TextLayer | None) -> None:
    engine = ScriptedEngine(lambda _: LOOP)
    for use in ("compare", "first"):
        (page,) = read(engine, Page(1, sheet(), layer), use=use)
        assert (page.status, page.agreement) == (PageStatus.FAILED, None)


def test_auto_stays_with_the_cheap_mode_and_reports_the_saved_tokens() -> None:
    (page,) = read(ScriptedEngine(lambda _: GOOD), resolution="auto")
    assert (page.status, page.resolution, page.vision_tokens) == (PageStatus.OK, "small", 111)
    gundam = DEEPSEEK_OCR.resolutions["gundam"]
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
    # Output with no other flag than the knee is no failure to recover from.
    assert page.status is (PageStatus.FAILED if tokens > 90_000 else PageStatus.OK)


@pytest.mark.parametrize(
    ("tokens", "modes"),
    [(1450, ["small"]), (1451, ["small", "base"]), (2571, ["small", "gundam"])],
)
def test_auto_counts_the_tokens_of_the_engine_s_model(tokens: int, modes: list[str]) -> None:
    engine = ScriptedEngine(long_text(tokens, DEEPSEEK_OCR_2), family=DEEPSEEK_OCR_2)
    (page,) = read(engine, resolution="auto", steps="none")
    assert [mode for mode, _ in engine.order] == modes
    used = sum(DEEPSEEK_OCR_2.resolution(mode).vision_tokens() for mode in modes[:-1])
    assert page.vision_tokens_saved == 1121 - used - page.vision_tokens


def test_auto_climbs_when_the_score_is_low_and_then_takes_the_steps() -> None:
    engine = ScriptedEngine(lambda request: GOOD if request.no_repeat_ngram else LOOP)
    (page,) = read(engine, resolution="auto", steps="no_repeat_ngram")
    assert engine.order == [("small", ""), ("base", ""), ("gundam", ""), ("gundam", "20")]
    assert page.status is PageStatus.RECOVERED
    assert (page.vision_tokens_saved or 0) < 0


def test_modes_that_the_engine_does_not_support_are_skipped() -> None:
    engine = ScriptedEngine(lambda _: LOOP, modes=("gundam",))
    read(engine, resolution="gundam", steps="base,no_repeat_ngram,large")
    assert engine.order == [("gundam", ""), ("gundam", "20")]
    engine = ScriptedEngine(lambda _: LOOP, modes=("gundam",))
    read(engine, resolution="auto", steps="none")
    assert engine.order == [("gundam", "")]


def test_attempts_are_not_repeated() -> None:
    engine = ScriptedEngine(lambda _: LOOP)
    read(
        engine,
        resolution="base",
        steps="base,no_repeat_ngram,no_repeat_ngram,no_repeat_ngram:12/100,base",
    )
    assert engine.order == [("base", ""), ("base", "20"), ("base", "12")]


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


@pytest.mark.parametrize(
    ("prompt", "resolution", "use", "measures_edges", "uses_text_layer"),
    [
        ("markdown", "small", TextLayerUse.COMPARE, True, True),
        ("markdown", "small", TextLayerUse.OFF, True, False),
        ("locate:Total", "small", TextLayerUse.COMPARE, False, False),
        ("locate:Total", "auto", TextLayerUse.COMPARE, True, False),
    ],
)
def test_what_is_measured_of_pages_follows_from_prompt_and_setting(
    prompt: str, resolution: str, use: TextLayerUse, measures_edges: bool, uses_text_layer: bool
) -> None:
    reader = Reader(no_engine, prompt, resolution, text_layer_use=use)
    assert (reader.measures_edges, reader.uses_text_layer) == (measures_edges, uses_text_layer)


@pytest.mark.slow
@pytest.mark.parametrize("rotation", [90, 180, 270])
def test_the_small_checkpoint_recognises_a_page_that_is_not_upright(
    engine: InProcessEngine, rotation: int
) -> None:
    upright = Image.new("RGB", (640, 640), "white")
    lines = "Order: PO-77120\nItem: garden table\nTotal: $89.50\nThank you and see you soon."
    font = ImageFont.load_default(size=34)
    ImageDraw.Draw(upright).multiline_text((40, 60), lines, "black", font=font, spacing=22)
    reader = Reader(lambda: engine, "markdown", "small", steps=parse_retry_with("turn"))
    pages = [Page(1, upright), Page(2, turn(upright, 360 - rotation))]
    results = dict(reader.read((page.number, page) for page in pages))
    assert "Thank you" in results[1].markdown
    assert [each.how for each in results[1].attempts] == ["small"]
    assert (results[1].rotation, results[2].rotation) == (0, rotation)
    assert results[2].markdown == results[1].markdown
    assert results[2].text == turn_boxes_back(results[1].text, rotation).text
