"""The result of a page, out of the attempts at it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import TYPE_CHECKING

from airflow_deepseek_ocr.exceptions import DeepSeekOCRError, UnavailableError
from airflow_deepseek_ocr.ocr.page_turns import turn_size
from airflow_deepseek_ocr.ocr.quality.confidence_checks import uncertain_words
from airflow_deepseek_ocr.ocr.quality.failure_messages import failure_of
from airflow_deepseek_ocr.ocr.quality.flags import Flag
from airflow_deepseek_ocr.ocr.quality.report import report_of
from airflow_deepseek_ocr.ocr.recognition.attempt_differences import differing_words
from airflow_deepseek_ocr.ocr.recognition.candidate import Candidate
from airflow_deepseek_ocr.ocr.recognition.plan import RecognitionPlan
from airflow_deepseek_ocr.ocr.recognition.retry_strategy import AUTO
from airflow_deepseek_ocr.ocr.results import Attempt, PageResult, PageStatus, UncertainWord

if TYPE_CHECKING:
    from airflow_deepseek_ocr.ocr.documents.base import Page


@dataclass(frozen=True)
class PageSource:
    """A page without its image.

    :param number: from 1.
    :param size: width and height of the page image in pixels.
    :param flags: flags of content that the page does not show.
    :param attachments: names of attached files.
    """

    number: int
    size: tuple[int, int]
    flags: tuple[Flag, ...] = ()
    attachments: tuple[str, ...] = ()

    @classmethod
    def of(cls, page: Page) -> PageSource:
        """Return the source of a page."""
        flags = (
            (Flag.DYNAMIC_FORM, page.dynamic_form),
            (Flag.UNREAD_ATTACHMENTS, page.attachments.are_documents),
        )
        return cls(
            page.number,
            page.pixels.size,
            tuple(flag for flag, holds in flags if holds),
            page.attachments.names,
        )


@dataclass(frozen=True, kw_only=True)
class TurnComparison:
    """A comparison of the page's turns.

    :param position: number of attempts before it.
    :param attempt: what it cost; its rotation is the turn that it found.
    """

    position: int
    attempt: Attempt


def page_result(
    source: PageSource,
    plan: RecognitionPlan,
    candidates: Sequence[Candidate],
    comparison: TurnComparison | None = None,
) -> PageResult:
    """Return the page with the best of its candidates.

    Flags of the page's source lower the score, but reject no output: another attempt would have them too.

    :param source: the page without its image.
    :param plan: the settings of the run.
    :param candidates: the outcomes of all attempts, at least one.
    :param comparison: the comparison of the page's turns, if there was one.
    """
    best = max(candidates, key=lambda each: each.rank)
    accepted = plan.accepts(best.score)
    code, message = (None, None) if accepted else failure_of(best.quality, best.error)
    attempts = [each.to_attempt(with_text=each is not best) for each in candidates]
    if comparison is not None:
        attempts.insert(comparison.position, comparison.attempt)
    quality = report_of({*best.quality.flags, *source.flags})
    size = source.size
    return PageResult(
        number=source.number,
        status=_status(best, plan, candidates),
        resolution=best.resolution,
        width=size[0],
        height=size[1],
        text=best.text,
        markdown=best.markdown,
        regions=best.regions,
        vision_tokens=best.vision_tokens,
        text_tokens=best.text_tokens,
        rotation=best.rotation,
        seconds=sum(each.seconds for each in attempts),
        score=quality.score if best.score else best.score,
        flags=tuple(flag.value for flag in quality.flags),
        attachments=source.attachments,
        agreement=best.agreement.unordered if best.agreement else None,
        agreement_ordered=best.agreement.ordered if best.agreement else None,
        confidence=best.mean_confidence,
        uncertain_words=_uncertain_words(best, candidates),
        attempts=tuple(attempts),
        vision_tokens_saved=_vision_tokens_saved(turn_size(size, best.rotation), plan, attempts),
        error_code=code,
        error=message,
        retryable=isinstance(best.error, UnavailableError),
    )


def _uncertain_words(best: Candidate, candidates: Sequence[Candidate]) -> tuple[UncertainWord, ...]:
    if best.confidence is None:
        return ()
    return uncertain_words(best.confidence.words, differing_words(best, candidates))


def failed_page(number: int, resolution: str, error: DeepSeekOCRError) -> PageResult:
    """Return the result of a page that never reached the engine.

    :param number: the page's number, from 1.
    :param resolution: the configured resolution mode, or ``auto``.
    :param error: why the page has no image.
    """
    return PageResult(
        number=number,
        status=PageStatus.FAILED,
        resolution=resolution,
        error_code=error.code,
        error=str(error),
        retryable=isinstance(error, UnavailableError),
    )


def _status(best: Candidate, plan: RecognitionPlan, candidates: Sequence[Candidate]) -> PageStatus:
    if not plan.accepts(best.score):
        return PageStatus.FAILED
    if best.step.text_layer:
        return PageStatus.TEXT_LAYER
    # Auto mode takes a better mode for a longer text by design, so that is no recovery.
    # An attempt after the best one was a second opinion at an accepted page.
    earlier = takewhile(lambda each: each is not best, candidates)
    rejected = any(
        not plan.accepts(each.score) and not each.failed_by_ratio_alone for each in earlier
    )
    return PageStatus.RECOVERED if rejected else PageStatus.OK


def _vision_tokens_saved(
    size: tuple[int, int], plan: RecognitionPlan, attempts: Sequence[Attempt]
) -> int | None:
    """Return the vision tokens of the best mode less those of all attempts; None where no mode was chosen."""
    if plan.resolution != AUTO or not any(each.resolution for each in attempts):
        return None
    mode = plan.family.resolution(plan.auto_modes[-1])
    return mode.vision_tokens(mode.grid(*size)) - sum(each.vision_tokens for each in attempts)
