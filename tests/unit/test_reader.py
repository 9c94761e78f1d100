"""Reading again: the ladder, the stream, and what is kept, with an engine that does as it is told."""

from __future__ import annotations

import itertools
import threading
import time
import weakref
from collections.abc import Callable, Generator, Iterable, Iterator
from pathlib import Path

import pytest
from PIL import Image, ImageDraw, ImageFont
from reportlab.pdfgen.canvas import Canvas

from airflow_deepseek_ocr.engines.ahead import Ahead
from airflow_deepseek_ocr.engines.transformers_engine import TransformersEngine
from airflow_deepseek_ocr.errors import ConfigurationError, DeepSeekOCRError, UnavailableError
from airflow_deepseek_ocr.ocr.decoding import Guard
from airflow_deepseek_ocr.ocr.documents import Page, open_document
from airflow_deepseek_ocr.ocr.engine import FinishReason, PageReading, PageRequest, Progress
from airflow_deepseek_ocr.ocr.ladder import (
    DEFAULT_REREAD,
    TIGHT_GUARD,
    LayerUse,
    ladder_text,
    parse_ladder,
    parse_layer_use,
)
from airflow_deepseek_ocr.ocr.packed import PackedImage
from airflow_deepseek_ocr.ocr.reader import Reader
from airflow_deepseek_ocr.ocr.resolution import RESOLUTIONS
from airflow_deepseek_ocr.ocr.results import Box, PageResult, PageStatus
from airflow_deepseek_ocr.ocr.strips import cut, join
from airflow_deepseek_ocr.ocr.text_layer import LayerLine, TextLayer
from tests.conftest import ROOT
from tests.recorded.languages import SENTENCES

GOOD = "\n".join(SENTENCES["english"][:8])
LOOP = GOOD + " and the program of" * 12
WORSE = LOOP + " <|/ref|> \ufffd\ufffd\ufffd\ufffd\ufffd\ufffd\ufffd\ufffd\ufffd"
LAYER = TextLayer(GOOD, (LayerLine(GOOD, Box((0, 0, 999, 999), (0, 0, 700, 900))),))

Script = Callable[[PageRequest], str | DeepSeekOCRError | PageReading]


class ScriptedEngine:
    """Answers as its script says; draws requests in a thread of its own, as real engines do.

    :param script: the text for a request, or an error, or a whole reading.
    :param bound: pages drawn ahead, and pages in flight.
    """

    def __init__(
        self, script: Script, bound: int = 3, modes: Iterable[str] = tuple(RESOLUTIONS)
    ) -> None:
        self._script, self._bound, self._modes = script, bound, tuple(modes)
        self.requests: list[PageRequest] = []
        self.order: list[tuple[str, str]] = []
        self.fail_after: int | None = None

    def modes(self) -> tuple[str, ...]:
        return self._modes

    def read(
        self,
        requests: Iterable[PageRequest],
        progress: Callable[[Progress], None] | None = None,
    ) -> Generator[PageReading, None, None]:
        in_flight: list[PageRequest] = []
        with Ahead(requests, lambda each: each, self._bound) as drawn:
            while True:
                while len(in_flight) < self._bound:
                    request = drawn.take(wait=not in_flight)
                    if request is None:
                        break
                    in_flight.append(request)
                if not in_flight:
                    if drawn.over:
                        return
                    continue
                if self.fail_after is not None and len(self.order) >= self.fail_after:
                    raise RuntimeError("the engine dies")
                request = in_flight.pop(0)
                guard = request.guard and f"{request.guard.ngram_size}"
                self.order.append((request.resolution, guard or ""))
                yield self._answer(request)

    def _answer(self, request: PageRequest) -> PageReading:
        answer = self._script(request)
        if isinstance(answer, PageReading):
            return answer
        if isinstance(answer, DeepSeekOCRError):
            return PageReading(request.key, error=answer)
        mode = RESOLUTIONS[request.resolution]
        return PageReading(
            request.key,
            answer,
            FinishReason.STOP,
            vision_tokens=mode.vision_tokens(mode.grid(*request.image.size)),
            text_tokens=len(answer) // 4,
            seconds=0.5,
        )

    def close(self) -> None: ...


