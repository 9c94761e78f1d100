"""The state of one page during recognition: past attempts, the attempt in progress, the image for more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from airflow_deepseek_ocr.ocr.edge_density import EdgeDensity, measure_edge_density
from airflow_deepseek_ocr.ocr.engine_protocol import FinishReason, PageOutput
from airflow_deepseek_ocr.ocr.line_direction import LineDirection
from airflow_deepseek_ocr.ocr.markup.markdown import to_markdown
from airflow_deepseek_ocr.ocr.page_pixels import decoded
from airflow_deepseek_ocr.ocr.page_turns import turn, turn_size
from airflow_deepseek_ocr.ocr.prompts import get_prompt
from airflow_deepseek_ocr.ocr.quality.checks import QualityInput, check_quality
from airflow_deepseek_ocr.ocr.quality.text_layer_checks import measure_agreement, page_scripts
from airflow_deepseek_ocr.ocr.recognition.candidate import Candidate
from airflow_deepseek_ocr.ocr.recognition.combined_output import combine_outputs
from airflow_deepseek_ocr.ocr.recognition.layer_dispute import overrule_layer
from airflow_deepseek_ocr.ocr.recognition.page_result import (
    PageSource,
    TurnComparison,
    page_result,
)
from airflow_deepseek_ocr.ocr.recognition.plan import RecognitionPlan
from airflow_deepseek_ocr.ocr.recognition.retry_plan import PlannedAttempt, RetryPlan
from airflow_deepseek_ocr.ocr.recognition.slicing import (
    PageSlice,
    can_be_cut,
    cut_slices,
)
from airflow_deepseek_ocr.ocr.recognition.text_layer_result import (
    edge_density_of,
    line_direction_of,
    text_layer_candidate,
    usable_text_layer,
)
from airflow_deepseek_ocr.ocr.recognition.turning import (
    PROBE_PROMPT,
    PROBE_TOKENS,
    probe_image,
    surest_turn,
)
from airflow_deepseek_ocr.ocr.results import Attempt, PageResult

if TYPE_CHECKING:
    from collections.abc import Callable

    from PIL import Image

    from airflow_deepseek_ocr.ocr.decoding import NoRepeatNgram
    from airflow_deepseek_ocr.ocr.documents.base import Page
    from airflow_deepseek_ocr.ocr.page_pixels import PageImage


@dataclass(frozen=True, kw_only=True)
class PagePart:
    """A whole page or one of its slices, ready for the engine.

    :param image: the image of the part: RGB, or one channel without color.
    :param prompt: a prompt's name.
    :param resolution: a resolution mode's name.
    :param max_output_length: largest number of tokens; None for the engine's limit.
    :param no_repeat_ngram: the no-repeat-n-gram constraint; None for the engine's default.
    """

    image: PageImage
    prompt: str
    resolution: str
    max_output_length: int | None = None
    no_repeat_ngram: NoRepeatNgram | None = None


@dataclass
class _AttemptInProgress:
    """An attempt whose outputs are not all there.

    :param planned: the attempt.
    :param part_count: number of the page's slices, or of its turns to compare; 1 if the page is recognised as
        a whole.
    :param slices: the slices, once the first of them is asked for.
    :param turned: the turned parts of the page to compare, once the first of them is asked for.
    :param edge_density: the measure of the turned page, once it is asked for; None if it is not turned.
    :param outputs: outputs so far, by the number of their part.
    """

    planned: PlannedAttempt
    part_count: int = 1
    slices: list[PageSlice] = field(default_factory=list)
    turned: list[Image.Image] = field(default_factory=list)
    edge_density: EdgeDensity | None = None
    outputs: dict[int, PageOutput] = field(default_factory=dict)


class PageAttempts:
    """The attempts at one page.

    :meth:`part` has the first :attr:`part_count` parts to recognise. Each output goes to :meth:`add_output`,
    which says how many parts are next. Once :attr:`is_finished`, :meth:`result` has the best attempt.

    Not safe for several threads at once.

    :param page: the page. Its image is rendered again for further attempts, if the page can; otherwise it is
        kept if the plan may need it.
    :param plan: the settings of the run.
    """

    def __init__(self, page: Page, plan: RecognitionPlan) -> None:
        self._source, self._plan = PageSource.of(page), plan
        self.number, self._size = self._source.number, self._source.size
        self._prompt = get_prompt(plan.prompt)
        self._edge_density = edge_density_of(page) if plan.measures_edges else None
        self._layer = usable_text_layer(page, plan, self._edge_density)
        self._image = image_source(page) if plan.may_retry else None
        self._retry_plan = RetryPlan(
            plan,
            self._size,
            has_text_layer=self._layer is not None,
            print_height=self._edge_density.print_height if self._edge_density else None,
            line_direction=line_direction_of(page) if plan.may_turn else LineDirection.ACROSS,
        )
        self._candidates: list[Candidate] = []
        self._has_probabilities = False
        self._comparison: TurnComparison | None = None
        first = self._retry_plan.first()
        self._current: _AttemptInProgress | None = _AttemptInProgress(first, len(first.probes) or 1)

    @property
    def is_finished(self) -> bool:
        """Whether no attempt is in progress or planned."""
        return self._current is None

    @property
    def part_count(self) -> int:
        """Number of parts of the attempt in progress."""
        return self._in_progress().part_count

    def add_output(self, part: int, output: PageOutput) -> int:
        """Add the output of a part; the last part of an attempt completes it and starts the next one.

        :param part: the number of the part, from 0.
        :param output: the engine's output for it.
        :return: how many parts to recognise next, to be had from :meth:`part`.
        """
        current = self._in_progress()
        current.outputs[part] = output
        if len(current.outputs) < current.part_count:
            return 0
        if current.planned.probes:
            self._compare_turns(current)
        else:
            self._candidates.append(self._checked(current))
            if self._layer is not None:
                self._candidates = overrule_layer(self._candidates, self._retry_plan.modes)
        self._current = self._next_attempt()
        if self._current is None:
            self._image = None
            return 0
        return self._current.part_count

    def part(self, number: int, image: PageImage | None = None) -> PagePart:
        """Return a part of the attempt in progress.

        :param number: its number, from 0.
        :param image: the page's image, if the caller has it; this object does not keep it.
        :raises DocumentError, UnavailableError: the page cannot be rendered again; such an error is the
            output of the part.
        """
        current = self._in_progress()
        planned = current.planned
        return PagePart(
            image=self._part_image(current, number, image),
            prompt=PROBE_PROMPT if planned.probes else self._plan.prompt,
            resolution=planned.resolution,
            max_output_length=PROBE_TOKENS if planned.probes else None,
            no_repeat_ngram=planned.step.no_repeat_ngram,
        )

    def result(self) -> PageResult:
        """Return the page with its best attempt."""
        return page_result(self._source, self._plan, self._candidates, self._comparison)

    def _in_progress(self) -> _AttemptInProgress:
        if self._current is None:
            raise ValueError(f"page {self.number} is finished")
        return self._current

    def _next_attempt(self) -> _AttemptInProgress | None:
        while (planned := self._retry_plan.next(self._candidates)) is not None:
            step = planned.step
            if step.text_layer and self._layer is not None:
                disputed = any(each.rejected_by_layer_alone for each in self._candidates)
                self._candidates.append(
                    text_layer_candidate(
                        step, self._layer, self._edge_density, is_disputed=disputed
                    )
                )
                continue
            if planned.probes:
                if self._has_probabilities:
                    return _AttemptInProgress(planned, len(planned.probes))
                continue
            if can_be_cut(turn_size(self._size, planned.rotation), step.slices):
                return _AttemptInProgress(planned, step.slices)
        return None

    def _compare_turns(self, attempt: _AttemptInProgress) -> None:
        """Turn the page for the attempts that follow if the model is surer of it then."""
        planned = attempt.planned
        outputs = {planned.probes[part]: output for part, output in attempt.outputs.items()}
        rotation = surest_turn(outputs)
        self._comparison = TurnComparison(
            position=len(self._candidates),
            attempt=Attempt(
                how=planned.step.name,
                resolution=planned.resolution,
                rotation=rotation,
                score=0.0,
                vision_tokens=sum(output.vision_tokens for output in outputs.values()),
                text_tokens=sum(output.text_tokens for output in outputs.values()),
                seconds=sum(output.seconds for output in outputs.values()),
            ),
        )
        self._retry_plan.turn(rotation)

    def _checked(self, attempt: _AttemptInProgress) -> Candidate:
        """Return the outcome of an attempt whose outputs are all there."""
        step, resolution = attempt.planned.step, attempt.planned.resolution
        rotation = attempt.planned.rotation
        outputs = [attempt.outputs[part] for part in sorted(attempt.outputs)]
        seconds = sum(output.seconds for output in outputs)
        error = next((each.error for each in outputs if each.error is not None), None)
        if error is not None:
            return Candidate(
                step=step, resolution=resolution, rotation=rotation, seconds=seconds, error=error
            )
        self._has_probabilities = all(each.token_probabilities is not None for each in outputs)
        combined = combine_outputs(
            outputs,
            attempt.slices,
            text_in_ref=self._prompt.text_in_ref,
            size=self._size,
            rotation=rotation,
        )
        markdown = to_markdown(combined.regions, text_in_ref=self._prompt.text_in_ref)
        agreement = measure_agreement(self._layer.text, markdown) if self._layer else None
        checked = QualityInput(
            text=combined.text_read,
            prompt=self._plan.prompt,
            finish_reason=_finish_reason(outputs),
            vision_tokens=sum(output.vision_tokens for output in outputs),
            tokens_have_places=self._plan.family.tokens_have_places,
            text_tokens=sum(output.text_tokens for output in outputs),
            edge_density=attempt.edge_density if rotation else self._edge_density,
            scripts=page_scripts(self._layer) if self._layer else None,
            agreement=agreement,
            regions=combined.regions_read,
            confidence=combined.confidence,
        )
        return Candidate(
            step=step,
            resolution=resolution,
            rotation=rotation,
            quality=check_quality(checked),
            text=combined.text,
            markdown=markdown,
            regions=combined.regions,
            vision_tokens=checked.vision_tokens,
            text_tokens=checked.text_tokens,
            seconds=seconds,
            agreement=agreement,
            confidence=combined.confidence,
        )

    def _part_image(
        self, attempt: _AttemptInProgress, number: int, image: PageImage | None
    ) -> PageImage:
        """Return the image of a part; those of several parts are made together, and kept."""
        planned = attempt.planned
        if attempt.turned:
            return attempt.turned[number]
        if attempt.slices:
            return attempt.slices[number].image
        if image is not None and not (planned.probes or planned.rotation or attempt.part_count > 1):
            # The engine takes it as it came from the rendering process.
            return image
        page = self._rendered() if image is None else decoded(image)
        if planned.probes:
            probed = probe_image(page)
            attempt.turned = [turn(probed, rotation) for rotation in planned.probes]
            return attempt.turned[number]
        if planned.rotation:
            page = turn(page, planned.rotation)
            attempt.edge_density = measure_edge_density(page)
        if attempt.part_count > 1:
            attempt.slices = cut_slices(page, attempt.part_count)
            return attempt.slices[number].image
        return page

    def _rendered(self) -> Image.Image:
        if self._image is None:
            raise ValueError(f"the image of page {self.number} was not kept for another attempt")
        return self._image()


def image_source(page: Page) -> Callable[[], Image.Image]:
    """Return a function that returns the page's image, and keeps it only if it cannot be rendered again."""
    if page.render_again is not None:
        return page.render_again
    pixels = page.pixels
    return lambda: decoded(pixels)


def _finish_reason(outputs: Sequence[PageOutput]) -> FinishReason:
    """Return ``STOP`` if the model ended all parts with its end token."""
    stopped = all(output.finish_reason is FinishReason.STOP for output in outputs)
    return FinishReason.STOP if stopped else FinishReason.LENGTH
