"""The ordinary documents: always the same, of several kinds, and nothing of them is trained on."""

from __future__ import annotations

import textwrap

import pytest
from PIL import Image, ImageDraw, ImageFont

from training import wording
from training.assets import _TRAIN
from training.charset import CHARSET
from training.ordinary import texts
from training.ordinary.documents import FAMILIES, PACKAGES, ordinary_documents
from training.ordinary.read import as_json, as_tables, chosen_mode, pixels_of_print, plain
from training.ordinary.typeset import as_flat_odt, as_html, as_latex

DOCUMENTS = ordinary_documents()


def test_sixty_documents_of_all_kinds_sizes_and_programs() -> None:
    assert len({each.name for each in DOCUMENTS}) == len(DOCUMENTS) == 60
    assert len({each.kind for each in DOCUMENTS}) == 10
    assert {each.program for each in DOCUMENTS} == FAMILIES.keys()
    assert ordinary_documents() == DOCUMENTS
    assert "chromium" in PACKAGES


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda each: each.name)
def test_every_character_is_one_that_the_checkpoint_can_spell(document) -> None:  # type: ignore[no-untyped-def]
    assert set(document.text) <= {*CHARSET, " ", "\n"}
    assert 150 < len(document.text) < 2500


def test_fonts_names_and_words_are_never_trained_on() -> None:
    trained = {family.lower().replace(" ", "") for family in _TRAIN}
    held_out = {name.lower().replace(" ", "") for names in FAMILIES.values() for name in names}
    assert not trained & held_out
    sold = set(wording._ITEMS)
    assert not sold & {*texts.GOODS, *texts.GROCERIES}
    firsts = {name.split()[0] for name in texts.PEOPLE}
    assert not firsts & set(wording._FIRST_NAMES)
    spoken = " ".join((*wording._OPENINGS, *wording._PHRASES))
    assert not any(sentence in spoken for sentence in (*texts.LETTERS, *texts.ARTICLES))


def test_sources_say_what_the_truth_says() -> None:
    letter = next(each for each in DOCUMENTS if each.kind == "invoice" and each.program == "latex")
    assert r"\usepackage{utopia}" in as_latex(letter)
    assert r"\pounds{}" in as_latex(letter)
    for source in (as_html(letter), as_flat_odt(letter)):
        for line in letter.text.splitlines():
            for word in line.replace("&", "&amp;").replace("'", "&#x27;").split():
                assert word in source, word
    columns = next(each for each in DOCUMENTS if each.columns == 2)
    assert "columns: 2" in as_html(columns)
    assert 'column-count="2"' in as_flat_odt(columns)
    assert r"\begin{multicols}{2}" in as_latex(columns)


@pytest.mark.parametrize(("points", "mode"), [(11, "gundam"), (20, "base"), (34, "small")])
def test_the_mode_is_the_one_that_auto_chooses(points: int, mode: str) -> None:
    a4 = 1654, 2339
    image, size, top = Image.new("L", a4, 255), round(points * 200 / 72), 180
    font, draw = ImageFont.load_default(size), ImageDraw.Draw(image)
    for text in textwrap.wrap(" ".join(texts.LETTERS), 2400 // size)[: 1900 // (size * 3 // 2)]:
        draw.text((180, top), text, fill=0, font=font)
        top += size * 3 // 2
    assert chosen_mode(image, 12) == mode
    assert pixels_of_print(points, a4, mode) > 18.5
    assert chosen_mode(image, 100) == "gundam"
    assert chosen_mode(Image.new("L", a4, 255), 14) == "small"


def test_print_of_all_sizes_on_papers_of_all_sizes() -> None:
    sizes = {
        each.paper: {other.points for other in DOCUMENTS if other.paper == each.paper}
        for each in DOCUMENTS
    }
    assert sizes.keys() == {"a4", "letter", "a5", "slide", "roll"}
    assert set(range(9, 15)) <= sizes["a4"]
    assert max(sizes["a4"]) == 34


def test_tables_of_errors() -> None:
    from training.ordinary.read import Reading

    def result(kind: str, edits: int, density: float, ended: bool = True) -> Reading:
        return Reading(
            *("x", kind, "latex", "charter", 11, "base", density, 20.0, 14.0),
            *(100, edits, edits / 100, ended, 2.5, "text"),
        )

    results = [
        result("letter", 0, 2.5),
        result("letter", 4, 7.0),
        result("form", 50, 7.5, False),
    ]
    table = as_tables(results)
    assert "| all | 3 | 18.0% | 4.0% | 18.0% | 33.3% |" in table
    assert "| letter | 2 | 2.0% | 2.0% | 2.0% | 0.0% |" in table
    assert "| 3 | 1 | 0.0% | 0.0% | 0.0% | 0.0% |" in table
    assert as_json(results)[2]["error"] == 0.5
    assert plain("<table><tr><td>a</td><td>b c</td></tr></table>\n d") == "a b c d"