def sheet(text: str = GOOD, width: int = 700, height: int = 900) -> Image.Image:
    image = Image.new("RGB", (width, height), "white")
    font = ImageFont.load_default(size=14)
    ImageDraw.Draw(image).multiline_text((20, 20), text, "black", font=font)
    return image


def read(
    engine: ScriptedEngine,
    *pages: Page,
    resolution: str = "small",
    steps: str = DEFAULT_REREAD,
    use: str = "compare",
    prompt: str = "free",
) -> list[PageResult]:
    reader = Reader(
        lambda: engine,
        prompt,
        resolution,
        steps=parse_ladder(steps),
        layer_use=parse_layer_use(use),
    )
    pages = pages or (Page(1, sheet()),)
    results = dict(reader.read((page.number, page) for page in pages))
    return [results[number] for number in sorted(results)]


def test_a_good_reading_is_the_only_one() -> None:
    engine = ScriptedEngine(lambda _: GOOD)
    (page,) = read(engine)
    assert (page.status, page.score, page.flags, page.markdown) == (PageStatus.OK, 1, (), GOOD)
    assert [attempt.how for attempt in page.attempts] == ["small"]
    assert page.vision_tokens_saved is None
    assert engine.order == [("small", "")]


def test_the_same_mode_with_a_tighter_guard_recovers() -> None:
    engine = ScriptedEngine(lambda request: GOOD if request.guard else LOOP)
    (page,) = read(engine)
    assert (page.status, page.error_code, page.resolution) == (PageStatus.RECOVERED, None, "small")
    assert page.markdown == GOOD
    assert [(each.how, each.score) for each in page.attempts] == [("small", 0.12), ("guard", 1)]
    assert page.attempts[0].flags == ("loop", "repeated_words")
    assert page.seconds == 1.0
    assert engine.order == [("small", ""), ("small", str(TIGHT_GUARD.ngram_size))]


@pytest.mark.parametrize(
    ("min_score", "status", "readings"),
    [(0, PageStatus.OK, 1), (0.12, PageStatus.OK, 1), (0.13, PageStatus.FAILED, 2)],
)
def test_the_user_says_from_which_score_on_a_reading_is_accepted(
    min_score: float, status: PageStatus, readings: int
) -> None:
    engine = ScriptedEngine(lambda _: LOOP)
    reader = Reader(
        lambda: engine, "free", "small", steps=parse_ladder("guard"), min_score=min_score
    )
    ((_, page),) = reader.read([(1, Page(1, sheet()))])
    assert (page.status, len(page.attempts)) == (status, readings)
    assert page.flags == ("loop", "repeated_words"), "they are stored in any case"


def test_another_mode_recovers() -> None:
    engine = ScriptedEngine(lambda request: GOOD if request.resolution == "base" else LOOP)
    (page,) = read(engine)
    assert (page.status, page.resolution) == (PageStatus.RECOVERED, "base")
    assert page.vision_tokens == 273
    assert engine.order == [("small", ""), ("small", "20"), ("base", "")]


def test_the_best_reading_is_kept_not_the_last() -> None:
    answers = {"small": WORSE, "base": LOOP, "large": WORSE}
    engine = ScriptedEngine(lambda request: answers[request.resolution])
    (page,) = read(engine, steps="base,large")
    assert (page.status, page.resolution, page.text) == (PageStatus.FAILED, "base", LOOP)
    assert page.error_code == "loop"
    assert "reread" in (page.error or "")
    assert not page.retryable
    assert [each.how for each in page.attempts] == ["small", "base", "large"]
    assert page.score == max(each.score for each in page.attempts)


def test_of_equally_good_readings_the_one_that_agrees_more_with_the_layer_is_kept() -> None:
    half = "\n".join(SENTENCES["english"][:4])
    answers = {"small": half + LOOP[len(GOOD) :], "base": LOOP}
    engine = ScriptedEngine(lambda request: answers[request.resolution])
    (page,) = read(engine, Page(1, sheet(), TextLayer(GOOD)), steps="base")
    assert page.resolution == "base"
    assert page.agreement is not None
    assert page.agreement_ordered is not None
    assert 0.5 < page.agreement_ordered <= page.agreement < 1


