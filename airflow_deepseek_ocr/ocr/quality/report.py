"""Flags of a reading, the score out of them, and every threshold of the judge."""

from __future__ import annotations

from dataclasses import dataclass

from airflow_deepseek_ocr.ocr.quality.flags import WEIGHTS, Flag
from airflow_deepseek_ocr.ocr.quality.thresholds import DEFAULT_MIN_SCORE


@dataclass(frozen=True)
class QualityReport:
    """What was found.

    :param flags: in the order of :class:`Flag`.
    :param score: 0 (surely degenerate) to 1 (nothing found).
    """

    flags: tuple[Flag, ...] = ()
    score: float = 1.0

    @property
    def accepted(self) -> bool:
        """Whether the score is high enough for the reading to be kept without another try."""
        return self.score >= DEFAULT_MIN_SCORE

    @property
    def worst(self) -> Flag | None:
        """The flag that weighs most; the first of them."""
        return max(self.flags, key=lambda flag: WEIGHTS[flag], default=None)


def verdict(flags: set[Flag]) -> QualityReport:
    """The verdict of these flags."""
    score = 1.0
    ordered = tuple(flag for flag in Flag if flag in flags)
    for flag in ordered:
        score *= 1 - WEIGHTS[flag]
    # Never 0, which is for pages that were not read.
    return QualityReport(ordered, max(0.0001, round(score, 4)))
