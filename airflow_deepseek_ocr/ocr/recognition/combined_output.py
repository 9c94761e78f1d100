"""The outputs of a page's parts as one: text, regions and confidence of the page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from airflow_deepseek_ocr.ocr.confidence.page_confidence import PageConfidence, measure_confidence
from airflow_deepseek_ocr.ocr.confidence.text_tokens import TextTokens, join_tokens, tokens_of
from airflow_deepseek_ocr.ocr.engine_protocol import PageOutput
from airflow_deepseek_ocr.ocr.markup.box_rewriting import EditedText
from airflow_deepseek_ocr.ocr.markup.grounding import PlacedRegion, parse_with_places
from airflow_deepseek_ocr.ocr.page_turns import turn_size
from airflow_deepseek_ocr.ocr.recognition.slicing import SEPARATOR, PageSlice, join_slices
from airflow_deepseek_ocr.ocr.recognition.turning import turn_boxes_back
from airflow_deepseek_ocr.ocr.results import Region


@dataclass(frozen=True)
class CombinedOutput:
    """The output for a whole page.

    :param text: the output with its markup; boxes are on the page.
    :param regions: its regions in reading order, with their confidence if that is known.
    :param text_read: the output with its boxes on the page as the model saw it; for a turned page, another
        text than ``text``.
    :param regions_read: the regions of ``text_read``.
    :param confidence: the confidence of its words; None if the engine returns no probabilities.
    """

    text: str
    regions: tuple[Region, ...]
    text_read: str
    regions_read: tuple[Region, ...]
    confidence: PageConfidence | None = None


def combine_outputs(
    outputs: Sequence[PageOutput],
    slices: Sequence[PageSlice],
    *,
    text_in_ref: bool,
    size: tuple[int, int],
    rotation: int = 0,
) -> CombinedOutput:
    """Return the output for a page of those for its parts.

    :param outputs: the outputs, none with an error; one for each slice, or one for the whole page.
    :param slices: the page's slices; none if it was recognised as a whole.
    :param text_in_ref: see :attr:`~airflow_deepseek_ocr.ocr.prompts.Prompt.text_in_ref`.
    :param size: width and height of the page image in pixels, as it is.
    :param rotation: degrees by which the page was turned clockwise.
    """

    def placed_in(text: str, size: tuple[int, int]) -> tuple[PlacedRegion, ...]:
        return parse_with_places(text, text_in_ref=text_in_ref, width=size[0], height=size[1])

    texts = [output.text for output in outputs]
    read = join_slices(texts, slices) if slices else EditedText(texts[0])
    turned = turn_boxes_back(read.text, rotation)
    placed_read = placed_in(read.text, turn_size(size, rotation))
    placed = placed_in(turned.text, size) if rotation else placed_read
    combined = CombinedOutput(
        turned.text, _regions(placed), text_read=read.text, regions_read=_regions(placed_read)
    )
    tokens = _tokens(outputs)
    if tokens is None:
        return combined
    tokens = tokens.edited(read.edits).edited(turned.edits)
    confidence = measure_confidence(placed, tokens)
    return replace(combined, regions=confidence.regions, confidence=confidence)


def _regions(placed: Sequence[PlacedRegion]) -> tuple[Region, ...]:
    return tuple(each.region for each in placed)


def _tokens(outputs: Sequence[PageOutput]) -> TextTokens | None:
    """Return the tokens of all outputs; None if those of one are missing."""
    found = [tokens_of(output.text, output.token_probabilities) for output in outputs]
    known = [tokens for tokens in found if tokens is not None]
    return join_tokens(known, SEPARATOR) if len(known) == len(found) else None
