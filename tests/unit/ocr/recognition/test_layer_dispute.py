"""Text layers that lie, and models that invent text: which of the two is stored."""

from __future__ import annotations

import pytest

from airflow_deepseek_ocr.ocr.documents.base import Page
from airflow_deepseek_ocr.ocr.documents.text_layer import TextLayer
from airflow_deepseek_ocr.ocr.results import PageStatus
from tests.corpus.model_outputs.languages import SENTENCES
from tests.support.fakes.scripted_engine import GOOD, LOOP, ScriptedEngine, read, sheet

#: The page's text under a wrong character map, with spaces that stay.
LIE = TextLayer(GOOD.translate({ord("a") + n: ord("a") + (n * 7 + 3) % 26 for n in range(26)}))
OTHER = {"small": "german", "base": "russian", "gundam": "greek"}


@pytest.mark.parametrize("resolution", ["small", "base", "gundam"])
def test_outputs_that_agree_in_two_modes_overrule_the_layer(resolution: str) -> None:
    engine = ScriptedEngine(lambda _: GOOD)
    (page,) = read(engine, Page(1, sheet(), LIE), resolution=resolution)
    assert (page.status, page.text, page.flags) == (PageStatus.OK, GOOD, ("layer_overruled",))
    assert len({mode for mode, _ in engine.order}) == 2
    assert page.agreement is not None
    assert page.agreement < 0.5


def test_a_better_mode_confirms_first() -> None:
    engine = ScriptedEngine(lambda _: GOOD)
    read(engine, Page(1, sheet(), LIE), resolution="base", steps="text_layer")
    assert engine.order == [("base", ""), ("gundam", "")]


def test_outputs_of_the_only_mode_overrule_the_layer() -> None:
    engine = ScriptedEngine(lambda _: GOOD, modes=["small"])
    (page,) = read(engine, Page(1, sheet(), LIE))
    assert (page.status, page.text) == (PageStatus.OK, GOOD)


def test_a_text_that_another_mode_does_not_confirm_loses_and_is_kept() -> None:
    layer = TextLayer(GOOD)
    engine = ScriptedEngine(lambda request: " ".join(SENTENCES[OTHER[request.resolution]]))
    (page,) = read(engine, Page(1, sheet(), layer), resolution="base")
    assert (page.status, page.markdown) == (PageStatus.TEXT_LAYER, GOOD)
    assert (page.flags, page.score) == (("layer_unconfirmed",), 0.8)
    assert [each.how for each in page.attempts] == [
        "base",
        "no_repeat_ngram",
        "gundam",
        "text_layer",
    ]
    assert [each.text for each in page.attempts] == [
        " ".join(SENTENCES["russian"]),
        " ".join(SENTENCES["russian"]),
        " ".join(SENTENCES["greek"]),
        None,
    ]


def test_a_mode_that_agrees_with_the_layer_is_taken() -> None:
    german = " ".join(SENTENCES["german"])
    engine = ScriptedEngine(lambda request: GOOD if request.resolution == "gundam" else german)
    (page,) = read(engine, Page(1, sheet(), TextLayer(GOOD)), resolution="base")
    assert (page.status, page.text, page.flags) == (PageStatus.RECOVERED, GOOD, ())


def test_the_same_loop_in_all_modes_overrules_nothing() -> None:
    engine = ScriptedEngine(lambda _: LOOP)
    (page,) = read(engine, Page(1, sheet(), LIE))
    assert page.status is PageStatus.TEXT_LAYER
    assert page.flags == ()


def test_a_right_text_in_a_script_that_the_layer_lacks() -> None:
    russian = "\n".join(SENTENCES["russian"][:8])
    engine = ScriptedEngine(lambda _: russian)
    (page,) = read(engine, Page(1, sheet(), LIE))
    assert (page.status, page.text) == (PageStatus.OK, russian)
