"""Recognition of a stream of pages with one engine: quality checks, retries, results."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing
from dataclasses import replace
from itertools import chain

from airflow_deepseek_ocr.ocr.documents.base import Page
from airflow_deepseek_ocr.ocr.engine_protocol import Engine, Progress
from airflow_deepseek_ocr.ocr.prompts import get_prompt
from airflow_deepseek_ocr.ocr.quality.thresholds import DEFAULT_MIN_SCORE
from airflow_deepseek_ocr.ocr.recognition.coordinator import Coordinator, Owner
from airflow_deepseek_ocr.ocr.recognition.plan import RecognitionPlan
from airflow_deepseek_ocr.ocr.recognition.retry_strategy import AUTO, RetryStep, TextLayerUse
from airflow_deepseek_ocr.ocr.recognition.text_layer_result import text_layer_result
from airflow_deepseek_ocr.ocr.results import PageResult


class Reader:
    """Recognises pages with one prompt.

    :param get_engine: returns the engine; called when the first page needs the model.
    :param prompt: a prompt's name, such as ``markdown`` or ``locate:Total``.
    :param resolution: a resolution mode's name, or ``auto``.
    :param steps: retry steps for pages whose output is rejected, in order.
    :param text_layer_use: use of the pages' embedded text.
    :param min_score: lowest accepted score, 0 to 1.
    :param describes_figures: whether pictures of a page are recognised once more, each alone.
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
        describes_figures: bool = False,
    ) -> None:
        self._get_engine = get_engine
        self._plan = RecognitionPlan(
            prompt=prompt,
            resolution=resolution,
            steps=tuple(steps),
            text_layer_use=text_layer_use,
            min_score=min_score,
            describes_figures=describes_figures,
        )

    @property
    def measures_edges(self) -> bool:
        """Whether the edges of page images are needed."""
        return self._plan.measures_edges

    @property
    def may_turn(self) -> bool:
        """Whether the direction of a page's lines of text is needed."""
        return self._plan.may_turn

    @property
    def uses_text_layer(self) -> bool:
        """Whether the text layers of pages are used."""
        is_used = self._plan.text_layer_use is not TextLayerUse.OFF
        return is_used and get_prompt(self._plan.prompt).whole_page

    def read(
        self,
        pages: Iterable[tuple[Owner, Page]],
        progress: Callable[[Progress], None] | None = None,
    ) -> Generator[tuple[Owner, PageResult], None, None]:
        """Yield (owner, result) of each page, in the order in which the pages finish.

        :param pages: (owner, page) pairs, taken lazily. The owner distinguishes the pages of several
            documents and is returned unchanged. One thread at a time takes pages: the caller's until a page
            needs the model, then the engine's.
        :param progress: see :meth:`~airflow_deepseek_ocr.ocr.engine_protocol.Engine.read`.
        """
        pages = iter(pages)
        for owner, page in pages:
            result = text_layer_result(page, self._plan)
            if result is not None:
                yield owner, result
                continue
            engine = self._get_engine()
            plan = replace(self._plan, family=engine.family())
            if plan.may_retry:
                plan = replace(plan, modes=engine.modes())
            if plan.resolution == AUTO:
                plan = replace(plan, smallest_print=engine.smallest_print())
            coordinator = Coordinator(chain([(owner, page)], pages), plan)
            # The coordinator's iterator has the only reference, so the engine can free the image.
            del page
            with closing(engine.read(coordinator, progress)) as outputs:
                try:
                    for output in outputs:
                        yield from coordinator.take_output(output)
                finally:
                    # Closing the engine joins its request thread, which may wait for an output.
                    coordinator.stop()
            yield from coordinator.take_results()
