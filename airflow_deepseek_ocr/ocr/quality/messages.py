"""Why a page failed: a code and a sentence that says what to do."""

from __future__ import annotations

from airflow_deepseek_ocr.exceptions import DeepSeekOCRError
from airflow_deepseek_ocr.ocr.quality.flags import Flag
from airflow_deepseek_ocr.ocr.quality.report import QualityReport

_ANOTHER_WAY = "Try another resolution, or more steps in retry_with; what it wrote is kept."

_REASONS: dict[Flag, str] = {
    Flag.NO_END_TOKEN: "The model reached the maximum output length without ending: it may have fallen "
    "into a repetition, or the page holds more text. Raise the maximum output length, or: ",
    Flag.LOOP: "The model wrote the same again and again. ",
    Flag.REPEATED_LINES: "Most lines of what the model wrote stood there before. ",
    Flag.REPEATED_WORDS: "What the model wrote consists of the same few words. ",
    Flag.BOX_OUTSIDE: "The model wrote boxes outside of the page. ",
    Flag.BOX_INVERTED: "The model wrote boxes whose corners are the wrong way round. ",
    Flag.BOXES_ALIKE: "The model put many regions into one place. ",
    Flag.BOX_CROWDED: "The model wrote more text into a box than could be seen there. ",
    Flag.TEXT_OFF_PRINT: "The model wrote text where there is no print on the page. ",
    Flag.TEXT_ON_BLANK: "The model wrote text, but the page is blank. ",
    Flag.NO_TEXT: "There is print on the page, but the model wrote no text. ",
    Flag.RAGGED_TABLE: "The rows of a table have different numbers of cells. ",
    Flag.BROKEN_TABLE: "A table is not whole. ",
    Flag.OPEN_MARKUP: "References, boxes or formulas are not closed. ",
    Flag.STRAY_MARKUP: "The model wrote references where the prompt asks for none. ",
    Flag.NO_CHARACTERS: "The model wrote characters that no page has. ",
    Flag.MIXED_SCRIPTS: "The model mixed scripts that do not stand together on a page. ",
    Flag.RATIO_KNEE: "The text is longer than the image's vision tokens can hold without loss. ",
    Flag.RATIO_CLIFF: "The text is much longer than the image's vision tokens can hold. ",
    Flag.LAYER_DISAGREES: "The page's own text layer says something else. ",
    Flag.ONLY_IN_LAYER: "Much of the page's own text layer is not in the reading. ",
    Flag.ONLY_IN_OUTPUT: "Much of the reading is not in the page's own text layer. ",
}


def reason_of(verdict: QualityReport, error: DeepSeekOCRError | None) -> tuple[str, str]:
    """(code, message) of a page that failed.

    :param verdict: of its best reading, which was refused.
    :param error: why there was no reading at all.
    """
    if error is not None:
        return error.code, str(error)
    worst = verdict.worst
    if worst is None:
        raise ValueError("a reading without flags is not refused")
    others = ", ".join(flag for flag in verdict.flags if flag is not worst)
    also = f" (Also: {others}.)" if others else ""
    return worst.value, f"{_REASONS[worst]}{_ANOTHER_WAY}{also}"
