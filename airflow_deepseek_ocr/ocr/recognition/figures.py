"""Description of pictures: each is cut out of its page and recognised once more, in the same stream."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from airflow_deepseek_ocr.exceptions import DeepSeekOCRError
from airflow_deepseek_ocr.ocr.engine_protocol import PageOutput
from airflow_deepseek_ocr.ocr.page_turns import turn
from airflow_deepseek_ocr.ocr.quality.checks import QualityInput, check_quality
from airflow_deepseek_ocr.ocr.recognition.page_attempts import (
    PageAttempts,
    PagePart,
    image_source,
)
from airflow_deepseek_ocr.ocr.results import (
    FIGURES,
    PICTURE_LABELS,
    Attempt,
    PageResult,
    PageStatus,
    Region,
)

if TYPE_CHECKING:
    from PIL import Image

    from airflow_deepseek_ocr.ocr.documents.base import Page
    from airflow_deepseek_ocr.ocr.page_pixels import PageImage
    from airflow_deepseek_ocr.ocr.recognition.plan import RecognitionPlan

#: The prompt with which the model was trained to read charts, formulas and drawings (README of the published
#: scripts).
FIGURE_PROMPT = "figure"
#: Largest number of tokens of a description: a full page of text, or a chart of some 100 rows.
_MOST_TOKENS = 2_048
#: Pictures of a page that are described, in reading order, and the smallest side of one in pixels of the page
#: image: smaller ones are bullets, rules and icons.
MOST_FIGURES, SMALLEST_SIDE = 20, 32

_Corners = tuple[int, int, int, int]


class DescribedPage:
    """The attempts at a page, and then the pictures in its result, if the plan asks for these.

    It has the methods of :class:`~airflow_deepseek_ocr.ocr.recognition.page_attempts.PageAttempts`.

    :param page: the page.
    :param plan: the settings of the run.
    """

    def __init__(self, page: Page, plan: RecognitionPlan) -> None:
        self._plan = plan
        self._image = image_source(page) if plan.describes_figures else None
        self._attempts = PageAttempts(page, plan)
        self._figures: _Figures | None = None

    @property
    def is_finished(self) -> bool:
        """Whether nothing is left to recognise."""
        return self._attempts.is_finished and (self._figures is None or self._figures.is_finished)

    @property
    def part_count(self) -> int:
        """Number of parts of the first attempt."""
        return self._attempts.part_count

    def add_output(self, part: int, output: PageOutput) -> int:
        """Add the output of a part.

        :param part: the number of the part, from 0.
        :param output: the engine's output for it.
        :return: how many parts to recognise next, to be had from :meth:`part`.
        """
        if self._figures is not None:
            self._figures.add_output(part, output)
            return 0
        following = self._attempts.add_output(part, output)
        if not self._attempts.is_finished or self._image is None:
            return following
        result = self._attempts.result()
        figures = [
            (position, box)
            for position, region in enumerate(result.regions)
            if (box := _picture_box(region)) is not None
        ][:MOST_FIGURES]
        # The text of a failed page is not to be relied on, and neither are its boxes.
        if not figures or result.status is PageStatus.FAILED:
            return 0
        self._figures = _Figures(result, figures, self._image, self._plan)
        return len(figures)

    def part(self, number: int, image: PageImage | None = None) -> PagePart:
        """Return a part of the attempt in progress, or a picture.

        :param number: its number, from 0.
        :param image: the page's image, if the caller has it; this object does not keep it.
        :raises DocumentError, UnavailableError: the page cannot be rendered again.
        """
        if self._figures is not None:
            return self._figures.part(number)
        return self._attempts.part(number, image)

    def result(self) -> PageResult:
        """Return the page with its best attempt, and the descriptions of its pictures."""
        return self._attempts.result() if self._figures is None else self._figures.result()


class _Figures:
    """The pictures of a page whose text is recognised."""

    def __init__(
        self,
        page: PageResult,
        figures: list[tuple[int, _Corners]],
        image: Callable[[], Image.Image],
        plan: RecognitionPlan,
    ) -> None:
        self._page, self._figures, self._image, self._plan = page, figures, image, plan
        self._crops: list[Image.Image] = []
        self._error: DeepSeekOCRError | None = None
        self._outputs: dict[int, PageOutput] = {}

    @property
    def is_finished(self) -> bool:
        return len(self._outputs) == len(self._figures)

    def add_output(self, part: int, output: PageOutput) -> None:
        self._outputs[part] = output

    def part(self, number: int) -> PagePart:
        # One picture for all: if the page cannot be rendered again, no part reaches the engine.
        if self._error is not None:
            raise self._error
        if not self._crops:
            try:
                page = self._image()
            except DeepSeekOCRError as error:
                self._error = error
                raise
            self._crops = [turn(page.crop(box), self._page.rotation) for _, box in self._figures]
        return PagePart(
            image=self._crops[number],
            prompt=FIGURE_PROMPT,
            resolution=self._plan.first_mode,
            max_output_length=_MOST_TOKENS,
        )

    def result(self) -> PageResult:
        """Return the page with the descriptions that pass the quality checks."""
        outputs = [self._outputs[number] for number in range(len(self._figures))]
        regions = list(self._page.regions)
        scores = []
        for (position, _), output in zip(self._figures, outputs, strict=True):
            score = self._score(output)
            scores.append(score)
            if output.text.strip() and self._plan.accepts(score):
                regions[position] = replace(regions[position], description=output.text.strip())
        seconds = sum(output.seconds for output in outputs)
        errors = [output.error.code for output in outputs if output.error is not None]
        attempt = Attempt(
            how=FIGURES,
            resolution=self._plan.first_mode,
            score=sum(scores) / len(scores),
            vision_tokens=sum(output.vision_tokens for output in outputs),
            text_tokens=sum(output.text_tokens for output in outputs),
            seconds=seconds,
            error_code=errors[0] if errors else None,
        )
        return replace(
            self._page,
            regions=tuple(regions),
            seconds=self._page.seconds + seconds,
            attempts=(*self._page.attempts, attempt),
        )

    def _score(self, output: PageOutput) -> float:
        if output.error is not None:
            return 0.0
        return check_quality(
            QualityInput(
                text=output.text,
                prompt=FIGURE_PROMPT,
                finish_reason=output.finish_reason,
                vision_tokens=output.vision_tokens,
                tokens_have_places=self._plan.family.tokens_have_places,
                text_tokens=output.text_tokens,
            )
        ).score


def _picture_box(region: Region) -> _Corners | None:
    """Return the corners that enclose a picture; None for other regions, and for small pictures."""
    if region.label not in PICTURE_LABELS or not region.boxes:
        return None
    boxes = [box.pixels for box in region.boxes]
    # The model may swap corners.
    xs = [x for box in boxes for x in (box[0], box[2])]
    ys = [y for box in boxes for y in (box[1], box[3])]
    corners = min(xs), min(ys), max(xs), max(ys)
    width, height = corners[2] - corners[0], corners[3] - corners[1]
    return corners if min(width, height) >= SMALLEST_SIDE else None
