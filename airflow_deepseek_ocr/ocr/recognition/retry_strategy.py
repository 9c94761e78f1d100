"""How a page is read again when its reading is refused: the steps, in the order in which they are tried."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from airflow_deepseek_ocr.exceptions import ConfigurationError, ErrorCode
from airflow_deepseek_ocr.ocr.decoding import NoRepeatNgram
from airflow_deepseek_ocr.ocr.resolution import RESOLUTIONS

#: Resolution that begins with a cheap mode and takes a better one where it has to.
AUTO = "auto"
#: The modes it goes through: 111, 273, and 273 with 2 to 9 tiles of 100 to 110 vision tokens.
AUTO_MODES = ("small", "base", "gundam")

#: 20-grams as in ``run_dpsk_ocr_pdf.py`` of the published scripts, but in a window of 200 tokens instead
#: of 50: it ends loops of up to 180 tokens, which is several lines.
TIGHT_NO_REPEAT_NGRAM = NoRepeatNgram(20, 200)

DEFAULT_RETRY_WITH = "no_repeat_ngram,base,text_layer"

_PARTS = {"slices_2": 2, "slices_4": 4}
_NO_REPEAT_NGRAM = re.compile(r"no_repeat_ngram(?::(\d{1,4})/(\d{1,4}))?")
NONE = "none"


class TextLayerUse(StrEnum):
    """What a page's own text is used for."""

    OFF = "off"  #: nothing
    COMPARE = "compare"  #: readings are compared with it where it is sound
    FIRST = "first"  #: pages whose layer is sound are not read by the model


@dataclass(frozen=True)
class RetryStep:
    """A further reading of a page.

    :param name: as the user writes it.
    :param resolution: the mode; None for that of the reading before.
    :param guard: the no-repeat-n-gram constraint; None for the engine's.
    :param parts: strips that the page is cut into.
    :param text_layer: take the page's own text instead of a reading.
    """

    name: str
    resolution: str | None = None
    no_repeat_ngram: NoRepeatNgram | None = None
    parts: int = 1
    text_layer: bool = False


def parse_retry_with(value: str | Sequence[str] | None) -> tuple[RetryStep, ...]:
    """The steps of ``value``: names in a list, or in a text with commas between them.

    The names are ``no_repeat_ngram`` (or ``no_repeat_ngram:N/W``: no N-gram twice in W tokens),
    ``slices_2``, ``slices_4``, ``text_layer`` and those of the resolution modes; ``none`` stands for no step.

    :raises ConfigurationError: ``reread``, naming the steps there are.
    """
    names = value.split(",") if isinstance(value, str) else list(value or ())
    if not all(isinstance(name, str) for name in names):
        raise _unknown(value)
    stripped = [name.strip().lower() for name in names]
    return tuple(_step(name) for name in stripped if name not in ("", NONE))


def retry_with_text(steps: Sequence[RetryStep]) -> str:
    """The steps' names with commas between them; empty if there is none."""
    return ",".join(step.name for step in steps)


def parse_text_layer_use(value: str) -> TextLayerUse:
    """What the text layer is used for.

    :raises ConfigurationError: ``text_layer``, naming what there is.
    """
    try:
        return TextLayerUse(value)
    except ValueError:
        raise ConfigurationError(
            ErrorCode.TEXT_LAYER, f"text_layer is {value!r}; use one of: {', '.join(TextLayerUse)}."
        ) from None


def _step(name: str) -> RetryStep:
    if name == "text_layer":
        return RetryStep(name, text_layer=True)
    if name in _PARTS:
        return RetryStep(name, parts=_PARTS[name])
    if name in RESOLUTIONS:
        return RetryStep(name, resolution=name)
    if match := _NO_REPEAT_NGRAM.fullmatch(name):
        no_repeat_ngram = (
            NoRepeatNgram(int(match[1]), int(match[2])) if match[1] else TIGHT_NO_REPEAT_NGRAM
        )
        return RetryStep(name, no_repeat_ngram=no_repeat_ngram)
    raise _unknown(name)


def _unknown(value: object) -> ConfigurationError:
    return ConfigurationError(
        ErrorCode.RETRY_WITH,
        f"retry_with names {value!r}, which is no retry step. Use no_repeat_ngram (or "
        f"no_repeat_ngram:20/200), {', '.join(_PARTS)}, {', '.join(RESOLUTIONS)}, text_layer or none.",
    )
