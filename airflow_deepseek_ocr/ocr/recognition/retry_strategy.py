"""How a page is read again when its reading is refused: the steps, in the order in which they are tried."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from airflow_deepseek_ocr.exceptions import ConfigurationError
from airflow_deepseek_ocr.ocr.decoding import Guard
from airflow_deepseek_ocr.ocr.resolution import RESOLUTIONS

#: Resolution that begins with a cheap mode and takes a better one where it has to.
AUTO = "auto"
#: The modes it goes through: 111, 273, and 273 with 2 to 9 tiles of 100 to 110 vision tokens.
AUTO_MODES = ("small", "base", "gundam")

#: 20-grams as in ``run_dpsk_ocr_pdf.py`` of the published scripts, but in a window of 200 tokens instead
#: of 50: it ends loops of up to 180 tokens, which is several lines.
TIGHT_GUARD = Guard(20, 200)

DEFAULT_REREAD = "guard,base,text_layer"

_PARTS = {"halves": 2, "quarters": 4}
_GUARD = re.compile(r"guard(?::(\d{1,4})/(\d{1,4}))?")
NONE = "none"


class LayerUse(StrEnum):
    """What a page's own text is used for."""

    OFF = "off"  #: nothing
    COMPARE = "compare"  #: readings are compared with it where it is sound
    FIRST = "first"  #: pages whose layer is sound are not read by the model


@dataclass(frozen=True)
class Step:
    """A further reading of a page.

    :param name: as the user writes it.
    :param resolution: the mode; None for that of the reading before.
    :param guard: the guard against repetitions; None for the engine's.
    :param parts: strips that the page is cut into.
    :param text_layer: take the page's own text instead of a reading.
    """

    name: str
    resolution: str | None = None
    guard: Guard | None = None
    parts: int = 1
    text_layer: bool = False


def parse_ladder(value: str | Sequence[str] | None) -> tuple[Step, ...]:
    """The steps of ``value``: names in a list, or in a text with commas between them.

    ``guard`` (or ``guard:N/W``: no N-gram twice in W tokens), ``halves``, ``quarters``, ``text_layer``
    and the names of resolution modes; ``none`` or nothing for no step.

    :raises ConfigurationError: ``reread``, naming the steps there are.
    """
    names = value.split(",") if isinstance(value, str) else list(value or ())
    if not all(isinstance(name, str) for name in names):
        raise _unknown(value)
    stripped = [name.strip().lower() for name in names]
    return tuple(_step(name) for name in stripped if name not in ("", NONE))


def ladder_text(steps: Sequence[Step]) -> str:
    """The steps' names with commas between them; empty if there is none."""
    return ",".join(step.name for step in steps)


def parse_layer_use(value: str) -> LayerUse:
    """What the text layer is used for.

    :raises ConfigurationError: ``text_layer``, naming what there is.
    """
    try:
        return LayerUse(value)
    except ValueError:
        raise ConfigurationError(
            "text_layer", f"text_layer is {value!r}; use one of: {', '.join(LayerUse)}."
        ) from None


def _step(name: str) -> Step:
    if name == "text_layer":
        return Step(name, text_layer=True)
    if name in _PARTS:
        return Step(name, parts=_PARTS[name])
    if name in RESOLUTIONS:
        return Step(name, resolution=name)
    if match := _GUARD.fullmatch(name):
        guard = Guard(int(match[1]), int(match[2])) if match[1] else TIGHT_GUARD
        return Step(name, guard=guard)
    raise _unknown(name)


def _unknown(value: object) -> ConfigurationError:
    return ConfigurationError(
        "reread",
        f"reread has {value!r}, which is no way to read a page again. Use guard (guard:20/200), "
        f"{', '.join(_PARTS)}, {', '.join(RESOLUTIONS)}, text_layer or none.",
    )
