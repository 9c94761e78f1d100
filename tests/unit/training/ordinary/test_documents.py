"""The ordinary documents: always the same, of several kinds, and nothing of them is trained on."""

from __future__ import annotations

import pytest

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
    assert {each.points for each in DOCUMENTS} == set(range(9, 15))
    assert len({each.kind for each in DOCUMENTS}) == 8
    assert {each.program for each in DOCUMENTS} == FAMILIES.keys()
    assert {each.paper for each in DOCUMENTS} == {"a4", "letter"}
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


def test_the_mode_is_chosen_by_the_print() -> None:
    a4 = (595.3, 841.9)
    assert pixels_of_print(11, a4, "small") == pytest.approx(8.4, abs=0.1)
    assert pixels_of_print(11, a4, "base") == pytest.approx(13.4, abs=0.1)
    assert pixels_of_print(11, a4, "gundam") == pytest.approx(23.7, abs=0.1)
    assert {chosen_mode(each) for each in DOCUMENTS} == {"gundam"}
    card = (200.0, 300.0)
    assert pixels_of_print(14, card, "small") > 18.5


def test_tables_of_errors() -> None:
    from training.ordinary.read import Reading

    def result(kind: str, edits: int, density: float, ended: bool = True) -> Reading:
        return Reading(
            *("x", kind, "latex", "charter", 11, "base", density, 20.0),
            *(100, edits, edits / 100, ended, "text"),
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
