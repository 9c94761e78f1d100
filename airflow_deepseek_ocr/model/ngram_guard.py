"""The guard against repetition loops: no n-gram twice within a window of what was generated.

As the published vLLM scripts and vLLM itself do it: the prompt does not count, and table cell tags,
which must repeat, are exempt.
"""

from __future__ import annotations

import torch

#: Stands for "no token yet" in :func:`banned_tokens`.
NO_TOKEN = -1


def banned_tokens(
    recent: torch.Tensor, ngram_size: int, vocabulary: int, exempt: torch.Tensor
) -> torch.Tensor:
    """Tokens that would complete an n-gram which the window holds already.

    Rows of a batch are independent, and nothing waits for the device.

    :param recent: (batch, window): each row's latest generated tokens, aligned on the right;
        ``NO_TOKEN`` where fewer were generated.
    :param ngram_size: length n of the n-grams, in tokens; from 1 to the window.
    :param vocabulary: number of token ids.
    :param exempt: (count,) token ids that are never banned.
    :returns: (batch, vocabulary) of bool.
    :raises ValueError: if ``ngram_size`` is below 1, or the window below ``ngram_size``.
    """
    batch, window = recent.shape
    if ngram_size < 1:
        raise ValueError(f"ngram_size must be at least 1, not {ngram_size}")
    if window < ngram_size:
        raise ValueError(f"window ({window}) must be at least ngram_size ({ngram_size})")
    ngrams = recent.unfold(1, ngram_size, 1)
    tail = recent[:, window - ngram_size + 1 :]
    repeats = (ngrams[..., :-1] == tail[:, None]).all(-1) & (ngrams[..., 0] != NO_TOKEN)
    candidates = ngrams[..., -1]
    repeats &= ~torch.isin(candidates, exempt)
    # A column beyond the vocabulary takes the hits of n-grams that do not repeat, because scatter
    # leaves it open which of several writes to one place wins.
    banned = torch.zeros(batch, vocabulary + 1, dtype=torch.bool, device=recent.device)
    banned.scatter_(1, candidates.masked_fill(~repeats, vocabulary), True)
    return banned[:, :vocabulary]
