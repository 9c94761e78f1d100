"""The protocol between the reader and an engine, which runs the model."""

from __future__ import annotations

from collections.abc import Callable, Generator, Hashable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from airflow_deepseek_ocr.exceptions import DeepSeekOCRError, ErrorCode, UnavailableError
from airflow_deepseek_ocr.ocr.decoding import NoRepeatNgram
from airflow_deepseek_ocr.ocr.families.family import ModelFamily
from airflow_deepseek_ocr.ocr.token_probabilities import TokenProbabilities

if TYPE_CHECKING:
    from airflow_deepseek_ocr.ocr.page_pixels import PageImage


def _never() -> bool:
    return False


@dataclass(frozen=True, kw_only=True)
class PageRequest:
    """A page, or a slice of one, to recognise.

    :param key: identifies the request among those in flight; the output has the same key.
    :param image: the page: RGB, or one channel (``L``) without color.
    :param prompt: a prompt's name, such as ``markdown`` or ``locate:Total``.
    :param resolution: a resolution mode's name.
    :param max_output_length: largest number of tokens of this page; None for the engine's limit.
    :param cancelled: polled by a thread of the engine; once it returns True, the page ends with the error
        ``cancelled``.
    :param no_repeat_ngram: the no-repeat-n-gram constraint of this page; None for the engine's default.
    """

    key: Hashable
    image: PageImage
    prompt: str
    resolution: str
    max_output_length: int | None = None
    cancelled: Callable[[], bool] = _never
    no_repeat_ngram: NoRepeatNgram | None = None


def cancelled_error() -> UnavailableError:
    """Return the error of a page whose request was cancelled."""
    return UnavailableError(
        ErrorCode.CANCELLED, "The page was cancelled: its client no longer waits for the result."
    )


class FinishReason(StrEnum):
    """Why the model stopped."""

    STOP = "stop"  #: it generated its end token
    LENGTH = "length"  #: it reached the maximum output length


@dataclass(frozen=True, kw_only=True)
class PageOutput:
    """Model output for a request.

    :param key: the key of the request.
    :param text: the text with its markup, without the end token.
    :param finish_reason: None if the page failed.
    :param vision_tokens: tokens of the image.
    :param prompt_tokens: all input tokens, those of the image included; 0 if unknown.
    :param text_tokens: generated tokens, without the end token.
    :param seconds: the page's share of the model's time.
    :param token_probabilities: of the generated tokens; None if the engine does not return them.
    :param error: why this page has no output.
    """

    key: Hashable
    text: str = ""
    finish_reason: FinishReason | None = None
    vision_tokens: int = 0
    prompt_tokens: int = 0
    text_tokens: int = 0
    seconds: float = 0.0
    token_probabilities: TokenProbabilities | None = None
    error: DeepSeekOCRError | None = None


@dataclass(frozen=True)
class Progress:
    """Progress of an engine.

    :param pages_done: pages finished since the call began.
    :param pages_in_flight: pages in progress.
    :param tokens: tokens generated for the pages in progress.
    """

    pages_done: int
    pages_in_flight: int
    tokens: int


class Engine(Protocol):
    """Runs the model. It takes requests only as fast as it can process them."""

    def family(self) -> ModelFamily:
        """Return the family of the model; a remote engine, that of its settings, which it verifies.

        No server is asked.
        """
        ...

    def modes(self) -> tuple[str, ...]:
        """Return the names of the supported resolution modes.

        :raises UnavailableError, ConfigurationError: a remote engine cannot be reached.
        """
        ...

    def smallest_print(self) -> float:
        """Return the height of the smallest print that the model reads, in pixels of a view or tile.

        See :func:`~airflow_deepseek_ocr.ocr.print_height.print_height`.

        :raises UnavailableError, ConfigurationError: a remote engine cannot be reached.
        """
        ...

    def read(
        self, requests: Iterable[PageRequest], progress: Callable[[Progress], None] | None = None
    ) -> Generator[PageOutput, None, None]:
        """Yield an output for each request, in the order in which they finish.

        Closing the generator cancels all requests in flight.

        :param requests: taken by a thread of the engine, a bounded number of pages ahead. The iterator may
            wait for an output if it has a ``stop()`` that ends the wait.
        :param progress: called every few seconds, in the caller's thread.
        """
        ...

    def close(self) -> None:
        """Release the model's memory; the engine cannot be used afterwards."""
        ...
