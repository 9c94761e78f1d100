"""How text is generated."""

from __future__ import annotations

from dataclasses import dataclass

from airflow_deepseek_ocr.exceptions import ConfigurationError, ErrorCode

#: Shortest n-grams that one page's guard may ban: shorter ones repeat in texts as they should be.
LEAST_NGRAM = 10
#: Widest window of one page's guard, in tokens; engines keep room for it.
MOST_WINDOW = 512


@dataclass(frozen=True)
class NoRepeatNgram:
    """A no-repeat-n-gram constraint for one page, in place of the engine's.

    :param ngram_size: length of the n-grams that must not repeat, in tokens.
    :param ngram_window: generated tokens in which they must not repeat.
    :raises ConfigurationError: ``guard`` if it is not 10 <= ``ngram_size`` <= ``ngram_window`` <= 512.
    """

    ngram_size: int
    ngram_window: int

    def __post_init__(self) -> None:
        if not LEAST_NGRAM <= self.ngram_size <= self.ngram_window <= MOST_WINDOW:
            raise ConfigurationError(
                ErrorCode.NO_REPEAT_NGRAM,
                f"A guard of {self.ngram_size}-grams in {self.ngram_window} tokens cannot be: the "
                f"n-grams have at least {LEAST_NGRAM} tokens and the window at most {MOST_WINDOW}.",
            )


@dataclass(frozen=True)
class Decoding:
    """Greedy decoding, with a limit and a no-repeat-n-gram constraint.

    :param max_output_length: tokens a page may take; the model's context (8,192 tokens with the
        image) may allow fewer.
    :param ngram_size: length of the n-grams that must not repeat, in tokens (30 in
        ``run_dpsk_ocr_image.py`` of the published scripts); 0 switches the guard off.
    :param ngram_window: generated tokens in which they must not repeat (90 in the same file).
    :param forced: the end token does not end a page: each writes as many tokens as it may. For
        benchmarks with weights that have learnt nothing.
    """

    max_output_length: int = 8192
    ngram_size: int = 30
    ngram_window: int = 90
    forced: bool = False