def test_halves_are_cut_between_lines_and_put_together() -> None:
    seen: list[Image.Image] = []

    def script(request: PageRequest) -> str:
        if request.image.height == 900:
            return LOOP
        seen.append(request.image)
        name = f"half {len(seen)}: {SENTENCES['english'][len(seen)]}"
        return f"<|ref|>text<|/ref|><|det|>[[100, 0, 900, 999]]<|/det|>\n{name}\n"

    text = "\n\n".join(SENTENCES["english"][:18])
    (page,) = read(ScriptedEngine(script), Page(1, sheet(text)), steps="halves", prompt="markdown")
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
    pages = read(engine, *(Page(n, sheet()) for n in range(1, 8)), steps="quarters")
    assert {page.status for page in pages} == {PageStatus.RECOVERED}
    assert {len(page.markdown.splitlines()) for page in pages} == {4}
    assert [page.number for page in pages] == list(range(1, 8))
    assert len(engine.order) == 7 * (1 + 4)


def test_the_text_layer_is_the_last_resort() -> None:
    engine = ScriptedEngine(lambda _: LOOP)
    (page,) = read(engine, Page(1, sheet(), LAYER))
    assert (page.status, page.markdown) == (PageStatus.TEXT_LAYER, GOOD)
    assert page.regions[0].boxes == (LAYER.lines[0].box,)
    assert [each.how for each in page.attempts] == ["small", "guard", "base", "text_layer"]
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


def test_without_text_layers_nothing_is_compared() -> None:
    german = " ".join(SENTENCES["german"])
    engine = ScriptedEngine(lambda _: german)
    (page,) = read(engine, Page(1, sheet(), LAYER), use="off")
    assert (page.status, page.agreement) == (PageStatus.OK, None)
    (page,) = read(engine, Page(1, sheet(), LAYER), use="compare")
    assert page.status is PageStatus.TEXT_LAYER
    assert "layer_disagrees" in page.attempts[0].flags
    (page,) = read(engine, Page(1, sheet(), LAYER), prompt="describe")
    assert (page.status, page.agreement) == (PageStatus.OK, None)


def no_engine() -> ScriptedEngine:
    raise AssertionError("the model was asked for")


def test_pages_with_a_sound_layer_need_no_model() -> None:
    reader = Reader(no_engine, "markdown", "base", layer_use=LayerUse.FIRST)
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


def test_pages_without_the_model_are_handed_on_while_others_wait_for_it() -> None:
    """Not kept until a long document has been drawn."""
    drawn = 0

    def pages() -> Iterator[tuple[int, Page]]:
        nonlocal drawn
        image = sheet(height=200)
        for number in range(1, 201):
            drawn += 1
            yield number, Page(number, image, None if number == 1 else LAYER)

    engine = ScriptedEngine(lambda _: GOOD)
    reader = Reader(lambda: engine, "free", "small", layer_use=LayerUse.FIRST)
    most = 0
    for taken, _ in enumerate(reader.read(pages()), start=1):
        most = max(most, drawn - taken)
    assert drawn == 200
    assert most < 80


def test_auto_stays_with_the_cheap_mode_and_says_what_that_saved() -> None:
    (page,) = read(ScriptedEngine(lambda _: GOOD), resolution="auto")
    assert (page.status, page.resolution, page.vision_tokens) == (PageStatus.OK, "small", 111)
    gundam = RESOLUTIONS["gundam"]
    assert page.vision_tokens_saved == gundam.vision_tokens(gundam.grid(700, 900)) - 111


def long_text(tokens: int) -> Script:
    def script(request: PageRequest) -> PageReading:
        mode = RESOLUTIONS[request.resolution]
        vision = mode.vision_tokens(mode.grid(*request.image.size))
        return PageReading(request.key, GOOD, FinishReason.STOP, vision, 0, tokens, 0.1)

    return script


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
    engine = ScriptedEngine(lambda request: GOOD if request.guard else LOOP)
    (page,) = read(engine, resolution="auto", steps="guard")
    assert engine.order == [("small", ""), ("base", ""), ("gundam", ""), ("gundam", "20")]
    assert page.status is PageStatus.RECOVERED
    assert (page.vision_tokens_saved or 0) < 0


