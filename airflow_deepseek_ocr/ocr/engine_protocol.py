"""The protocol between the reader and whatever runs the model."""

from __future__ import annotations

from collections.abc import Callable, Generator, Hashable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from airflow_deepseek_ocr.exceptions import DeepSeekOCRError
from airflow_deepseek_ocr.ocr.decoding import NoRepeatNgram

if TYPE_CHECKING:
    from PIL import Image


def _never() -> bool:
    return False


@dataclass(frozen=True, kw_only=True)
class PageRequest:
    """A page to be read.

    :param key: names the page among those in flight; handed back with the reading.
    :param image: the page, RGB.
    :param prompt: a prompt's name, such as ``markdown`` or ``locate:Total``.
    :param resolution: a resolution mode's name.
    :param max_output_length: tokens this page may take, if fewer than the engine allows any page.
    :param guard: a no-repeat-n-gram constraint for this page, in place of the engine's.
    :param cancelled: asked now and then, in a thread of the engine's; once it is true the page is
        given up, with a reading whose error is ``cancelled``.
    """

    key: Hashable
    image: Image.Image
    prompt: str
    resolution: str
    max_output_length: int | None = None
    cancelled: Callable[[], bool] = _never
    no_repeat_ngram: NoRepeatNgram | None = None


class FinishReason(StrEnum):
    """Why the model stopped writing."""

    STOP = "stop"  #: it wrote its end token
    LENGTH = "length"  #: it reached the maximum output length


@dataclass(frozen=True, kw_only=True)
class PageOutput:
    """What the model wrote for a page.

    :param key: the request's.
    :param text: the text with its markup, without the end token.
    :param finish_reason: None if the page failed.
    :param vision_tokens: tokens that stood for the image.
    :param prompt_tokens: tokens the model was given in all, those of the image included; 0 if unknown.
    :param text_tokens: tokens generated, without the end token.
    :param seconds: the page's share of the time the model worked while it was read.
    :param error: why this page could not be read, although others could.
    """

    key: Hashable
    text: str = ""
    finish_reason: FinishReason | None = None
    vision_tokens: int = 0
    prompt_tokens: int = 0
    text_tokens: int = 0
    seconds: float = 0.0
    error: DeepSeekOCRError | None = None


@dataclass(frozen=True)
class Progress:
    """How far an engine is.

    :param pages_done: pages read since the call began.
    :param pages_in_flight: pages being read now.
    :param tokens: tokens generated for the pages in flight.
    """

    pages_done: int
    pages_in_flight: int
    tokens: int


class Engine(Protocol):
    """Runs the model. Requests are drawn only as fast as they can be read."""

    def modes(self) -> tuple[str, ...]:
        """Names of the resolution modes it can read in.

        :raises UnavailableError, ConfigurationError: an engine elsewhere cannot be asked.
        """
        ...

    def read(
        self, requests: Iterable[PageRequest], progress: Callable[[Progress], None] | None = None
    ) -> Generator[PageOutput, None, None]:
        """A reading for each request, in the order in which they finish.

        Closing the generator cancels what is in flight.

        :param requests: drawn in a thread of the engine's, a bounded number of pages ahead. It may
            wait for a reading before it goes on, if it has a ``stop()`` that ends the waiting.
        :param progress: called every few seconds, in the caller's thread.
        """
        ...

    def close(self) -> None:
        """Release the model's memory; the engine cannot be used afterwards."""
        ...
