"""The retry options as users write them: retry steps, and the use of text layers.

The functions of this module raise for options that do not exist, so settings can be checked without an
engine.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from airflow_deepseek_ocr.exceptions import ConfigurationError, ErrorCode
from airflow_deepseek_ocr.ocr.decoding import NoRepeatNgram
from airflow_deepseek_ocr.ocr.families.registry import RESOLUTION_NAMES

#: The resolution option that starts with a cheap mode and takes a better one where necessary.
AUTO = "auto"

#: 20-grams as in ``run_dpsk_ocr_pdf.py`` of the published scripts, in a window of 200 tokens instead of 50:
#: the constraint ends loops of up to 180 tokens, which is several lines.
TIGHT_NO_REPEAT_NGRAM = NoRepeatNgram(20, 200)

#: The step that takes the page's embedded text.
TEXT_LAYER_STEP = "text_layer"
#: The step that finds out whether the page lies on its side or is upside down.
TURN_STEP = "turn"
DEFAULT_RETRY_WITH = "turn,no_repeat_ngram,base,text_layer"
#: The option for no retry step.
NONE = "none"

_SLICES = {"slices_2": 2, "slices_4": 4}
_NO_REPEAT_NGRAM = re.compile(r"no_repeat_ngram(?::(\d{1,4})/(\d{1,4}))?")


class TextLayerUse(StrEnum):
    """Use of a page's embedded text."""

    OFF = "off"  #: not used
    COMPARE = "compare"  #: a usable layer is compared with the model's output
    FIRST = "first"  #: a page with a usable layer is not recognised by the model


@dataclass(frozen=True)
class RetryStep:
    """A further attempt at a page.

    :param name: the step as the user writes it.
    :param resolution: the resolution mode; None for that of the attempt before.
    :param no_repeat_ngram: the no-repeat-n-gram constraint; None for the engine's default.
    :param slices: number of slices that the page is cut into.
    :param text_layer: take the page's embedded text instead of model output.
    :param turn: compare the page with its turns, and recognise it again turned if the model is surer so.
    """

    name: str
    resolution: str | None = None
    no_repeat_ngram: NoRepeatNgram | None = None
    slices: int = 1
    text_layer: bool = False
    turn: bool = False


def parse_retry_with(value: str | Sequence[str] | None) -> tuple[RetryStep, ...]:
    """Return the retry steps of ``value``, a list of names or a string of names separated by commas.

    The names are ``no_repeat_ngram`` (or ``no_repeat_ngram:N/W``: no N-gram twice in W tokens),
    ``slices_2``, ``slices_4``, ``text_layer``, ``turn`` and those of the resolution modes; ``none`` means no
    step.

    :raises ConfigurationError: ``retry_with`` for a step that does not exist, with the valid names;
        ``no_repeat_ngram`` for a constraint beyond the limits.
    """
    names = value.split(",") if isinstance(value, str) else list(value or ())
    if not all(isinstance(name, str) for name in names):
        raise _unknown_step(value)
    normalized = [name.strip().lower() for name in names]
    return tuple(_step(name) for name in normalized if name not in ("", NONE))


def retry_with_text(steps: Sequence[RetryStep]) -> str:
    """Return the steps' names separated by commas; empty without steps."""
    return ",".join(step.name for step in steps)


def parse_text_layer_use(value: str) -> TextLayerUse:
    """Return the use of text layers of that name.

    :raises ConfigurationError: ``text_layer``, with the valid names.
    """
    try:
        return TextLayerUse(value)
    except ValueError:
        raise ConfigurationError(
            ErrorCode.TEXT_LAYER, f"text_layer is {value!r}; use one of: {', '.join(TextLayerUse)}."
        ) from None


def _step(name: str) -> RetryStep:
    if name == TEXT_LAYER_STEP:
        return RetryStep(name, text_layer=True)
    if name == TURN_STEP:
        return RetryStep(name, turn=True)
    if name in _SLICES:
        return RetryStep(name, slices=_SLICES[name])
    if name in RESOLUTION_NAMES:
        return RetryStep(name, resolution=name)
    if match := _NO_REPEAT_NGRAM.fullmatch(name):
        no_repeat_ngram = (
            NoRepeatNgram(int(match[1]), int(match[2])) if match[1] else TIGHT_NO_REPEAT_NGRAM
        )
        return RetryStep(name, no_repeat_ngram=no_repeat_ngram)
    raise _unknown_step(name)


def _unknown_step(value: object) -> ConfigurationError:
    names = ", ".join([*_SLICES, *RESOLUTION_NAMES, TEXT_LAYER_STEP, TURN_STEP])
    return ConfigurationError(
        ErrorCode.RETRY_WITH,
        f"retry_with has {value!r}, which is not a retry step. Use no_repeat_ngram (or "
        f"no_repeat_ngram:20/200), {names} or none.",
    )
