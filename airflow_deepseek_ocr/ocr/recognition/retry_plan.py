"""The next attempt at a page: a better mode for ``auto``, then the configured retry steps."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from airflow_deepseek_ocr.exceptions import ErrorCode
from airflow_deepseek_ocr.ocr.line_direction import LineDirection
from airflow_deepseek_ocr.ocr.page_turns import turn_size
from airflow_deepseek_ocr.ocr.quality.flags import CONFIDENCE_FLAGS, Flag
from airflow_deepseek_ocr.ocr.quality.thresholds import THRESHOLDS
from airflow_deepseek_ocr.ocr.recognition.candidate import Candidate
from airflow_deepseek_ocr.ocr.recognition.layer_dispute import mode_of_second_opinion
from airflow_deepseek_ocr.ocr.recognition.plan import RecognitionPlan
from airflow_deepseek_ocr.ocr.recognition.retry_strategy import AUTO, RetryStep
from airflow_deepseek_ocr.ocr.recognition.turning import turns_to_probe

#: Errors after which another attempt may help. Other errors have causes outside of the page (no server, a
#: wrong setting, cancellation), so the page is left for a retry of the task.
_RETRIED_ERRORS = frozenset({ErrorCode.OUT_OF_MEMORY, ErrorCode.ENGINE_ERROR})


@dataclass(frozen=True)
class PlannedAttempt:
    """An attempt to make.

    :param step: the step that it carries out.
    :param resolution: the resolution mode; empty for the text layer.
    :param rotation: degrees by which the page is turned clockwise.
    :param probes: turns of the page to compare; empty for an attempt that recognises the page.
    """

    step: RetryStep
    resolution: str
    rotation: int = 0
    probes: tuple[int, ...] = ()


class RetryPlan:
    """The remaining attempts at one page.

    :param plan: the settings of the run.
    :param page_size: width and height of the page image in pixels.
    :param has_text_layer: whether the page has a usable text layer; without one its step is skipped.
    :param print_height: height of the page's print in pixels of its image; None if it is not known.
    :param line_direction: the direction of the page's lines of text. With lines from top to bottom, the page
        is compared with its turns before it is recognised at all.
    """

    def __init__(
        self,
        plan: RecognitionPlan,
        page_size: tuple[int, int],
        *,
        has_text_layer: bool,
        print_height: float | None = None,
        line_direction: LineDirection = LineDirection.ACROSS,
    ) -> None:
        self._plan, self._page_size = plan, page_size
        self._line_direction = line_direction
        # A page on its side has no measure, and the turned page is not measured.
        lies = line_direction is LineDirection.DOWN
        self._first_mode = plan.mode_for_print(page_size, None if lies else print_height)
        self._rotation = 0
        self._must_begin = False
        self._steps = deque(
            step
            for step in plan.steps
            if (step.resolution is None or step.resolution in plan.supported_modes)
            and (has_text_layer or not step.text_layer)
            and (plan.may_turn or not step.turn)
        )

    @property
    def modes(self) -> tuple[str, ...]:
        """The modes in which further attempts can be made, cheapest first."""
        return self._plan.auto_modes

    def first(self) -> PlannedAttempt:
        """Return the first attempt."""
        turn = next((step for step in self._steps if step.turn), None)
        if turn is None or self._line_direction is not LineDirection.DOWN:
            return self._attempt_in(self._first_mode)
        self._must_begin = True
        return self._probing(turn)

    def turn(self, rotation: int) -> None:
        """Turn the page for the attempts that follow; the first of them is in the mode that was asked for.

        :param rotation: degrees clockwise, of the page as it is.
        """
        self._must_begin |= rotation != self._rotation
        self._rotation = rotation

    def next(self, candidates: Sequence[Candidate]) -> PlannedAttempt | None:
        """Return the next attempt; None if an attempt was accepted or nothing is left to try.

        :param candidates: the outcomes of all attempts so far, at least one unless the turns of the page were
            compared before.
        """
        if self._must_begin:
            self._must_begin = False
            return self._attempt_in(self._first_mode)
        last = candidates[-1]
        if last.error is not None and last.error.code not in _RETRIED_ERRORS:
            return None
        if not self._plan.accepts(last.score) or last.exceeds_knee:
            better = self._better_mode(last)
            if better is not None:
                return self._attempt_in(better)
        if any(self._plan.accepts(each.score) for each in candidates):
            return self._doubted_turn(candidates) or self._second_opinion(candidates)
        while self._steps:
            step = self._steps.popleft()
            if step.turn:
                # Without output there is nothing that a turn could explain.
                if all(each.error is not None for each in candidates):
                    continue
                return self._probing(step)
            if step.text_layer:
                second = mode_of_second_opinion(candidates, self.modes)
                if second is None:
                    return PlannedAttempt(step, "")
                self._steps.appendleft(step)
                return self._attempt_in(second)
            planned = PlannedAttempt(
                step, step.resolution or _last_mode(candidates), self._rotation
            )
            if not _changes_nothing(step, last) and not _was_tried(planned, candidates):
                return planned
        return None

    def _doubted_turn(self, candidates: Sequence[Candidate]) -> PlannedAttempt | None:
        """Return the comparison of turns for a page that was accepted without much confidence, if one is due.

        Such a page has too few characters for the flag ``low_confidence``.
        """
        step = next((step for step in self._steps if step.turn), None)
        only, agreement = candidates[0], candidates[0].agreement
        if step is None or len(candidates) > 1 or only.mean_confidence is None:
            return None
        confirmed = agreement is not None and agreement.unordered >= THRESHOLDS.outputs_agree
        if confirmed or only.mean_confidence >= THRESHOLDS.page_confidence:
            return None
        return self._probing(step)

    def _second_opinion(self, candidates: Sequence[Candidate]) -> PlannedAttempt | None:
        """Return one attempt in another mode at a page that was accepted with a doubt; None if none is due.

        Only modes among the user's steps are taken. The surer of both outputs is kept.
        """
        if len(candidates) > 1 or CONFIDENCE_FLAGS.isdisjoint(candidates[0].quality.flags):
            return None
        for step in self._steps:
            planned = PlannedAttempt(step, step.resolution or "", self._rotation)
            if step.resolution and not _was_tried(planned, candidates):
                return planned
        return None

    def _attempt_in(self, mode: str) -> PlannedAttempt:
        return PlannedAttempt(RetryStep(mode, resolution=mode), mode, self._rotation)

    def _probing(self, step: RetryStep) -> PlannedAttempt:
        """Return the comparison of the page's turns, in the cheapest mode; it is made once."""
        self._steps = deque(each for each in self._steps if not each.turn)
        turns = turns_to_probe(self._line_direction)
        return PlannedAttempt(step, self.modes[0], probes=turns)

    def _better_mode(self, last: Candidate) -> str | None:
        """Return the cheapest mode of ``auto`` with room for the text, or the next one."""
        modes = self._plan.auto_modes
        if self._plan.resolution != AUTO or last.step.name not in modes:
            return None
        above = modes[modes.index(last.resolution) + 1 :]
        if not above:
            return None
        if not last.exceeds_knee or Flag.NO_END_TOKEN in last.quality.flags:
            return above[0]
        size = turn_size(self._page_size, last.rotation)
        for mode in map(self._plan.family.resolution, above):
            room = THRESHOLDS.ratio_knee * mode.vision_tokens(mode.grid(*size))
            if last.text_tokens <= room:
                return mode.name
        return above[-1]


def _changes_nothing(step: RetryStep, last: Candidate) -> bool:
    """Return whether the step would bring the same output: a constraint on a text that repeats nothing."""
    return (
        step.no_repeat_ngram is not None
        and last.error is None
        and bool(last.quality.flags)
        and CONFIDENCE_FLAGS.issuperset(last.quality.flags)
    )


def _last_mode(candidates: Sequence[Candidate]) -> str:
    return [each.resolution for each in candidates if each.resolution][-1]


def _was_tried(planned: PlannedAttempt, candidates: Sequence[Candidate]) -> bool:
    def ways(each: PlannedAttempt | Candidate) -> tuple[object, ...]:
        return each.resolution, each.rotation, each.step.no_repeat_ngram, each.step.slices

    return any(ways(each) == ways(planned) for each in candidates)
