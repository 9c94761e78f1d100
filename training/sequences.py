"""Prompts and answers as token ids, with the places of the vision tokens before them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from transformers import PreTrainedTokenizerFast

from airflow_deepseek_ocr.ocr.families.deepseek_ocr import TILE_SIZE
from airflow_deepseek_ocr.ocr.prompts import prompt_line
from airflow_deepseek_ocr.ocr.resolution import PIXELS_PER_TOKEN, Resolution
from training.tokenizer import BOS, EOS, SPECIAL_TOKENS

#: Labels that the loss leaves out.
IGNORED = -100
#: Its answers are a line long: by their tokens alone they would count a tenth of a page.
_LOCATE_WEIGHT = 8.0


@dataclass(frozen=True)
class Sequences:
    """Sequences of one length, padded on the right.

    :param ids: (sequences, length).
    :param vision_rows: (sequences, length): see :meth:`training.network.Network.embed`.
    :param labels: (sequences, length): the token to be foretold at each place, or ``IGNORED``.
    :param weights: float32 (sequences,): of each sequence's tokens in the loss.
    """

    ids: torch.Tensor
    vision_rows: torch.Tensor
    labels: torch.Tensor
    weights: torch.Tensor


@dataclass(frozen=True)
class Question:
    """A prompt and its answer, as token ids.

    :param answer: ends with the end token.
    :param weight: of its tokens in the loss.
    """

    prompt: list[int]
    answer: list[int]
    weight: float = 1.0

    def __len__(self) -> int:
        return len(self.prompt) + len(self.answer)


class Encoder:
    """Texts to sequences.

    :param tokenizer: see :mod:`training.tokenizer`.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerFast) -> None:
        self.tokenizer = tokenizer
        self._bos, self._eos, self._image = (
            tokenizer.convert_tokens_to_ids(token) for token in (BOS, EOS, "<image>")
        )

    def question(self, prompt: str, answer: str) -> Question:
        """Encode a prompt, such as ``markdown`` or ``locate:Total``, and its answer."""
        return Question(
            self._encode("\n" + prompt_line(prompt)),
            [*self._encode(answer), self._eos],
            _LOCATE_WEIGHT if prompt.startswith("locate:") else 1.0,
        )

    def _encode(self, text: str) -> list[int]:
        ids: list[int] = self.tokenizer.encode(text, add_special_tokens=False)
        return ids

    def pad(
        self, asked: Sequence[tuple[npt.NDArray[np.int64], Question]], count: int, length: int
    ) -> Sequences:
        """Sequences of the images' rows (see :func:`vision_rows`) and the questions behind them.

        :param count: how many sequences; those that are missing hold nothing.
        :param length: of each sequence, in tokens.
        """
        ids = np.full((count, length), self.tokenizer.pad_token_id, np.int64)
        rows = np.full((count, length), -1, np.int64)
        labels = np.full((count, length), IGNORED, np.int64)
        weights = np.ones(count, np.float32)
        for row, (image, question) in enumerate(asked):
            weights[row] = question.weight
            text = 1 + len(image)
            start = text + len(question.prompt)
            end = start + len(question.answer)
            ids[row, 0] = self._bos
            ids[row, 1:text] = self._image
            rows[row, 1:text] = image
            ids[row, text:end] = question.prompt + question.answer
            labels[row, start - 1 : end - 1] = question.answer
        return Sequences(*map(torch.from_numpy, (ids, rows, labels, weights)))


def misspelt(sequences: Sequences, most: float, seed: int) -> Sequences:
    """The same with wrong characters in the answers so far, while what is to be foretold stays right.

    A decoder that has only ever continued faultless answers loses its place on the page after its own
    first mistake. Half of the sequences stay as they are.

    :param most: largest share of a sequence's characters, 0 to 1; special tokens stay.
    """
    generator = torch.Generator().manual_seed(seed)
    ids = sequences.ids.clone()
    spelt = ids >= len(SPECIAL_TOKENS)
    spelt[:, 0] = False
    spelt[:, 1:] &= sequences.labels[:, :-1] != IGNORED
    shares = most * (2 * torch.rand((len(ids), 1), generator=generator) - 1).clamp(min=0)
    wrong = spelt & (torch.rand(ids.shape, generator=generator) < shares)
    others = ids[spelt]
    if len(others):
        ids[wrong] = others[torch.randint(len(others), (int(wrong.sum()),), generator=generator)]
    return replace(sequences, ids=ids)


def group(
    asked: list[tuple[npt.NDArray[np.int64], Question]],
    counts: Sequence[int],
    lengths: Sequence[int],
) -> list[list[tuple[npt.NDArray[np.int64], Question]]]:
    """Share sequences out to groups, the shortest first; what fits none is left out.

    :param counts: how many sequences each group takes.
    :param lengths: longest question in each group, in tokens, rising.
    """
    waiting = sorted(asked, key=lambda each: len(each[1]), reverse=True)
    groups = []
    for count, length in zip(counts, lengths, strict=True):
        taken: list[tuple[npt.NDArray[np.int64], Question]] = []
        while waiting and len(taken) < count and len(waiting[-1][1]) <= length:
            taken.append(waiting.pop())
        groups.append(taken)
    return groups


def vision_rows(
    resolution: Resolution, grid: tuple[int, int], view: int, tile: int, newline: int
) -> npt.NDArray[np.int64]:
    """Rows of an image's vision tokens, in the order in which the decoder takes them.

    Tiles come first, read line by line across them; a newline ends each line, a separator the image.

    :param grid: (columns, rows) of tiles; (1, 1) for none.
    :param view: row of the view's first token.
    :param tile: row of the first tile's first token.
    :param newline: row of the newline; the separator's is the next.
    """
    side, tile_side = resolution.size // PIXELS_PER_TOKEN, TILE_SIZE // PIXELS_PER_TOKEN
    lines = _lines(np.arange(view, view + side * side).reshape(side, side), newline)
    if grid != (1, 1):
        columns, rows = grid
        tokens = np.arange(tile, tile + rows * columns * tile_side**2)
        tiles = tokens.reshape(rows, columns, tile_side, tile_side).swapaxes(1, 2)
        lines = np.concatenate([_lines(tiles.reshape(rows * tile_side, -1), newline), lines])
    return np.append(lines, newline + 1)


def _lines(rows: npt.NDArray[np.int64], newline: int) -> npt.NDArray[np.int64]:
    return np.pad(rows, ((0, 0), (0, 1)), constant_values=newline).reshape(-1)
