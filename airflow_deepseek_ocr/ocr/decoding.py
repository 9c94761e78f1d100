"""Decoding settings: output length and no-repeat-n-gram constraints."""

from __future__ import annotations

from dataclasses import dataclass

from airflow_deepseek_ocr.exceptions import ConfigurationError, ErrorCode

#: Shortest n-grams that a page's constraint may block: shorter ones repeat in good texts.
LEAST_NGRAM = 10
#: Widest window of a page's constraint, in tokens; engines allocate memory for it.
MOST_WINDOW = 512


@dataclass(frozen=True)
class NoRepeatNgram:
    """A no-repeat-n-gram constraint for one page, in place of the engine's.

    :param ngram_size: length of the n-grams that must not repeat, in tokens.
    :param ngram_window: generated tokens in which they must not repeat.
    :raises ConfigurationError: ``no_repeat_ngram`` unless 10 <= ``ngram_size`` <= ``ngram_window`` <= 512.
    """

    ngram_size: int
    ngram_window: int

    def __post_init__(self) -> None:
        if not LEAST_NGRAM <= self.ngram_size <= self.ngram_window <= MOST_WINDOW:
            raise ConfigurationError(
                ErrorCode.NO_REPEAT_NGRAM,
                f"A no-repeat-n-gram constraint of {self.ngram_size} tokens within {self.ngram_window} is "
                f"out of range: use n-grams of at least {LEAST_NGRAM} tokens and a window of at most "
                f"{MOST_WINDOW}.",
            )


@dataclass(frozen=True)
class Decoding:
    """Greedy decoding, with a limit and a no-repeat-n-gram constraint.

    :param max_output_length: largest number of tokens of a page; the model's context (8,192 tokens with the
        image) may allow fewer.
    :param ngram_size: length of the n-grams that must not repeat, in tokens; 0 switches the constraint off.
        The default is DeepSeek-OCR's; each model family has its own.
    :param ngram_window: generated tokens in which they must not repeat.
    :param forced: ignore the end token, so that each page has the largest number of tokens. For benchmarks
        with random weights.
    :param token_probabilities: return the probability of each generated token.
    """

    max_output_length: int = 8192
    ngram_size: int = 30
    ngram_window: int = 90
    forced: bool = False
    token_probabilities: bool = True
