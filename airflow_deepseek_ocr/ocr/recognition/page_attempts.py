"""One page on its way: its readings one after the other, judged, until one is accepted or none is left."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from airflow_deepseek_ocr.exceptions import UnavailableError
from airflow_deepseek_ocr.ocr.documents.text_layer import TextLayer
from airflow_deepseek_ocr.ocr.engine_protocol import PageOutput
from airflow_deepseek_ocr.ocr.markup.grounding import parse
from airflow_deepseek_ocr.ocr.markup.markdown import to_markdown
from airflow_deepseek_ocr.ocr.prompts import get_prompt
from airflow_deepseek_ocr.ocr.quality.checks import QualityInput, check_quality
from airflow_deepseek_ocr.ocr.quality.edge_density import measure_edge_density
from airflow_deepseek_ocr.ocr.quality.flags import Flag
from airflow_deepseek_ocr.ocr.quality.messages import reason_of
from airflow_deepseek_ocr.ocr.quality.report import QualityReport
from airflow_deepseek_ocr.ocr.quality.text_layer_checks import measure_agreement, page_scripts
from airflow_deepseek_ocr.ocr.quality.thresholds import THRESHOLDS
from airflow_deepseek_ocr.ocr.recognition.compressed_image import CompressedImage
from airflow_deepseek_ocr.ocr.recognition.retry_strategy import AUTO, RetryStep
from airflow_deepseek_ocr.ocr.recognition.slicing import cut, join
from airflow_deepseek_ocr.ocr.resolution import get_resolution
from airflow_deepseek_ocr.ocr.results import PageResult, PageStatus

if TYPE_CHECKING:
    from PIL import Image

    from airflow_deepseek_ocr.ocr.documents.base import Page
from airflow_deepseek_ocr.ocr.recognition.candidate import (
    RATIO,
    Candidate,
    Try,
    Underway,
    finish_reason,
)
from airflow_deepseek_ocr.ocr.recognition.plan import Plan
from airflow_deepseek_ocr.ocr.recognition.text_layer_result import (
    layer_candidate,
    usable_text_layer,
)

#: Errors after which another way of reading may help. Others lie outside of the page (no server, a
#: wrong setting, cancelled) and stay for a later try.
_MENDED = frozenset({"out_of_memory", "engine_error"})


class PageAttempts:
    """A page with its readings.

    Not safe for several threads at once.

    :param page: the page; its image is kept, compressed, only if it may be needed again.
    :param plan: how it is read.
    """

    def __init__(self, page: Page, plan: Plan) -> None:
        self.number, self._size, self._plan = page.number, page.image.size, plan
        self._prompt = get_prompt(plan.prompt)
        self._edge_density = measure_edge_density(page.image) if self._prompt.whole_page else None
        self._layer = usable_text_layer(page, plan, self._edge_density)
        self._packed = CompressedImage.of(page.image) if plan.reads_again else None
        self._steps = deque(
            step for step in plan.steps if step.resolution is None or step.resolution in plan.modes
        )
        self._candidates: list[Candidate] = []
        first = plan.auto_modes[0] if plan.resolution == AUTO else plan.resolution
        self._underway: Underway | None = Underway(RetryStep(first, first), first)
        self.first = Try(0, page.image, first)

    def forget_image(self) -> None:
        """Let go of the image that :attr:`first` holds; the engine has it."""
        del self.first

    @property
    def ended(self) -> bool:
        """Whether there is nothing more to be read."""
        return self._underway is None

    def take(self, part: int, reading: PageOutput) -> int:
        """Judge a reading, or note it until the other parts of the page are there.

        :param part: the number of the :class:`Try` that it answers.
        :return: how many parts are to be read next, by :meth:`next_try`.
        """
        underway = self._underway
        if underway is None:
            raise ValueError(f"page {self.number} is read already")
        underway.readings[part] = reading
        if len(underway.readings) < max(1, len(underway.strips)):
            return 0
        self._candidates.append(self._judge(underway))
        self._underway = self._next()
        if self._underway is None:
            self._packed = None
            return 0
        return max(1, len(self._underway.strips))

    def next_try(self, part: int) -> Try:
        """A part that :meth:`take` asked for."""
        underway = self._underway
        if underway is None:
            raise ValueError(f"page {self.number} is read already")
        image = underway.strips[part].image if underway.strips else self._image()
        return Try(part, image, underway.resolution, underway.step.no_repeat_ngram)

    def result(self) -> PageResult:
        """The page with its best reading."""
        best = max(self._candidates, key=lambda each: each.merit)
        accepted = self._plan.accepts(best.score)
        code, message = (None, None) if accepted else reason_of(best.verdict, best.error)
        return PageResult(
            number=self.number,
            status=self._status(best),
            resolution=best.resolution,
            width=self._size[0],
            height=self._size[1],
            text=best.text,
            markdown=best.markdown,
            regions=best.regions,
            vision_tokens=best.vision_tokens,
            text_tokens=best.text_tokens,
            seconds=sum(each.seconds for each in self._candidates),
            score=best.score,
            flags=best.attempt().flags,
            agreement=best.agreement.unordered if best.agreement else None,
            agreement_ordered=best.agreement.ordered if best.agreement else None,
            attempts=tuple(each.attempt() for each in self._candidates),
            vision_tokens_saved=self._saved(),
            error_code=code,
            error=message,
            retryable=isinstance(best.error, UnavailableError),
        )

    def _status(self, best: Candidate) -> PageStatus:
        if not self._plan.accepts(best.score):
            return PageStatus.FAILED
        if best.step.text_layer:
            return PageStatus.TEXT_LAYER
        # That auto takes a better mode for a longer text is its way, and no recovery.
        refused = any(
            each.error is not None
            or (not self._plan.accepts(each.score) and not RATIO.issuperset(each.verdict.flags))
            for each in self._candidates
        )
        return PageStatus.RECOVERED if refused else PageStatus.OK

    def _saved(self) -> int | None:
        if self._plan.resolution != AUTO:
            return None
        mode = get_resolution(self._plan.auto_modes[-1])
        return mode.vision_tokens(mode.grid(*self._size)) - sum(
            each.vision_tokens for each in self._candidates
        )

    def _next(self) -> Underway | None:
        """The next attempt, if the last one was not good enough and there is another way."""
        last = self._candidates[-1]
        if last.error is not None and last.error.code not in _MENDED:
            return None
        if not self._plan.accepts(last.score) or last.beyond_knee:
            better = self._better_mode(last)
            if better is not None:
                return Underway(RetryStep(better, better), better)
        if any(self._plan.accepts(each.score) for each in self._candidates):
            return None
        while self._steps:
            step = self._steps.popleft()
            if step.text_layer:
                if self._layer is not None:
                    self._candidates.append(self._of_layer(step, self._layer))
                    if self._plan.accepts(self._candidates[-1].score):
                        return None
                continue
            resolution = step.resolution or self._last_mode()
            strips = cut(self._image(), step.parts) if step.parts > 1 else []
            if (len(strips) or 1) != step.parts or self._is_known(step, resolution):
                continue
            return Underway(step, resolution, strips)
        return None

    def _better_mode(self, last: Candidate) -> str | None:
        """Of ``auto``, the cheapest mode with room for the text, or the next where that is unknown."""
        if self._plan.resolution != AUTO or last.step.name not in self._plan.auto_modes:
            return None
        modes = self._plan.auto_modes
        above = modes[modes.index(last.resolution) + 1 :]
        if not above:
            return None
        if not last.beyond_knee or Flag.NO_END_TOKEN in last.verdict.flags:
            return above[0]
        for mode in map(get_resolution, above):
            room = THRESHOLDS.ratio_knee * mode.vision_tokens(mode.grid(*self._size))
            if last.text_tokens <= room:
                return mode.name
        return above[-1]

    def _last_mode(self) -> str:
        modes = [each.resolution for each in self._candidates if each.resolution]
        return modes[-1]

    def _is_known(self, step: RetryStep, resolution: str) -> bool:
        """Whether the page was read in just that way."""
        return any(
            (each.resolution, each.step.no_repeat_ngram, each.step.parts)
            == (resolution, step.no_repeat_ngram, step.parts)
            for each in self._candidates
        )

    def _judge(self, underway: Underway) -> Candidate:
        readings = [underway.readings[part] for part in sorted(underway.readings)]
        seconds = sum(reading.seconds for reading in readings)
        error = next((each.error for each in readings if each.error is not None), None)
        if error is not None:
            return Candidate(
                underway.step, underway.resolution, QualityReport(), seconds=seconds, error=error
            )
        texts = [reading.text for reading in readings]
        text = join(texts, underway.strips) if underway.strips else texts[0]
        width, height = self._size
        in_ref = self._prompt.text_in_ref
        regions = parse(text, text_in_ref=in_ref, width=width, height=height)
        markdown = to_markdown(regions, text_in_ref=in_ref)
        agreement = measure_agreement(self._layer.text, markdown) if self._layer else None
        vision_tokens = sum(reading.vision_tokens for reading in readings)
        text_tokens = sum(reading.text_tokens for reading in readings)
        verdict = check_quality(
            QualityInput(
                text=text,
                prompt=self._plan.prompt,
                finish_reason=finish_reason(readings),
                vision_tokens=vision_tokens,
                text_tokens=text_tokens,
                edge_density=self._edge_density,
                scripts=page_scripts(self._layer) if self._layer else None,
                agreement=agreement,
                regions=regions,
            )
        )
        return Candidate(
            underway.step,
            underway.resolution,
            verdict,
            text,
            markdown,
            regions,
            vision_tokens,
            text_tokens,
            seconds,
            agreement,
        )

    def _of_layer(self, step: RetryStep, layer: TextLayer) -> Candidate:
        return layer_candidate(step, layer, self._edge_density)

    def _image(self) -> Image.Image:
        if self._packed is None:
            raise ValueError(f"page {self.number} is not read again")
        return self._packed.unpack()
