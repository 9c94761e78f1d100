"""The no-repeat-n-gram constraint: no n-gram occurs twice within a window of the generated tokens.

It follows the published vLLM scripts and vLLM: the prompt does not count, and table cell tags, which
must repeat, are exempt.

A token completes a repeated n-gram if the n - 1 tokens before it occur further back, followed by the same
token. For each distance the constraint counts how many tokens the text has repeated the tokens at that
distance; a new token extends the count or resets it to zero. The cost is proportional to the window and
independent of n, and each row of a batch may have a different n and window.
"""

from __future__ import annotations

import torch

#: Placeholder for "no token yet" in :class:`NoRepeatNgramConstraint`.
NO_TOKEN = -1


class NoRepeatNgramConstraint:
    """The constraints of a batch of texts; no method blocks on the device.

    :param rows: texts in the batch.
    :param widest: the widest window of any text, in tokens.
    :param exempt: token ids that are never banned.
    :param device: where the texts are.
    """

    def __init__(
        self, *, rows: int, widest: int, exempt: tuple[int, ...], device: torch.device
    ) -> None:
        self._sizes = torch.zeros((rows, 1), dtype=torch.long, device=device)
        self._windows = torch.zeros((rows, 1), dtype=torch.long, device=device)
        self._repeated = torch.zeros((rows, widest), dtype=torch.long, device=device)
        self._distances = torch.arange(1, widest + 1, device=device)
        self._exempt = torch.tensor(exempt, dtype=torch.long, device=device)

    def reset(self, rows: torch.Tensor, sizes: torch.Tensor, windows: torch.Tensor) -> None:
        """Begin new texts.

        :param rows: (texts,) their rows.
        :param sizes: (texts,) length n of the n-grams that must not repeat; 0 for no constraint.
        :param windows: (texts,) generated tokens in which they must not, from n to ``widest``.
        """
        self._repeated[rows] = 0
        self._sizes[rows, 0], self._windows[rows, 0] = sizes, windows

    def banned(self, recent: torch.Tensor, vocabulary: int) -> torch.Tensor:
        """Return the tokens that would complete an n-gram which the window already contains.

        :param recent: (rows, widest): the latest tokens of the first rows, the last one first;
            ``NO_TOKEN`` where fewer were generated.
        :param vocabulary: number of token ids.
        :returns: (rows, vocabulary) of bool.
        """
        before = self._sizes[: len(recent)] - 1
        repeats = (self._repeated[: len(recent)] >= before) & (before >= 0)
        repeats &= self._distances + before <= self._windows[: len(recent)]
        repeats &= (recent != NO_TOKEN) & ~torch.isin(recent, self._exempt)
        # A column beyond the vocabulary receives the hits of n-grams that do not repeat: the order of
        # scatter's writes to one element is undefined.
        banned = torch.zeros(len(recent), vocabulary + 1, dtype=torch.bool, device=recent.device)
        banned.scatter_(1, recent.masked_fill(~repeats, vocabulary), True)
        return banned[:, :vocabulary]

    def record(self, recent: torch.Tensor, tokens: torch.Tensor) -> None:
        """Record each row's next token.

        :param recent: as for :meth:`banned`.
        :param tokens: (rows,) of any row; tokens of ended texts are harmless.
        """
        self._repeated[: len(recent)].add_(1).mul_(recent == tokens[:, None])
