"""The guard against repetition loops: no n-gram twice within a window of what was generated.

As the published vLLM scripts and vLLM itself do it: the prompt does not count, and table cell tags,
which must repeat, are exempt.

A token would complete a repeated n-gram if the n - 1 tokens before it stand somewhere further back, and
the token behind them is the same. So for each distance the guard counts for how many tokens the text has
repeated what stood at that distance; a new token lengthens the count or sets it to zero. That takes time
in proportion to the window alone, whatever n, and each row of a batch may have an n and a window of its
own.
"""

from __future__ import annotations

import torch

#: Stands for "no token yet" in :class:`NoRepeatNgramConstraint`.
NO_TOKEN = -1


class NoRepeatNgramConstraint:
    """The guards of a batch of texts; nothing here waits for the device.

    :param rows: texts in the batch.
    :param widest: the widest window of any text, in tokens.
    :param exempt: token ids that are never banned.
    :param device: where the texts are.
    """

    def __init__(
        self, rows: int, widest: int, exempt: tuple[int, ...], device: torch.device
    ) -> None:
        self.widest = widest
        self._sizes = torch.zeros((rows, 1), dtype=torch.long, device=device)
        self._windows = torch.zeros((rows, 1), dtype=torch.long, device=device)
        self._repeated = torch.zeros((rows, widest), dtype=torch.long, device=device)
        self._distances = torch.arange(1, widest + 1, device=device)
        self._exempt = torch.tensor(exempt, dtype=torch.long, device=device)

    def begin(self, rows: torch.Tensor, sizes: torch.Tensor, windows: torch.Tensor) -> None:
        """Begin new texts.

        :param rows: (texts,) their rows.
        :param sizes: (texts,) length n of the n-grams that must not repeat; 0 for no guard.
        :param windows: (texts,) generated tokens in which they must not, from n to ``widest``.
        """
        self._repeated[rows] = 0
        self._sizes[rows, 0], self._windows[rows, 0] = sizes, windows

    def banned(self, recent: torch.Tensor, vocabulary: int) -> torch.Tensor:
        """Tokens that would complete an n-gram which the window holds already.

        :param recent: (rows, widest): the latest tokens of the first rows, the last one first;
            ``NO_TOKEN`` where fewer were generated.
        :param vocabulary: number of token ids.
        :returns: (rows, vocabulary) of bool.
        """
        before = self._sizes[: len(recent)] - 1
        repeats = (self._repeated[: len(recent)] >= before) & (before >= 0)
        repeats &= self._distances + before <= self._windows[: len(recent)]
        repeats &= (recent != NO_TOKEN) & ~torch.isin(recent, self._exempt)
        # A column beyond the vocabulary takes the hits of n-grams that do not repeat, because scatter
        # leaves it open which of several writes to one place wins.
        banned = torch.zeros(len(recent), vocabulary + 1, dtype=torch.bool, device=recent.device)
        banned.scatter_(1, recent.masked_fill(~repeats, vocabulary), True)
        return banned[:, :vocabulary]

    def wrote(self, recent: torch.Tensor, tokens: torch.Tensor) -> None:
        """Take note of each row's next token.

        :param recent: as :meth:`banned` had it.
        :param tokens: (rows,) of any row; those of a text that has ended do no harm.
        """
        self._repeated[: len(recent)].add_(1).mul_(recent == tokens[:, None])
