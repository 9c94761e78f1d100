"""Attempts at a page, and what came of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from airflow_deepseek_ocr.exceptions import DeepSeekOCRError
from airflow_deepseek_ocr.ocr.decoding import NoRepeatNgram
from airflow_deepseek_ocr.ocr.engine_protocol import FinishReason, PageOutput
from airflow_deepseek_ocr.ocr.quality.flags import Flag
from airflow_deepseek_ocr.ocr.quality.report import QualityReport
from airflow_deepseek_ocr.ocr.quality.text_layer_checks import Agreement
from airflow_deepseek_ocr.ocr.recognition.retry_strategy import RetryStep
from airflow_deepseek_ocr.ocr.recognition.slicing import Strip
from airflow_deepseek_ocr.ocr.results import Attempt, Region

if TYPE_CHECKING:
    from PIL import Image


RATIO = frozenset({Flag.RATIO_KNEE, Flag.RATIO_CLIFF})


@dataclass(frozen=True)
class Try:
    """A page, or a strip of it, to be read.

    :param part: its number among the parts of this attempt.
    :param resolution: a mode's name.
    :param guard: the no-repeat-n-gram constraint; None for the engine's.
    """

    part: int
    image: Image.Image
    resolution: str
    no_repeat_ngram: NoRepeatNgram | None = None


@dataclass(frozen=True)
class Candidate:
    """A reading that was judged."""

    step: RetryStep
    resolution: str
    verdict: QualityReport
    text: str = ""
    markdown: str = ""
    regions: tuple[Region, ...] = ()
    vision_tokens: int = 0
    text_tokens: int = 0
    seconds: float = 0.0
    agreement: Agreement | None = None
    error: DeepSeekOCRError | None = None

    @property
    def score(self) -> float:
        """Score of the output, 0 if there is none."""
        return 0.0 if self.error else self.verdict.score

    @property
    def beyond_knee(self) -> bool:
        """Whether the text is longer than the vision tokens can hold without loss."""
        return not RATIO.isdisjoint(self.verdict.flags)

    @property
    def merit(self) -> tuple[float, float, float]:
        """What the best reading has most of: score, agreement with the layer, vision tokens to a word."""
        agreement = self.agreement.unordered if self.agreement else 0.0
        return self.score, agreement, self.vision_tokens / max(1, self.text_tokens)

    def attempt(self) -> Attempt:
        """Return the row of this attempt."""
        return Attempt(
            how=self.step.name,
            resolution=self.resolution,
            score=self.score,
            flags=tuple(flag.value for flag in self.verdict.flags),
            vision_tokens=self.vision_tokens,
            text_tokens=self.text_tokens,
            seconds=self.seconds,
            error_code=self.error.code if self.error else None,
        )


@dataclass
class Underway:
    """The attempt that is being made."""

    step: RetryStep
    resolution: str
    strips: list[Strip] = field(default_factory=list)
    readings: dict[int, PageOutput] = field(default_factory=dict)


def finish_reason(readings: Sequence[PageOutput]) -> FinishReason:
    """Return ``STOP`` if all parts ended by themselves."""
    ended = all(reading.finish_reason is FinishReason.STOP for reading in readings)
    return FinishReason.STOP if ended else FinishReason.LENGTH
