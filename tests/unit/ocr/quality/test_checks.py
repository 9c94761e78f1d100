"""The judge: each signal by itself, and the rates over the recorded set."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from PIL import Image, ImageDraw, ImageFont

from airflow_deepseek_ocr.ocr.engine_protocol import FinishReason
from airflow_deepseek_ocr.ocr.quality.checks import QualityInput, check_quality
from airflow_deepseek_ocr.ocr.quality.edge_density import EdgeDensity, measure_edge_density
from airflow_deepseek_ocr.ocr.quality.flags import WEIGHTS, Flag
from airflow_deepseek_ocr.ocr.quality.repetition import find_repetition
from airflow_deepseek_ocr.ocr.quality.report import verdict
from airflow_deepseek_ocr.ocr.quality.scripts import count_mixed_words, count_scripts
from airflow_deepseek_ocr.ocr.quality.tables import find_tables, rows_repeated_at_end
from airflow_deepseek_ocr.ocr.quality.thresholds import DEFAULT_MIN_SCORE, Thresholds
from tests.conftest import ROOT
from tests.corpus.model_outputs.languages import SENTENCES
from tests.corpus.model_outputs.measure import Judged, measure, rates, tables

PROSE = " ".join(SENTENCES["english"])


def flags(text: str, prompt: str = "free", **evidence: object) -> set[Flag]:
    return set(check_quality(QualityInput(text=text, prompt=prompt, **evidence)).flags)  # type: ignore[arg-type]


def region(text: str, box: str = "[10, 20, 900, 60]", label: str = "text") -> str:
    return f"<|ref|>{label}<|/ref|><|det|>[{box}]<|/det|>\n{text}\n"


@pytest.fixture(scope="module")
def judged() -> list[Judged]:
    return measure()


def test_at_least_99_percent_of_the_bad_are_found(judged: list[Judged]) -> None:
    found, bad, _, _ = rates(judged)
    assert bad >= 400
    assert found / bad >= 0.99
    found, bad, _, _ = rates(judged, "held_out")
    assert bad >= 200
    assert found / bad >= 0.99


def test_under_1_percent_of_the_good_are_refused(judged: list[Judged]) -> None:
    _, _, alarms, good = rates(judged)
    assert good >= 600
    assert alarms / good < 0.01
    _, _, alarms, good = rates(judged, "held_out")
    assert good >= 300
    assert alarms / good < 0.01


def test_the_documented_table_is_the_measured_one(judged: list[Judged]) -> None:
    assert tables(judged) in (ROOT / "docs" / "quality.md").read_text("utf-8")


def test_every_flag_has_a_weight_and_the_score_is_their_product() -> None:
    assert set(WEIGHTS) == set(Flag)
    assert all(0 < weight < 1 for weight in WEIGHTS.values())
    assert verdict(set()).score == 1
    both = verdict({Flag.LOOP, Flag.RATIO_KNEE})
    assert both.flags == (Flag.LOOP, Flag.RATIO_KNEE)
    assert both.score == pytest.approx((1 - WEIGHTS[Flag.LOOP]) * (1 - WEIGHTS[Flag.RATIO_KNEE]))
    assert both.worst is Flag.LOOP
    assert verdict(set()).worst is None


def test_a_light_flag_alone_refuses_nothing() -> None:
    for flag, weight in WEIGHTS.items():
        assert verdict({flag}).accepted is (1 - weight >= DEFAULT_MIN_SCORE)
    assert verdict({Flag.RATIO_KNEE}).accepted
    assert not verdict({Flag.RATIO_CLIFF}).accepted


def test_a_good_page_has_no_flag() -> None:
    assert flags(PROSE) == set()
    assert flags(region(PROSE), "markdown", vision_tokens=273, text_tokens=300) == set()
    assert flags("") == set()


def test_no_end_token() -> None:
    assert flags(PROSE, finish_reason=FinishReason.LENGTH) == {Flag.NO_END_TOKEN}


@pytest.mark.parametrize(
    "text",
    [
        f"{PROSE} " + "the program of " * 8,
        f"{PROSE} " + "the program of " * 8 + "an end that it found again.",
        "\n".join([PROSE, *["A line that comes again and again and again."] * 15]),
        f"{PROSE} " + "abab" * 20,
        "今年第一季度的销售额" + "增长了" * 12,
        "\n".join(f"{number}. The total of the" for number in range(1, 80)),
    ],
    ids=["at the end", "within", "lines", "letters", "without spaces", "counting"],
)
def test_loops(text: str) -> None:
    assert Flag.LOOP in flags(text)


@pytest.mark.parametrize(
    "text",
    [
        "Total " + ". " * 120 + "12",
        "Signature: " + "_" * 300,
        "\n".join(["1 x Tea 2.80"] * 8),
        "\n".join(["yes"] * 30),
        "0.00 " * 60,
        "n/a " * 8,
        "Very, very, very, very, very good.",
        "<table>" + "<tr><td></td><td></td></tr>" * 40 + "</table>",
        "<table>" + "<tr><td>M8</td><td>steel</td></tr>" * 6 + "</table>",
    ],
)
def test_what_repeats_by_right_is_no_loop(text: str) -> None:
    assert flags(text) == set()


def test_lines_that_stood_there_before() -> None:
    lines = [f"{sentence}" for sentence in SENTENCES["english"][:4]]
    shuffled = [lines[i] for i in (0, 1, 2, 3, 1, 3, 0, 2, 2, 0, 1, 3, 3, 1, 0, 2, 1, 0)]
    assert Flag.REPEATED_LINES in flags("\n".join(shuffled))
    assert Flag.REPEATED_LINES not in flags("\n".join(shuffled[:8]))


def test_a_stammer_is_not_a_loop_but_is_found() -> None:
    parts = ["the state of the project", "a compare of the form", "may be accepted as a wish"]
    order = [0, 1, 2, 1, 0, 2, 2, 0, 1, 0, 0, 1, 2, 0, 2, 1, 1, 2, 0, 1]
    text = " ".join(parts[i] for i in order)
    assert flags(text) == {Flag.REPEATED_WORDS}


def test_few_different_words() -> None:
    letters = [chr(ord("A") + i * i % 7) for i in range(400)]
    assert Flag.REPEATED_WORDS in flags("\n".join(letters))


def test_the_end_of_a_table_repeats() -> None:
    row = "<tr><td>Paper white</td><td>4</td></tr>"
    assert Flag.REPEATED_LINES in flags(f"<table>{row * 20}</table>")
    assert rows_repeated_at_end(("a", "b", "b", "b")) == 2
    assert rows_repeated_at_end(("1", "1", "1")) == 0
    assert rows_repeated_at_end(()) == 0


def test_a_loop_within_a_cell() -> None:
    cell = "the price of " * 20
    assert Flag.LOOP in flags(f"<table><tr><td>a</td><td>{cell}</td></tr></table>")


@pytest.mark.parametrize(
    ("box", "flag"),
    [
        ("[0, 0, 1000, 50]", Flag.BOX_OUTSIDE),
        ("[-1, 0, 100, 50]", Flag.BOX_OUTSIDE),
        ("[500, 0, 100, 50]", Flag.BOX_INVERTED),
        ("[0, 90, 100, 50]", Flag.BOX_INVERTED),
    ],
)
def test_boxes(box: str, flag: Flag) -> None:
    good = region("one", "[0, 0, 999, 50]") + region("two", "[0, 60, 999, 90]")
    assert flags(good, "markdown") == set()
    assert flags(good + region("three", box), "markdown") == {flag}


def test_a_single_wrong_box_among_many_is_no_reason() -> None:
    rows = [region(f"line {y}", f"[10, {y}, 900, {y + 5}]") for y in range(0, 600, 6)]
    assert flags("".join(rows) + region("x", "[0, 0, 1000, 5]"), "markdown") == set()


def test_boxes_alike() -> None:
    sentences = SENTENCES["english"]
    assert Flag.BOXES_ALIKE in flags("".join(map(region, sentences)), "markdown")
    assert flags("".join(map(region, sentences[:3])), "markdown") == set()


def test_more_text_in_a_box_than_could_be_seen_there() -> None:
    small = region(PROSE, "[10, 20, 60, 25]")
    found = flags(small, "markdown", vision_tokens=111, text_tokens=200)
    assert found == {Flag.BOX_CROWDED}
    large = region(PROSE, "[10, 20, 990, 900]")
    assert flags(large, "markdown", vision_tokens=111, text_tokens=200) == set()


def drawn(text: str, size: int = 14) -> Image.Image:
    image = Image.new("RGB", (640, 640), "white")
    font = ImageFont.load_default(size=size)
    ImageDraw.Draw(image).multiline_text((20, 20), text, "black", font=font)
    return image


def edge_density(image: Image.Image) -> EdgeDensity:
    found = measure_edge_density(image)
    assert found is not None
    return found


def test_text_on_a_blank_page_and_none_on_a_printed_one() -> None:
    blank, printed = edge_density(drawn("")), edge_density(drawn("\n".join([PROSE[:80]] * 20)))
    assert flags(PROSE, edge_density=blank) == {Flag.TEXT_ON_BLANK}
    assert flags("4", edge_density=blank) == {Flag.TEXT_ON_BLANK}
    assert flags("", edge_density=printed) == {Flag.NO_TEXT}
    assert flags("...", edge_density=printed) == {Flag.NO_TEXT}
    assert flags(PROSE, edge_density=printed) == set()
    assert flags("", edge_density=blank) == set()
    picture = region("", "[0, 0, 999, 999]", "image")
    assert flags(picture, "markdown", edge_density=printed) == set()
    assert flags("", "locate:Total", edge_density=printed) == set()


def test_text_where_there_is_no_print() -> None:
    upper_half = edge_density(drawn("\n".join([PROSE[:80]] * 18)))
    right = region(PROSE, "[20, 20, 980, 480]")
    assert flags(right, "markdown", edge_density=upper_half) == set()
    invented = region(PROSE, "[20, 600, 980, 900]")
    assert flags(invented, "markdown", edge_density=upper_half) == {Flag.TEXT_OFF_PRINT}
    # A page number too faint to be seen is a small part of the text, a picture's box holds none.
    faint, picture = region("7", "[480, 960, 520, 980]"), region("", "[0, 600, 999, 900]", "image")
    assert flags(right + faint + picture, "markdown", edge_density=upper_half) == set()
    # Tags are not printed, and boxes may be a little off.
    table = region(
        "<table>" + "<tr><td>4711</td></tr>" * 3 + "</table>", "[20, 20, 80, 40]", "table"
    )
    assert Flag.TEXT_OFF_PRINT not in flags(table, "markdown", edge_density=upper_half)
    assert flags(
        region(PROSE, "[20, 505, 980, 515]"), "markdown", edge_density=edge_density(drawn("x" * 60))
    ) == {Flag.TEXT_OFF_PRINT}
    wrong = region(PROSE, "[980, 2000, -5, 5000]")
    assert Flag.TEXT_OFF_PRINT not in flags(wrong, "locate:x", edge_density=upper_half)


def test_a_page_of_few_huge_letters_is_not_blank() -> None:
    huge = edge_density(drawn("EXIT", 230))
    assert huge.text_edges < Thresholds().blank_strokes < huge.edges
    assert flags("EXIT", edge_density=huge) == set()
    assert flags(PROSE, edge_density=huge) == {Flag.TEXT_ON_BLANK}


def pictures() -> Iterator[Image.Image]:
    """Without any text."""
    yield Image.new("RGB", (1240, 1754), "white")
    yield Image.linear_gradient("L").resize((1240, 1754))
    frame = Image.new("L", (640, 640), 250)
    ImageDraw.Draw(frame).rectangle((50, 50, 600, 600), outline=0, width=3)
    ImageDraw.Draw(frame).ellipse((200, 200, 400, 400), fill=90)
    yield frame


def test_print_has_strokes_and_pictures_have_none() -> None:
    limits = Thresholds()
    assert [edge_density(image).text_edges for image in pictures()] == [0] * 3
    for size in (8, 12, 20, 40):
        assert edge_density(drawn("Invoice 4711", size)).text_edges > limits.blank_strokes
    many = drawn("\n".join([PROSE[:60]] * 12))
    assert edge_density(many).text_edges > limits.inked_strokes
    assert (
        edge_density(Image.eval(many, lambda level: 255 - level)).text_edges > limits.inked_strokes
    )


@pytest.mark.parametrize("size", [(3, 3), (159, 900), (200, 100_000)])
def test_images_too_narrow_to_tell(size: tuple[int, int]) -> None:
    assert measure_edge_density(Image.new("L", size, 255)) is None


@pytest.mark.parametrize(
    ("table", "widths", "broken"),
    [
        ("<tr><td>a</td><td>b</td></tr><tr><td>c</td><td>d</td></tr>", (2, 2), 0),
        ("<tr><td>a</td><td>b</td></tr><tr><td>c</td></tr>", (2, 1), 0),
        ('<tr><td colspan="2">a</td></tr><tr><td>c</td><td>d</td></tr>', (2, 2), 0),
        ('<tr><td rowspan="2">a</td><td>b</td></tr><tr><td>d</td></tr>', (2, 2), 0),
        ("<thead><tr><th>a</th></tr></thead><tbody><tr><td>b</td></tr></tbody>", (1, 1), 0),
        ("<tr><td>a</td></tr><tr><td>b</tr>", (1, 1), 1),
        ("<tr><td>a</td></tr>stray<tr><td>b</td></tr>", (1, 1), 1),
        ("<td>a</td>", (), 3),
    ],
)
def test_tables(table: str, widths: tuple[int, ...], broken: int) -> None:
    found = find_tables(f"before<table>{table}</table>after")
    assert found.widths == (widths,)
    assert found.broken == broken
    assert found.outside == "before\nafter"


@pytest.mark.parametrize(
    ("text", "flag"),
    [
        ("<table><tr><td>a</td><td>b</td></tr><tr><td>c</td></tr></table>", Flag.RAGGED_TABLE),
        ("<table><tr><td>a</td><td>b</td></tr>", Flag.BROKEN_TABLE),
        ("<table><tr><td>a", Flag.BROKEN_TABLE),
        ("a</td></tr></table>", Flag.BROKEN_TABLE),
        ("<tr><td>a</td></tr>", Flag.BROKEN_TABLE),
    ],
)
def test_ragged_and_broken_tables(text: str, flag: Flag) -> None:
    assert flags(text) == {flag}


@pytest.mark.parametrize(
    "text",
    [
        "<|ref|>title",
        "<|ref|>title<|/ref|><|det|>[[1, 2, 3",
        "done <|/det|>",
        "done <|re",
        "done <|",
        r"A formula \( a + b",
        r"\[ \frac{a}{b}",
        r"\[ \begin{pmatrix} a & b \]",
    ],
)
def test_open_markup(text: str) -> None:
    assert flags(text, "markdown") == {Flag.OPEN_MARKUP}


def test_a_new_row_in_a_matrix_opens_no_formula() -> None:
    assert flags(r"\[ \begin{cases} a \\[2pt] b \end{cases} \] and \( x < |y| \)") == set()


def test_references_where_the_prompt_asks_for_none() -> None:
    assert flags(region("text")) == {Flag.STRAY_MARKUP}
    assert flags("a <|/ref|> b") == {Flag.STRAY_MARKUP}


def test_characters_that_no_page_has() -> None:
    assert flags(PROSE + "\ufffd\ue000\x00\x07\ud800" * 2) == {Flag.NO_CHARACTERS}
    assert flags(PROSE + "\u200b\u00ad\ufeff\t\n") == set()


def test_scripts() -> None:
    assert count_scripts("abc где 漢字かな한글 ①µª") == {"LATIN": 3, "CYRILLIC": 3, "CJK": 6}
    assert count_mixed_words("iPhone手机 прwetт α-wave μm abcгдеdef") == (2, 6)
    assert flags(" ".join(f"wo{word}rd" for word in SENTENCES["russian"][0].split())) == {
        Flag.MIXED_SCRIPTS
    }
    assert flags("\n".join(SENTENCES["russian"] + SENTENCES["english"])) == set()
    assert flags(SENTENCES["russian"][0], scripts=frozenset({"LATIN"})) == {Flag.MIXED_SCRIPTS}
    assert flags(SENTENCES["russian"][0], scripts=frozenset({"CYRILLIC"})) == set()


@pytest.mark.parametrize(
    ("text_tokens", "expected"),
    [(730, set()), (731, {Flag.RATIO_KNEE}), (1460, {Flag.RATIO_KNEE}), (1461, {Flag.RATIO_CLIFF})],
)
def test_ratio_of_text_to_vision_tokens(text_tokens: int, expected: set[Flag]) -> None:
    assert flags(PROSE, vision_tokens=73, text_tokens=text_tokens) == expected


def test_repetition_of_nothing() -> None:
    found = find_repetition([])
    assert (found.loop.repeats, found.stammer, found.distinct, found.same_lines) == (0, 0, 1, 0)


@pytest.mark.parametrize(
    "piece", ["<td>", "<table><tr><td>", "ab", "a b ", "<|ref|>", "\\(", "\\begin{a}", "[[1,", "<"]
)
def test_time_is_linear_in_the_text(piece: str) -> None:
    started = time.monotonic()
    flags(piece * 20_000, "markdown")
    assert time.monotonic() - started < 5
