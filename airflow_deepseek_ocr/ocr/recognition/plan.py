"""How a page is processed."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_deepseek_ocr.ocr.quality.thresholds import DEFAULT_MIN_SCORE
from airflow_deepseek_ocr.ocr.recognition.retry_strategy import (
    AUTO,
    AUTO_MODES,
    RetryStep,
    TextLayerUse,
)

if TYPE_CHECKING:
    pass


@dataclass(frozen=True)
class Plan:
    """How pages are read.

    :param prompt: a prompt's name.
    :param resolution: a mode's name, or ``auto``.
    :param steps: how a page is read again whose reading is refused.
    :param layer_use: what the page's own text is used for.
    :param min_score: the score from which on a reading is accepted.
    :param modes: the modes that the engine can read in; steps in others are left out.
    """

    prompt: str
    resolution: str
    steps: tuple[RetryStep, ...] = ()
    text_layer_use: TextLayerUse = TextLayerUse.COMPARE
    modes: Collection[str] = AUTO_MODES
    min_score: float = DEFAULT_MIN_SCORE

    def accepts(self, score: float) -> bool:
        """Whether a reading of that score is good enough; what was not read at all has none."""
        return score >= self.min_score and score > 0

    @property
    def auto_modes(self) -> tuple[str, ...]:
        """The modes that ``auto`` goes through here."""
        return tuple(mode for mode in AUTO_MODES if mode in self.modes) or tuple(self.modes)[:1]

    @property
    def reads_again(self) -> bool:
        """Whether a page may need its image a second time."""
        return bool(self.steps) or self.resolution == AUTO
