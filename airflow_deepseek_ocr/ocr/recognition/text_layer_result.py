"""A page by its own text layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_deepseek_ocr.ocr.documents.text_layer import TextLayer
from airflow_deepseek_ocr.ocr.prompts import get_prompt
from airflow_deepseek_ocr.ocr.quality.checks import QualityInput, check_quality
from airflow_deepseek_ocr.ocr.quality.edge_density import EdgeDensity, measure_edge_density
from airflow_deepseek_ocr.ocr.quality.text_layer_checks import find_fault
from airflow_deepseek_ocr.ocr.recognition.retry_strategy import RetryStep, TextLayerUse
from airflow_deepseek_ocr.ocr.results import PageResult, PageStatus

if TYPE_CHECKING:
    from airflow_deepseek_ocr.ocr.documents.base import Page
from airflow_deepseek_ocr.ocr.recognition.candidate import Candidate
from airflow_deepseek_ocr.ocr.recognition.plan import Plan


def usable_text_layer(page: Page, plan: Plan, edge_density: EdgeDensity | None) -> TextLayer | None:
    """The page's own text, if it is sound and of use for the prompt."""
    layer = page.text_layer
    if (
        layer is None
        or plan.text_layer_use is TextLayerUse.OFF
        or not get_prompt(plan.prompt).whole_page
    ):
        return None
    fault = find_fault(layer, edge_density.text_edges if edge_density else None)
    return layer if fault is None else None


def text_layer_result(page: Page, plan: Plan) -> PageResult | None:
    """The page by its own text alone, if ``text_layer="first"`` and the text is good."""
    if plan.text_layer_use is not TextLayerUse.FIRST or page.text_layer is None:
        return None
    edge_density = measure_edge_density(page.image)
    layer = usable_text_layer(page, plan, edge_density)
    if layer is None:
        return None
    found = layer_candidate(RetryStep("text_layer", text_layer=True), layer, edge_density)
    if not plan.accepts(found.score):
        return None
    width, height = page.image.size
    return PageResult(
        number=page.number,
        status=PageStatus.TEXT_LAYER,
        resolution=found.resolution,
        width=width,
        height=height,
        text=found.text,
        markdown=found.markdown,
        regions=found.regions,
        score=found.score,
        flags=found.attempt().flags,
        attempts=(found.attempt(),),
    )


def layer_candidate(
    step: RetryStep, layer: TextLayer, edge_density: EdgeDensity | None
) -> Candidate:
    """Return the text layer as a candidate, with its score."""
    # Judged as text without markup; its places are the file's own.
    verdict = check_quality(QualityInput(text=layer.text, prompt="free", edge_density=edge_density))
    return Candidate(step, "", verdict, layer.text, layer.text.strip(), layer.regions)
