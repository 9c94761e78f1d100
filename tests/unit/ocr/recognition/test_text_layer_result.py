"""Results that rest on embedded text."""

from __future__ import annotations

from dataclasses import replace

import pytest

from airflow_deepseek_ocr.ocr.documents.base import Page
from airflow_deepseek_ocr.ocr.documents.text_layer import TextLayer
from airflow_deepseek_ocr.ocr.edge_density import EdgeDensity
from airflow_deepseek_ocr.ocr.recognition.plan import RecognitionPlan
from airflow_deepseek_ocr.ocr.recognition.retry_strategy import TextLayerUse
from airflow_deepseek_ocr.ocr.recognition.text_layer_result import (
    text_layer_result,
    usable_text_layer,
)
from airflow_deepseek_ocr.ocr.results import PageStatus
from tests.support.fakes.scripted_engine import GOOD, LAYER, LOOP, sheet

FIRST = RecognitionPlan(prompt="free", resolution="auto", text_layer_use=TextLayerUse.FIRST)
PAGE = Page(1, sheet(), LAYER)


def test_a_usable_layer_is_the_result() -> None:
    page = text_layer_result(PAGE, FIRST)
    assert page is not None
    assert (page.status, page.text, page.markdown) == (PageStatus.TEXT_LAYER, GOOD, GOOD)
    assert page.regions == LAYER.regions
    assert (page.width, page.height, page.resolution) == (700, 900, "")
    assert [each.how for each in page.attempts] == ["text_layer"]
    assert page.vision_tokens_saved is None


@pytest.mark.parametrize("use", [TextLayerUse.COMPARE, TextLayerUse.OFF])
def test_only_first_takes_it_without_the_model(use: TextLayerUse) -> None:
    assert text_layer_result(PAGE, replace(FIRST, text_layer_use=use)) is None


@pytest.mark.parametrize(
    "layer",
    [None, TextLayer(""), TextLayer(GOOD, invisible=1.0), TextLayer(LOOP)],
    ids=["none", "empty", "invisible", "rejected by the checks"],
)
def test_the_model_recognises_pages_without_a_good_layer(layer: TextLayer | None) -> None:
    assert text_layer_result(Page(1, sheet(), layer), FIRST) is None


def test_a_layer_is_of_no_use_for_prompts_about_a_part_of_the_page() -> None:
    assert usable_text_layer(PAGE, FIRST, None) is LAYER
    assert usable_text_layer(PAGE, replace(FIRST, prompt="describe"), None) is None
    assert usable_text_layer(PAGE, replace(FIRST, text_layer_use=TextLayerUse.OFF), None) is None


def test_a_layer_that_is_too_short_for_the_image_is_not_usable() -> None:
    full = EdgeDensity(text_edges=200_000, edges=200_000)
    assert usable_text_layer(PAGE, FIRST, full) is None
