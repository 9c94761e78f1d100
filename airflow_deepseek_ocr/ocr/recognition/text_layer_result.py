"""Results that rest on a page's embedded text instead of model output."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_deepseek_ocr.ocr.edge_density import EdgeDensity, measure_edge_density
from airflow_deepseek_ocr.ocr.line_direction import LineDirection, find_line_direction
from airflow_deepseek_ocr.ocr.prompts import get_prompt
from airflow_deepseek_ocr.ocr.quality.checks import QualityInput, check_quality
from airflow_deepseek_ocr.ocr.quality.flags import Flag
from airflow_deepseek_ocr.ocr.quality.report import report_of
from airflow_deepseek_ocr.ocr.quality.text_layer_checks import find_fault
from airflow_deepseek_ocr.ocr.recognition.candidate import Candidate
from airflow_deepseek_ocr.ocr.recognition.page_result import PageSource, page_result
from airflow_deepseek_ocr.ocr.recognition.plan import RecognitionPlan
from airflow_deepseek_ocr.ocr.recognition.retry_strategy import (
    TEXT_LAYER_STEP,
    RetryStep,
    TextLayerUse,
)
from airflow_deepseek_ocr.ocr.results import PageResult

if TYPE_CHECKING:
    from airflow_deepseek_ocr.ocr.documents.base import Page
    from airflow_deepseek_ocr.ocr.documents.text_layer import TextLayer


def edge_density_of(page: Page) -> EdgeDensity | None:
    """Return the measure of a page's image, which most pages bring along; None for small images."""
    return page.edge_density or measure_edge_density(page.image)


def line_direction_of(page: Page) -> LineDirection:
    """Return the direction of a page's lines of text, which most pages bring along."""
    return page.line_direction or find_line_direction(page.image)


def usable_text_layer(
    page: Page, plan: RecognitionPlan, edge_density: EdgeDensity | None
) -> TextLayer | None:
    """Return the page's embedded text if it is usable and the prompt asks for the whole page's text.

    :param page: the page.
    :param plan: the settings of the run.
    :param edge_density: the measure of the page's image; None if it was not measured.
    """
    layer = page.text_layer
    if (
        layer is None
        or plan.text_layer_use is TextLayerUse.OFF
        or not get_prompt(plan.prompt).whole_page
    ):
        return None
    fault = find_fault(layer, edge_density.text_edges if edge_density else None)
    return layer if fault is None else None


def text_layer_result(page: Page, plan: RecognitionPlan) -> PageResult | None:
    """Return the page with its embedded text if ``text_layer="first"`` and the text is accepted.

    :param page: the page.
    :param plan: the settings of the run.
    """
    if plan.text_layer_use is not TextLayerUse.FIRST or page.text_layer is None:
        return None
    edge_density = edge_density_of(page)
    layer = usable_text_layer(page, plan, edge_density)
    if layer is None:
        return None
    step = RetryStep(TEXT_LAYER_STEP, text_layer=True)
    candidate = text_layer_candidate(step, layer, edge_density)
    if not plan.accepts(candidate.score):
        return None
    return page_result(PageSource.of(page), plan, [candidate])


def text_layer_candidate(
    step: RetryStep,
    layer: TextLayer,
    edge_density: EdgeDensity | None,
    *,
    is_disputed: bool = False,
) -> Candidate:
    """Return the embedded text as the outcome of an attempt.

    :param step: the step that takes the embedded text.
    :param layer: the usable text layer.
    :param edge_density: the measure of the page's image; None if it was not measured.
    :param is_disputed: whether output without other faults disagrees with the layer.
    """
    # The checks see text without markup: the positions come from the file, not from the model.
    quality = check_quality(QualityInput(text=layer.text, prompt="free", edge_density=edge_density))
    if is_disputed:
        quality = report_of({*quality.flags, Flag.LAYER_UNCONFIRMED})
    return Candidate(
        step=step,
        resolution="",
        quality=quality,
        text=layer.text,
        markdown=layer.text.strip(),
        regions=layer.regions,
    )
