"""Pages through an engine: each one judged, read again where it has to, and handed on when it ends."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing
from dataclasses import replace
from itertools import chain

from airflow_deepseek_ocr.exceptions import DeepSeekOCRError, UnavailableError
from airflow_deepseek_ocr.ocr.documents.base import Page
from airflow_deepseek_ocr.ocr.engine_protocol import Engine, Progress
from airflow_deepseek_ocr.ocr.prompts import prompt_line
from airflow_deepseek_ocr.ocr.quality.thresholds import DEFAULT_MIN_SCORE
from airflow_deepseek_ocr.ocr.recognition.coordinator import Coordinator, Owner
from airflow_deepseek_ocr.ocr.recognition.plan import Plan
from airflow_deepseek_ocr.ocr.recognition.retry_strategy import AUTO, RetryStep, TextLayerUse
from airflow_deepseek_ocr.ocr.recognition.text_layer_result import text_layer_result
from airflow_deepseek_ocr.ocr.resolution import get_resolution
from airflow_deepseek_ocr.ocr.results import PageResult, PageStatus


class Reader:
    """Reads pages with one prompt.

    :param get_engine: makes or finds what runs the model; called when the first page needs it.
    :param prompt: a prompt's name, such as ``markdown`` or ``locate:Total``.
    :param resolution: a resolution mode's name, or ``auto``.
    :param steps: how a page is read again whose reading is refused.
    :param layer_use: what pages' own text is used for.
    :param min_score: the score from which on a reading is accepted, 0 to 1.
    :raises ConfigurationError: ``unknown_prompt``, ``prompt_text``, ``unknown_resolution``.
    """

    def __init__(
        self,
        get_engine: Callable[[], Engine],
        prompt: str,
        resolution: str,
        *,
        steps: Sequence[RetryStep] = (),
        text_layer_use: TextLayerUse = TextLayerUse.COMPARE,
        min_score: float = DEFAULT_MIN_SCORE,
    ) -> None:
        check_prompt_and_resolution(prompt, resolution)
        self._get_engine = get_engine
        self._plan = Plan(prompt, resolution, tuple(steps), text_layer_use, min_score=min_score)

    def read(
        self,
        pages: Iterable[tuple[Owner, Page]],
        progress: Callable[[Progress], None] | None = None,
    ) -> Generator[tuple[Owner, PageResult], None, None]:
        """(owner, result) of each page, in the order in which they end.

        :param pages: (owner, page), drawn lazily; the owner tells the pages of several documents
            apart and is handed back as it is. They are drawn by one thread at a time: the caller's
            until a page needs the model, then the engine's.
        :param progress: see :meth:`~airflow_deepseek_ocr.ocr.engine_protocol.Engine.read`.
        """
        pages = iter(pages)
        for owner, page in pages:
            result = text_layer_result(page, self._plan)
            if result is not None:
                yield owner, result
                continue
            engine = self._get_engine()
            plan = self._plan
            if plan.reads_again:
                plan = replace(plan, modes=engine.modes())
            coordinator = Coordinator(chain([(owner, page)], pages), plan)
            del page
            with closing(engine.read(coordinator, progress)) as readings:
                try:
                    for reading in readings:
                        yield from coordinator.take(reading)
                finally:
                    # Before the engine ends its thread, which may be waiting for a reading.
                    coordinator.stop()
            yield from coordinator.results()


def check_prompt_and_resolution(prompt: str, resolution: str) -> None:
    """Raise if there is no such prompt or mode.

    :raises ConfigurationError: ``unknown_prompt``, ``prompt_text``, ``unknown_resolution``.
    """
    prompt_line(prompt)
    if resolution != AUTO:
        get_resolution(resolution)


def failed_page(number: int, resolution: str, error: DeepSeekOCRError) -> PageResult:
    """The result of a page that never reached the engine."""
    return PageResult(
        number=number,
        status=PageStatus.FAILED,
        resolution=resolution,
        error_code=error.code,
        error=str(error),
        retryable=isinstance(error, UnavailableError),
    )
