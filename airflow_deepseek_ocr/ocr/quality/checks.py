"""Quality checks of model output: flags for signs of degenerate output, and one score.

The checks do not know the page's text. Fluent hallucinated text is detected by the model's own confidence, by
a usable text layer, or where its boxes lie on parts of the image without text; otherwise it looks like any
other text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from airflow_deepseek_ocr.ocr.confidence.page_confidence import PageConfidence
from airflow_deepseek_ocr.ocr.edge_density import EdgeDensity
from airflow_deepseek_ocr.ocr.engine_protocol import FinishReason
from airflow_deepseek_ocr.ocr.markup.grounding import parse
from airflow_deepseek_ocr.ocr.markup.html_tables import html_tables
from airflow_deepseek_ocr.ocr.prompts import get_prompt
from airflow_deepseek_ocr.ocr.quality.confidence_checks import check_confidence
from airflow_deepseek_ocr.ocr.quality.flags import Flag
from airflow_deepseek_ocr.ocr.quality.image_checks import (
    check_boxes,
    check_text_amount,
    check_text_positions,
)
from airflow_deepseek_ocr.ocr.quality.report import QualityReport, report_of
from airflow_deepseek_ocr.ocr.quality.text_checks import (
    check_characters,
    check_markup,
    check_repetition,
    check_tables,
)
from airflow_deepseek_ocr.ocr.quality.text_layer_checks import Agreement, check_agreement
from airflow_deepseek_ocr.ocr.quality.thresholds import THRESHOLDS, Thresholds
from airflow_deepseek_ocr.ocr.results import Region


@dataclass(frozen=True, kw_only=True)
class QualityInput:
    """Model output, and the facts about its page that the checks use.

    :param text: the output with its markup.
    :param prompt: the prompt's name.
    :param finish_reason: why the model stopped; None if that is unknown.
    :param vision_tokens: tokens of the image; 0 if unknown.
    :param tokens_have_places: whether each vision token represents a square of the page; otherwise no box has
        a number of tokens, and crowded boxes are not detected.
    :param text_tokens: generated tokens.
    :param edge_density: the measure of the page's image; None if it was not measured.
    :param scripts: scripts of the page, such as ``LATIN``, from a usable text layer; None without one.
    :param agreement: agreement with the text layer; None without a usable one.
    :param confidence: confidence of the output's words; None if the engine returns no probabilities.
    :param regions: the output's regions if the caller has them; None to have the output parsed.
    """

    text: str
    prompt: str
    finish_reason: FinishReason | None = FinishReason.STOP
    vision_tokens: int = 0
    tokens_have_places: bool = True
    text_tokens: int = 0
    edge_density: EdgeDensity | None = None
    scripts: frozenset[str] | None = None
    agreement: Agreement | None = None
    confidence: PageConfidence | None = field(default=None, repr=False)
    regions: Sequence[Region] | None = field(default=None, repr=False)


def check_quality(output: QualityInput, thresholds: Thresholds = THRESHOLDS) -> QualityReport:
    """Return flags and score of model output; no text makes the checks raise.

    :param output: the output and the facts about its page.
    :param thresholds: the values from which the flags are raised.
    :raises ConfigurationError: ``unknown_prompt``.
    """
    prompt = get_prompt(output.prompt)
    regions = output.regions
    if regions is None:
        regions = parse(output.text, text_in_ref=prompt.text_in_ref, width=1, height=1)
    body = "\n".join(region.text for region in regions)
    tables = html_tables(body)
    flags = {
        *_check_end(output.finish_reason),
        *_check_ratio(output, thresholds),
        *check_repetition(tables.outside, thresholds),
        *check_tables(tables, thresholds),
        *check_markup(output.text, body, regions, grounded=prompt.grounded),
        *check_characters(body, output.scripts, thresholds),
        *check_boxes(regions, output.vision_tokens if output.tokens_have_places else 0, thresholds),
        *check_agreement(output.agreement, thresholds),
    }
    if prompt.whole_page and output.edge_density is not None:
        flags |= check_text_amount(body, regions, output.edge_density, thresholds)
        flags |= check_text_positions(regions, output.edge_density, thresholds)
    # A description of a picture has many right words.
    if prompt.whole_page:
        flags |= check_confidence(output.confidence, output.agreement, thresholds)
    return report_of(flags)


def _check_end(finish_reason: FinishReason | None) -> set[Flag]:
    return {Flag.NO_END_TOKEN} if finish_reason is FinishReason.LENGTH else set()


def _check_ratio(output: QualityInput, thresholds: Thresholds) -> set[Flag]:
    if not output.vision_tokens:
        return set()
    ratio = output.text_tokens / output.vision_tokens
    if ratio > thresholds.ratio_cliff:
        return {Flag.RATIO_CLIFF}
    return {Flag.RATIO_KNEE} if ratio > thresholds.ratio_knee else set()
