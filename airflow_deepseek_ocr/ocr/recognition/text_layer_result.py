"""A page by its own text layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_deepseek_ocr.ocr.documents.text_layer import TextLayer
from airflow_deepseek_ocr.ocr.prompts import get_prompt
from airflow_deepseek_ocr.ocr.quality.checks import Evidence, judge
from airflow_deepseek_ocr.ocr.quality.edge_density import Ink, measure_ink
from airflow_deepseek_ocr.ocr.recognition.retry_strategy import LayerUse, Step
from airflow_deepseek_ocr.ocr.results import PageResult, PageStatus

if TYPE_CHECKING:
    from airflow_deepseek_ocr.ocr.documents.base import Page
from airflow_deepseek_ocr.ocr.recognition.candidate import Candidate
from airflow_deepseek_ocr.ocr.recognition.plan import Plan


def sound_layer(page: Page, plan: Plan, ink: Ink | None) -> TextLayer | None:
    """The page's own text, if it is sound and of use for the prompt."""
    layer = page.text_layer
    if layer is None or plan.layer_use is LayerUse.OFF or not get_prompt(plan.prompt).whole_page:
        return None
    return layer if layer.fault(ink.strokes if ink else None) is None else None


def from_layer(page: Page, plan: Plan) -> PageResult | None:
    """The page by its own text alone, if ``text_layer="first"`` and the text is good."""
    if plan.layer_use is not LayerUse.FIRST or page.text_layer is None:
        return None
    ink = measure_ink(page.image)
    layer = sound_layer(page, plan, ink)
    if layer is None:
        return None
    found = layer_candidate(Step("text_layer", text_layer=True), layer, ink)
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


def layer_candidate(step: Step, layer: TextLayer, ink: Ink | None) -> Candidate:
    """Return the text layer as a candidate, with its score."""
    # Judged as text without markup; its places are the file's own.
    verdict = judge(Evidence(layer.text, "free", ink=ink))
    return Candidate(step, "", verdict, layer.text, layer.text.strip(), layer.regions)
