"""Pages through an engine: model text in, results with regions, Markdown and figures out."""

from __future__ import annotations

from collections.abc import Callable, Generator, Hashable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import count
from typing import Generic, TypeVar

from airflow_deepseek_ocr.errors import DeepSeekOCRError, UnavailableError
from airflow_deepseek_ocr.ocr.documents import Page
from airflow_deepseek_ocr.ocr.engine import Engine, FinishReason, PageReading, PageRequest, Progress
from airflow_deepseek_ocr.ocr.grounding import parse
from airflow_deepseek_ocr.ocr.markdown import to_markdown
from airflow_deepseek_ocr.ocr.prompts import get_prompt, prompt_line
from airflow_deepseek_ocr.ocr.resolution import get_resolution
from airflow_deepseek_ocr.ocr.results import PageResult, PageStatus

Owner = TypeVar("Owner")


@dataclass(frozen=True)
class _InFlight(Generic[Owner]):
    owner: Owner
    number: int
    width: int
    height: int


class Reader:
    """Reads pages with one prompt and one resolution mode.

    :param engine: what runs the model.
    :param prompt: a prompt's name, such as ``markdown`` or ``locate:Total``.
    :param resolution: a resolution mode's name.
    :raises ConfigurationError: ``unknown_prompt``, ``prompt_text``, ``unknown_resolution``.
    """

    def __init__(self, engine: Engine, prompt: str, resolution: str) -> None:
        check_prompt_and_resolution(prompt, resolution)
        self._engine, self._prompt, self._resolution = engine, prompt, resolution
        self._text_in_ref = get_prompt(prompt).text_in_ref

    def read(
        self,
        pages: Iterable[tuple[Owner, Page]],
        progress: Callable[[Progress], None] | None = None,
    ) -> Generator[tuple[Owner, PageResult], None, None]:
        """(owner, result) of each page, in the order in which they finish.

        :param pages: (owner, page), drawn lazily; the owner tells the pages of several documents
            apart and is handed back as it is.
        :param progress: see :meth:`~airflow_deepseek_ocr.ocr.engine.Engine.read`.
        """
        in_flight: dict[Hashable, _InFlight[Owner]] = {}
        keys = count()

        def requests() -> Iterator[PageRequest]:
            for owner, page in pages:
                key = next(keys)
                in_flight[key] = _InFlight(owner, page.number, *page.image.size)
                yield PageRequest(key, page.image, self._prompt, self._resolution)

        with closing(self._engine.read(requests(), progress)) as readings:
            for reading in readings:
                page = in_flight.pop(reading.key)
                yield page.owner, self._result(page, reading)

    def _result(self, page: _InFlight[Owner], reading: PageReading) -> PageResult:
        regions = parse(
            reading.text, text_in_ref=self._text_in_ref, width=page.width, height=page.height
        )
        code, message = _fault(reading)
        return PageResult(
            number=page.number,
            status=PageStatus.FAILED if code else PageStatus.OK,
            resolution=self._resolution,
            width=page.width,
            height=page.height,
            text=reading.text,
            markdown=to_markdown(regions, text_in_ref=self._text_in_ref),
            regions=regions,
            vision_tokens=reading.vision_tokens,
            text_tokens=reading.text_tokens,
            seconds=reading.seconds,
            error_code=code,
            error=message,
            retryable=isinstance(reading.error, UnavailableError),
        )


def check_prompt_and_resolution(prompt: str, resolution: str) -> None:
    """Raise if there is no such prompt or mode.

    :raises ConfigurationError: ``unknown_prompt``, ``prompt_text``, ``unknown_resolution``.
    """
    prompt_line(prompt)
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


def _fault(reading: PageReading) -> tuple[str | None, str | None]:
    if reading.error is not None:
        return reading.error.code, str(reading.error)
    if reading.finish_reason is FinishReason.LENGTH:
        return "no_end_token", (
            f"The model wrote {reading.text_tokens} tokens without ending: it may have fallen into a "
            "repetition, or the page holds more text. Try another resolution or a larger maximum "
            "output length; what it wrote is kept."
        )
    return None, None
