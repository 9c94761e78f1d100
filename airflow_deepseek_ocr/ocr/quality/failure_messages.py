"""Error code and message of a page that failed."""

from __future__ import annotations

from airflow_deepseek_ocr.exceptions import DeepSeekOCRError
from airflow_deepseek_ocr.ocr.quality.flags import Flag
from airflow_deepseek_ocr.ocr.quality.report import QualityReport

_ADVICE = "Try another resolution or more steps in retry_with. The output is stored."

_MESSAGES: dict[Flag, str] = {
    Flag.NO_END_TOKEN: "The model reached the maximum output length: its output may repeat, or the page has "
    "more text. Raise the maximum output length, or: ",
    Flag.LOOP: "The model repeated the same text in a loop. ",
    Flag.REPEATED_LINES: "Most lines of the output repeat earlier lines. ",
    Flag.REPEATED_WORDS: "The output consists of the same few words. ",
    Flag.BOX_OUTSIDE: "The output has boxes outside of the page. ",
    Flag.BOX_INVERTED: "The output has boxes with swapped corners. ",
    Flag.BOXES_ALIKE: "The output has many regions in one place. ",
    Flag.BOX_CROWDED: "The output has a box with more text than the image could show there. ",
    Flag.TEXT_OFF_PRINT: "The output has text where the page image has none. ",
    Flag.TEXT_ON_BLANK: "The output has text, but the page is blank. ",
    Flag.NO_TEXT: "The page image has text, but the output has none. ",
    Flag.DARK_PAGE: "The page image is black, or its print is as dark as its paper. ",
    Flag.RAGGED_TABLE: "The rows of a table have different numbers of cells. ",
    Flag.BROKEN_TABLE: "A table is incomplete. ",
    Flag.OPEN_MARKUP: "References, boxes or formulas are not closed. ",
    Flag.STRAY_MARKUP: "The output has references, but the prompt asks for none. ",
    Flag.NO_CHARACTERS: "The output has characters that no page has. ",
    Flag.MIXED_SCRIPTS: "The output mixes scripts that do not occur together on a page. ",
    Flag.RATIO_KNEE: "The text is longer than the image's vision tokens hold without loss. ",
    Flag.RATIO_CLIFF: "The text is much longer than the image's vision tokens can hold. ",
    Flag.LAYER_DISAGREES: "The output differs from the page's text layer. ",
    Flag.ONLY_IN_LAYER: "The output lacks much of the page's text layer. ",
    Flag.ONLY_IN_OUTPUT: "The page's text layer lacks much of the output. ",
    Flag.LAYER_OVERRULED: "The page's text layer differs from outputs that agree with each other. ",
    Flag.LAYER_UNCONFIRMED: "No output confirms the page's text layer. ",
    Flag.LOW_CONFIDENCE: "The model was not sure of the text: it may be hallucinated. ",
    Flag.LOW_CONFIDENCE_REGION: "The model was not sure of the text of a region. ",
    Flag.UNCERTAIN_NUMBERS: "The model was not sure of a number, amount or date. ",
    Flag.DYNAMIC_FORM: "The page is the placeholder of a dynamic XFA form. ",
    Flag.UNREAD_ATTACHMENTS: "Files are attached that were not read. ",
}


def flags_in_words() -> dict[str, str]:
    """Return a sentence for each flag."""
    return {flag.value: f"{text.partition('. ')[0]}." for flag, text in _MESSAGES.items()}


def failure_of(quality: QualityReport, error: DeepSeekOCRError | None) -> tuple[str, str]:
    """Return (code, message) of a page that failed.

    :param quality: the report of its best attempt, which was rejected.
    :param error: why the attempt has no output; None if it has some.
    :raises ValueError: the report has no flag, so that there is no reason for a failure.
    """
    if error is not None:
        return error.code, str(error)
    worst = quality.worst_flag
    if worst is None:
        raise ValueError("output without flags is not rejected")
    others = ", ".join(flag for flag in quality.flags if flag is not worst)
    also = f" (Also: {others}.)" if others else ""
    return worst.value, f"{_MESSAGES[worst]}{_ADVICE}{also}"
