"""How text is generated."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Decoding:
    """Greedy decoding, with a limit and a guard against repetitions.

    :param max_output_length: tokens a page may take; the model's context (8,192 tokens with the
        image) may allow fewer.
    :param ngram_size: length of the n-grams that must not repeat, in tokens (30 in
        ``run_dpsk_ocr_image.py`` of the published scripts); 0 switches the guard off.
    :param ngram_window: generated tokens in which they must not repeat (90 in the same file).
    """

    max_output_length: int = 8192
    ngram_size: int = 30
    ngram_window: int = 90