def test_modes_that_the_engine_cannot_do_are_left_out() -> None:
    engine = ScriptedEngine(lambda _: LOOP, modes=("gundam",))
    read(engine, resolution="gundam", steps="base,guard,large")
    assert engine.order == [("gundam", ""), ("gundam", "20")]
    engine = ScriptedEngine(lambda _: LOOP, modes=("gundam",))
    read(engine, resolution="auto", steps="none")
    assert engine.order == [("gundam", "")]


def test_a_way_that_was_tried_is_not_tried_again() -> None:
    engine = ScriptedEngine(lambda _: LOOP)
    read(engine, resolution="base", steps="base,guard,guard,guard:12/100,base")
    assert engine.order == [("base", ""), ("base", "20"), ("base", "12")]


@pytest.mark.parametrize(("code", "again"), [("engine_error", True), ("server_timeout", False)])
def test_errors(code: str, again: bool) -> None:
    def script(request: PageRequest) -> str | DeepSeekOCRError:
        return GOOD if request.guard else UnavailableError(code, "no")

    (page,) = read(ScriptedEngine(script), Page(1, sheet(), LAYER))
    if again:
        assert page.status is PageStatus.RECOVERED
        assert page.attempts[0].error_code == code
    else:
        assert (page.status, page.error_code, page.retryable) == (PageStatus.FAILED, code, True)
        assert len(page.attempts) == 1


def test_pages_are_drawn_lazily_and_read_again_at_once() -> None:
    drawn = done = most = 0
    first_again: int | None = None

    def pages() -> Iterator[tuple[int, Page]]:
        nonlocal drawn
        for number in range(1, 41):
            drawn += 1
            yield number, Page(number, sheet(width=700 if number % 5 else 701))

    def script(request: PageRequest) -> str:
        nonlocal first_again
        if request.guard and first_again is None:
            first_again = drawn
        return LOOP if request.image.width == 701 and not request.guard else GOOD

    reader = Reader(lambda: ScriptedEngine(script), "free", "small", steps=parse_ladder("guard"))
    statuses: list[PageStatus] = []
    for _, page in reader.read(pages()):
        done += 1
        most = max(most, drawn - done)
        statuses.append(page.status)
    assert done == 40
    assert statuses.count(PageStatus.RECOVERED) == 8
    assert most <= 10
    assert first_again is not None
    assert first_again < 20


def test_images_are_let_go() -> None:
    """What is kept of a page for another reading is its compressed image."""
    images: list[weakref.ref[Image.Image]] = []
    most = 0

    def pages() -> Iterator[tuple[int, Page]]:
        nonlocal most
        for number in range(1, 21):
            image = sheet()
            images.append(weakref.ref(image))
            page = Page(number, image)
            del image
            yield number, page
            del page
            most = max(most, sum(each() is not None for each in images))

    engine = ScriptedEngine(lambda request: GOOD if request.guard else LOOP)
    reader = Reader(lambda: engine, "free", "small", steps=parse_ladder("guard"))
    assert len(list(reader.read(pages()))) == 20
    assert most <= 10


@pytest.mark.parametrize("colour", ["white", "red"])
def test_packed_images_lose_no_pixel(colour: str) -> None:
    image = Image.new("RGB", (200, 300), colour)
    image.paste(Image.effect_noise((150, 250), 90), (20, 30))
    packed = PackedImage.of(image)
    assert packed.unpack().tobytes() == image.tobytes()
    assert packed.mode == ("L" if colour == "white" else "RGB")


def in_time(work: Callable[[], None], seconds: float = 20.0) -> None:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(seconds)
    assert not thread.is_alive(), "it hangs"


def test_closing_while_the_requests_wait_for_a_reading() -> None:
    def work() -> None:
        engine = ScriptedEngine(lambda _: GOOD)
        reader = Reader(lambda: engine, "free", "small", steps=parse_ladder("guard"))
        results = reader.read((n, Page(n, sheet())) for n in range(1, 4))
        next(results)
        time.sleep(0.3)  # the drawing thread has drawn all and waits
        results.close()

    in_time(work)


