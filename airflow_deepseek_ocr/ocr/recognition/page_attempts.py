"""The state of one page during recognition: past attempts, the attempt in progress, the image for more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from airflow_deepseek_ocr.ocr.engine_protocol import FinishReason, PageOutput
from airflow_deepseek_ocr.ocr.markup.grounding import parse
from airflow_deepseek_ocr.ocr.markup.markdown import to_markdown
from airflow_deepseek_ocr.ocr.prompts import get_prompt
from airflow_deepseek_ocr.ocr.quality.checks import QualityInput, check_quality
from airflow_deepseek_ocr.ocr.quality.text_layer_checks import measure_agreement, page_scripts
from airflow_deepseek_ocr.ocr.recognition.candidate import Candidate
from airflow_deepseek_ocr.ocr.recognition.layer_dispute import overrule_layer
from airflow_deepseek_ocr.ocr.recognition.page_result import PageSource, page_result
from airflow_deepseek_ocr.ocr.recognition.plan import RecognitionPlan
from airflow_deepseek_ocr.ocr.recognition.retry_plan import PlannedAttempt, RetryPlan
from airflow_deepseek_ocr.ocr.recognition.slicing import (
    PageSlice,
    can_be_cut,
    cut_slices,
    join_slices,
)
from airflow_deepseek_ocr.ocr.recognition.text_layer_result import (
    edge_density_of,
    text_layer_candidate,
    usable_text_layer,
)
from airflow_deepseek_ocr.ocr.results import PageResult

if TYPE_CHECKING:
    from collections.abc import Callable

    from PIL import Image

    from airflow_deepseek_ocr.ocr.decoding import NoRepeatNgram
    from airflow_deepseek_ocr.ocr.documents.base import Page


@dataclass(frozen=True, kw_only=True)
class PagePart:
    """A whole page or one of its slices, ready for the engine.

    :param image: the image of the part, RGB.
    :param resolution: a resolution mode's name.
    :param no_repeat_ngram: the no-repeat-n-gram constraint; None for the engine's default.
    """

    image: Image.Image
    resolution: str
    no_repeat_ngram: NoRepeatNgram | None = None


@dataclass
class _AttemptInProgress:
    """An attempt whose outputs are not all there.

    :param planned: the attempt.
    :param part_count: number of the page's slices; 1 if the page is recognised as a whole.
    :param slices: the slices, once the first of them is asked for.
    :param outputs: outputs so far, by the number of their part.
    """

    planned: PlannedAttempt
    part_count: int = 1
    slices: list[PageSlice] = field(default_factory=list)
    outputs: dict[int, PageOutput] = field(default_factory=dict)


class PageAttempts:
    """The attempts at one page.

    :meth:`first_part` gives the first part to recognise. Each output goes to :meth:`add_output`, which says
    how many parts :meth:`part` has next. Once :attr:`is_finished`, :meth:`result` has the best attempt.

    Not safe for several threads at once.

    :param page: the page. Its image is rendered again for further attempts, if the page can; otherwise it is
        kept if the plan may need it.
    :param plan: the settings of the run.
    """

    def __init__(self, page: Page, plan: RecognitionPlan) -> None:
        self._source, self._plan = PageSource.of(page), plan
        self.number, self._size = self._source.number, self._source.size
        self._prompt = get_prompt(plan.prompt)
        self._edge_density = edge_density_of(page) if self._prompt.whole_page else None
        self._layer = usable_text_layer(page, plan, self._edge_density)
        self._image = _image_source(page) if plan.may_retry else None
        self._retry_plan = RetryPlan(plan, self._size, has_text_layer=self._layer is not None)
        self._candidates: list[Candidate] = []
        self._current: _AttemptInProgress | None = _AttemptInProgress(self._retry_plan.first())

    @property
    def is_finished(self) -> bool:
        """Whether no attempt is in progress or planned."""
        return self._current is None

    def first_part(self, image: Image.Image) -> PagePart:
        """Return the part of the first attempt: the whole page.

        :param image: the page's image, which this object does not keep.
        """
        return PagePart(image=image, resolution=self._in_progress().planned.resolution)

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
        self._candidates.append(self._checked(current))
        if self._layer is not None:
            self._candidates = overrule_layer(self._candidates, self._retry_plan.modes)
        self._current = self._next_attempt()
        if self._current is None:
            self._image = None
            return 0
        return self._current.part_count

    def part(self, number: int) -> PagePart:
        """Return a part that :meth:`add_output` announced, from 0.

        :raises DocumentError, UnavailableError: the page cannot be rendered again; such an error is the
            output of the part.
        """
        current = self._in_progress()
        if current.part_count > 1 and not current.slices:
            current.slices = cut_slices(self._rendered(), current.part_count)
        return PagePart(
            image=current.slices[number].image if current.slices else self._rendered(),
            resolution=current.planned.resolution,
            no_repeat_ngram=current.planned.step.no_repeat_ngram,
        )

    def result(self) -> PageResult:
        """Return the page with its best attempt."""
        return page_result(self._source, self._plan, self._candidates)

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
            if can_be_cut(self._size, step.slices):
                return _AttemptInProgress(planned, step.slices)
        return None

    def _checked(self, attempt: _AttemptInProgress) -> Candidate:
        """Return the outcome of an attempt whose outputs are all there."""
        step, resolution = attempt.planned.step, attempt.planned.resolution
        outputs = [attempt.outputs[part] for part in sorted(attempt.outputs)]
        seconds = sum(output.seconds for output in outputs)
        error = next((each.error for each in outputs if each.error is not None), None)
        if error is not None:
            return Candidate(step=step, resolution=resolution, seconds=seconds, error=error)
        texts = [output.text for output in outputs]
        text = join_slices(texts, attempt.slices) if attempt.slices else texts[0]
        width, height = self._size
        in_ref = self._prompt.text_in_ref
        regions = parse(text, text_in_ref=in_ref, width=width, height=height)
        markdown = to_markdown(regions, text_in_ref=in_ref)
        agreement = measure_agreement(self._layer.text, markdown) if self._layer else None
        vision_tokens = sum(output.vision_tokens for output in outputs)
        text_tokens = sum(output.text_tokens for output in outputs)
        quality = check_quality(
            QualityInput(
                text=text,
                prompt=self._plan.prompt,
                finish_reason=_finish_reason(outputs),
                vision_tokens=vision_tokens,
                tokens_have_places=self._plan.family.tokens_have_places,
                text_tokens=text_tokens,
                edge_density=self._edge_density,
                scripts=page_scripts(self._layer) if self._layer else None,
                agreement=agreement,
                regions=regions,
            )
        )
        return Candidate(
            step=step,
            resolution=resolution,
            quality=quality,
            text=text,
            markdown=markdown,
            regions=regions,
            vision_tokens=vision_tokens,
            text_tokens=text_tokens,
            seconds=seconds,
            agreement=agreement,
        )

    def _rendered(self) -> Image.Image:
        if self._image is None:
            raise ValueError(f"the image of page {self.number} was not kept for another attempt")
        return self._image()


def _image_source(page: Page) -> Callable[[], Image.Image]:
    """Return a function that returns the page's image, and keeps it only if it cannot be rendered again."""
    if page.render_again is not None:
        return page.render_again
    image = page.image
    return lambda: image


def _finish_reason(outputs: Sequence[PageOutput]) -> FinishReason:
    """Return ``STOP`` if the model ended all parts with its end token."""
    stopped = all(output.finish_reason is FinishReason.STOP for output in outputs)
    return FinishReason.STOP if stopped else FinishReason.LENGTH
