"""The outcome of one attempt at a page."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from airflow_deepseek_ocr.exceptions import DeepSeekOCRError
from airflow_deepseek_ocr.ocr.confidence.page_confidence import PageConfidence
from airflow_deepseek_ocr.ocr.quality.flags import LAYER_FLAGS, LIGHT_CONFIDENCE_FLAGS, Flag
from airflow_deepseek_ocr.ocr.quality.report import QualityReport, report_of
from airflow_deepseek_ocr.ocr.quality.text_layer_checks import Agreement
from airflow_deepseek_ocr.ocr.recognition.retry_strategy import RetryStep
from airflow_deepseek_ocr.ocr.results import Attempt, Region

#: Scripts are foreign to a page by what its layer has: a wrong layer makes a right script foreign.
_LAYER_SCRIPTS = frozenset({Flag.MIXED_SCRIPTS})
_RATIO_FLAGS = frozenset({Flag.RATIO_KNEE, Flag.RATIO_CLIFF})


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """The outcome of one attempt at a page: checked output, or an error.

    :param step: the step that made the attempt; the first attempt is a step with its mode's name.
    :param resolution: the resolution mode; empty for the text layer.
    :param rotation: degrees by which the page was turned clockwise.
    :param quality: the report of the quality checks; without flags if there is no output.
    :param text: the output with its markup.
    :param markdown: the output as Markdown.
    :param regions: the output's regions in reading order.
    :param vision_tokens: tokens of the image, all slices together.
    :param text_tokens: generated tokens, all slices together.
    :param seconds: the attempt's share of the model's time.
    :param agreement: agreement with the text layer; None without a usable one.
    :param confidence: the confidence of its words; None if the engine returns no probabilities.
    :param error: why the attempt has no output.
    """

    step: RetryStep
    resolution: str
    rotation: int = 0
    quality: QualityReport = field(default_factory=QualityReport)
    text: str = ""
    markdown: str = ""
    regions: tuple[Region, ...] = ()
    vision_tokens: int = 0
    text_tokens: int = 0
    seconds: float = 0.0
    agreement: Agreement | None = None
    confidence: PageConfidence | None = None
    error: DeepSeekOCRError | None = None

    @property
    def score(self) -> float:
        """The output's score; 0 without output."""
        return 0.0 if self.error else self.quality.score

    @property
    def exceeds_knee(self) -> bool:
        """Whether the text is longer than the vision tokens hold without loss."""
        return not _RATIO_FLAGS.isdisjoint(self.quality.flags)

    @property
    def failed_by_ratio_alone(self) -> bool:
        """Whether the attempt has output, and no flag but those of the text's length."""
        return self.error is None and _RATIO_FLAGS.issuperset(self.quality.flags)

    @property
    def rank(self) -> tuple[float, float, float, float]:
        """Sort key of the best candidate.

        Score, agreement with the layer, confidence, vision tokens to a text token.
        """
        agreement = self.agreement.unordered if self.agreement else 0.0
        confidence = self.mean_confidence or 0.0
        return self.score, agreement, confidence, self.vision_tokens / max(1, self.text_tokens)

    @property
    def mean_confidence(self) -> float | None:
        """Mean confidence of its words; None if it is not known."""
        return self.confidence.value if self.confidence else None

    @property
    def rejected_by_layer_alone(self) -> bool:
        """Whether the text layer has another text, and the output has no other fault."""
        return (
            self.error is None
            and not self.step.text_layer
            and Flag.LAYER_DISAGREES in self.quality.flags
            and (
                LAYER_FLAGS | _LAYER_SCRIPTS | {Flag.RATIO_KNEE} | LIGHT_CONFIDENCE_FLAGS
            ).issuperset(self.quality.flags)
        )

    def overruling_layer(self) -> Candidate:
        """Return the same output as checked without the text layer, with a flag for the layer."""
        flags = set(self.quality.flags) - LAYER_FLAGS - _LAYER_SCRIPTS
        return replace(self, quality=report_of(flags | {Flag.LAYER_OVERRULED}))

    def to_attempt(self, *, with_text: bool = True) -> Attempt:
        """Return the attempt as the page's row stores it.

        :param with_text: whether to keep the output, which the page does not have.
        """
        return Attempt(
            how=self.step.name,
            resolution=self.resolution,
            rotation=self.rotation,
            score=self.score,
            flags=tuple(flag.value for flag in self.quality.flags),
            vision_tokens=self.vision_tokens,
            text_tokens=self.text_tokens,
            seconds=self.seconds,
            error_code=self.error.code if self.error else None,
            confidence=self.mean_confidence,
            text=self.text if with_text else None,
        )