def test_an_engine_that_dies_while_the_requests_wait_for_a_reading() -> None:
    caught: list[str] = []

    def work() -> None:
        engine = ScriptedEngine(lambda _: LOOP)
        engine.fail_after = 2
        try:
            read(engine, *(Page(n, sheet()) for n in range(1, 4)))
        except RuntimeError as error:
            caught.append(str(error))

    in_time(work)
    assert caught == ["the engine dies"]


def test_an_error_of_the_pages_reaches_the_caller() -> None:
    def pages() -> Iterator[tuple[int, Page]]:
        yield 1, Page(1, sheet())
        raise UnavailableError("database_unavailable", "gone")

    reader = Reader(lambda: ScriptedEngine(lambda _: GOOD), "free", "small")
    with pytest.raises(UnavailableError):
        list(reader.read(pages()))


def test_steps_as_users_write_them() -> None:
    steps = parse_ladder(" Guard, guard:25/300 ,halves,GUNDAM, text_layer")
    assert [step.guard for step in steps[:2]] == [TIGHT_GUARD, Guard(25, 300)]
    assert (steps[2].parts, steps[3].resolution, steps[4].text_layer) == (2, "gundam", True)
    assert ladder_text(steps) == "guard,guard:25/300,halves,gundam,text_layer"
    assert parse_ladder(["guard", "base"]) == parse_ladder("guard,base")
    assert parse_ladder(None) == parse_ladder("") == parse_ladder("none") == ()


@pytest.mark.parametrize("wrong", ["again", "guard:5/90", "guard:30", "auto", ["guard", 3]])
def test_steps_that_there_are_not(wrong: object) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_ladder(wrong)  # type: ignore[arg-type]
    assert caught.value.code in ("reread", "guard")


def test_uses_of_the_layer_that_there_are_not() -> None:
    with pytest.raises(ConfigurationError, match="off, compare, first"):
        parse_layer_use("always")


def test_strips_of_pages_that_can_hardly_be_cut() -> None:
    assert len(cut(Image.new("RGB", (50, 1)), 4)) == 1
    full = Image.effect_noise((300, 90), 90)
    strips = cut(full, 4)
    assert sum(strip.image.height for strip in strips) == 90
    assert join(["a", "b"], strips[:2]) == "a\nb"
    broken = "<|det|>[[1, 2, 3"
    assert join([broken], strips[:1]) == broken


def small_print(folder: Path) -> Path:
    """Text that is too small for the tiny mode, and readable in base."""
    path = folder / "small.pdf"
    canvas = Canvas(str(path), pagesize=(640, 640))
    canvas.setFont("Helvetica", 14)
    lines = [
        "Order: PO-77120",
        "Item: garden table",
        "Total: $89.50",
        "Thank you and see you soon.",
    ]
    for number, line in enumerate(lines):
        canvas.drawString(40, 560 - 34 * number, line)
    canvas.save()
    return path


def test_the_small_checkpoint_recovers_a_page_and_falls_back_to_a_layer(
    engine: TransformersEngine, tmp_path: Path
) -> None:
    form = ROOT / "demo" / "documents" / "form_dd0293.pdf"

    def pages() -> Iterator[tuple[str, Page]]:
        for name, path in (("small", small_print(tmp_path)), ("form", form)):
            with open_document(path, dpi=72) as document:
                yield name, document.page(1)

    reader = Reader(lambda: engine, "free", "tiny", steps=parse_ladder("guard,base,text_layer"))
    results = dict(reader.read(pages()))
    recovered, layered = results["small"], results["form"]
    assert recovered.status is PageStatus.RECOVERED, recovered
    assert recovered.resolution == "base"
    assert (recovered.agreement or 0) > 0.5
    assert [each.how for each in recovered.attempts] == ["tiny", "guard", "base"]
    assert layered.status is PageStatus.TEXT_LAYER
    assert "CUI (when filled in)" in layered.markdown
    assert [each.how for each in layered.attempts] == ["tiny", "guard", "base", "text_layer"]
    assert "no_end_token" in layered.attempts[0].flags
