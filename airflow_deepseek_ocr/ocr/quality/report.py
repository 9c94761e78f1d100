"""The report of the quality checks: flags and score."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from airflow_deepseek_ocr.ocr.quality.flags import WEIGHTS, Flag

#: The lowest score of output; 0 is for pages without output.
_MIN_SCORE = 0.0001


@dataclass(frozen=True)
class QualityReport:
    """The report of the quality checks.

    :param flags: in the order of :class:`~airflow_deepseek_ocr.ocr.quality.flags.Flag`.
    :param score: 0 (degenerate beyond doubt) to 1 (no flag).
    """

    flags: tuple[Flag, ...] = ()
    score: float = 1.0

    @property
    def worst_flag(self) -> Flag | None:
        """The heaviest flag, the first of equals; None without flags."""
        return max(self.flags, key=lambda flag: WEIGHTS[flag], default=None)


def report_of(flags: Collection[Flag]) -> QualityReport:
    """Return the report of these flags; the score is the product of (1 - weight) over them."""
    ordered = tuple(flag for flag in Flag if flag in flags)
    score = 1.0
    for flag in ordered:
        score *= 1 - WEIGHTS[flag]
    return QualityReport(ordered, max(_MIN_SCORE, round(score, 4)))
