"""The guard against repetition loops: no n-gram twice within a window of what was generated.

As the published vLLM scripts and vLLM itself do it: the prompt does not count, and table cell tags,
which must repeat, are exempt.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from transformers import LogitsProcessor


class NGramGuard(LogitsProcessor):
    """Bans tokens that would repeat an n-gram within the last ``window`` generated tokens.

    Rows of a batch are independent; rows must be left-padded, so that all prompts end together.

    :param ngram_size: length n of the n-grams, in tokens; at least 1.
    :param window: how many generated tokens are searched; None searches all of them.
    :param prompt_length: columns of ``input_ids`` that are padding and prompt.
    :param exempt: token ids that are never banned.
    :raises ValueError: if ``ngram_size`` is below 1, or ``window`` below ``ngram_size``.
    """

    def __init__(
        self, ngram_size: int, window: int | None, prompt_length: int, exempt: Iterable[int] = ()
    ) -> None:
        if ngram_size < 1:
            raise ValueError(f"ngram_size must be at least 1, not {ngram_size}")
        if window is not None and window < ngram_size:
            raise ValueError(f"window ({window}) must be at least ngram_size ({ngram_size})")
        self.ngram_size, self.window, self.prompt_length = ngram_size, window, prompt_length
        self.exempt = torch.tensor(sorted(exempt), dtype=torch.long)

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor) -> torch.FloatTensor:
        """Scores of shape (batch, vocabulary) with banned tokens at minus infinity."""
        generated = input_ids[:, self.prompt_length :]
        if self.window is not None:
            generated = generated[:, -self.window :]
        length = generated.shape[1]
        if length < self.ngram_size:
            return scores
        ngrams = generated.unfold(1, self.ngram_size, 1)
        tail = generated[:, length - self.ngram_size + 1 :]
        repeats = (ngrams[..., :-1] == tail[:, None]).all(-1)
        candidates = ngrams[..., -1]
        if self.exempt.numel():
            self.exempt = self.exempt.to(candidates.device)
            repeats &= ~torch.isin(candidates, self.exempt)
        # A column beyond the vocabulary takes the hits of n-grams that do not repeat, because
        # scatter leaves it open which of several writes to one place wins.
        vocabulary = scores.shape[1]
        banned = torch.zeros(
            scores.shape[0], vocabulary + 1, dtype=torch.bool, device=scores.device
        )
        banned.scatter_(1, candidates.masked_fill(~repeats, vocabulary), True)
        return scores.masked_fill(banned[:, :vocabulary], float("-inf"))  # type: ignore[return-value]
