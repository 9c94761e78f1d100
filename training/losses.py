"""Losses of the training: on the tokens of answers, and on the characters in cells."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812  (torch's own idiom)

from training.network import AMBIGUOUS
from training.sequences import IGNORED

#: Weight of "no character" in the loss on characters: nine of ten cells are empty.
EMPTY_WEIGHT = 0.1


def character_loss(
    logits: torch.Tensor, cells: torch.Tensor, class_weights: torch.Tensor
) -> torch.Tensor:
    """(2,): mean loss on the characters in cells, and the share of them named.

    :param logits: (views, rows, columns, classes).
    :param cells: (views, rows, columns).
    """
    logits, cells = logits.flatten(0, 2).float(), cells.flatten().long()
    printed = (cells > 0) & (cells != AMBIGUOUS)
    asked = (cells == 0).sum() * EMPTY_WEIGHT + printed.sum() + 1
    loss = F.cross_entropy(logits, cells, class_weights, ignore_index=AMBIGUOUS, reduction="sum")
    right = ((logits.argmax(-1) == cells) & printed).sum() / (printed.sum() + 1)
    return torch.stack([loss / asked, right])


def text_loss(logits: torch.Tensor, labels: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """(4,): weighted sum of the losses on tokens, sum of the weights, tokens foretold, tokens.

    :param logits: (sequences, length, vocabulary).
    :param labels: (sequences, length).
    :param weights: (sequences,).
    """
    losses = F.cross_entropy(
        logits.flatten(0, 1).float(), labels.flatten(), ignore_index=IGNORED, reduction="none"
    ).view_as(labels)
    asked = labels != IGNORED
    right = (logits.argmax(-1) == labels) & asked
    return torch.stack(
        [
            (losses * weights[:, None]).sum(),
            (asked * weights[:, None]).sum(),
            right.sum().float(),
            asked.sum().float(),
        ]
    )
