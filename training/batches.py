"""Batches of pages: views, answers, and where the characters stand, each batch from its step's seed."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import IterableDataset, get_worker_info
from transformers import PreTrainedTokenizerFast

from airflow_deepseek_ocr.ocr.prompts import prompt_line
from airflow_deepseek_ocr.ocr.resolution import (
    MAX_TILES,
    PIXELS_PER_TOKEN,
    TILE_SIZE,
    Resolution,
    get_resolution,
)
from training.assets import load_fonts, load_texts
from training.curriculum import LONGEST_ANSWER, PROMPTS_PER_PAGE, VIEWS_PER_BATCH, Stage, stage_at
from training.degrade import degrade
from training.layouts import PageAssets, draw_page
from training.page import Page
from training.targets import choose_prompt, target
from training.tokenizer import BOS, EOS, build_tokenizer
from training.views import View, Views, global_view, stack, tiles

#: What the loss leaves out.
IGNORED = -100
#: Sequences of similar length are decoded together; so many groups a batch.
_GROUPS = 3
_LENGTH_MULTIPLE = 32


@dataclass(frozen=True)
class Sequences:
    """Prompts and answers, padded on the right.

    :param ids: (sequences, length).
    :param vision_rows: (sequences, length): see :meth:`training.network.Network.embed`.
    :param labelled: indices into the flattened ids whose next token is to be predicted.
    :param labels: that token, for each of ``labelled``.
    """

    ids: torch.Tensor
    vision_rows: torch.Tensor
    labelled: torch.Tensor
    labels: torch.Tensor


@dataclass(frozen=True)
class Batch:
    """What one step sees.

    :param mode: resolution mode.
    :param views: the (global) view of each page, then the tiles where the mode has them.
    :param sequences: in groups of similar length.
    :param pages: how many pages.
    """

    mode: str
    views: list[Views]
    sequences: list[Sequences]
    pages: int


@dataclass
class _Drawn:
    """A page with its views and its grid of tiles, and what is asked about it."""

    page: Page
    grid: tuple[int, int]
    view: View
    tiles: list[View]
    questions: list[tuple[list[int], list[int]]] = field(default_factory=list)


class BatchMaker:
    """Draws batches.

    :param assets: folder of fonts and texts, see :mod:`training.assets`.
    :param split: which fonts and sentences: ``train`` or ``heldout``.
    """

    def __init__(self, assets: Path, split: str = "train") -> None:
        texts = load_texts(assets)
        sentences = texts.sentences if split == "train" else texts.heldout_sentences
        self.assets = PageAssets(load_fonts(assets, split), texts.words, texts.accented, sentences)
        self.tokenizer = build_tokenizer()
        self._bos, self._eos, self._image = (
            self.tokenizer.convert_tokens_to_ids(token) for token in (BOS, EOS, "<image>")
        )

    def draw(self, rng: random.Random, mode: str, stage: Stage, *, clean: bool = False) -> Page:
        """A page as that mode and stage have it.

        :param clean: neither skewed nor blurred nor compressed.
        """
        spec = stage.pages[mode]
        width, height, scale = _page_size(rng, get_resolution(mode))
        page = draw_page(
            rng,
            self.assets,
            width=width,
            height=height,
            text_size=spec.text_size,
            max_characters=spec.characters,
            kind=rng.choice(stage.kinds) if stage.kinds else None,
            scale=scale,
        )
        return page if clean else degrade(rng, page)

    def batch(self, seed: int, mode: str, stage: Stage, share: float = 1.0) -> Batch:
        """The batch of that seed.

        :param share: of the usual number of views; smaller batches for smaller machines.
        """
        rng = random.Random(seed)
        resolution = get_resolution(mode)
        room = max(MAX_TILES if resolution.tiles else 1, round(VIEWS_PER_BATCH[mode] * share))
        drawn: list[_Drawn] = []
        while room > 0:
            page = self.draw(rng, mode, stage)
            one = self._look(page, resolution)
            room -= len(one.tiles) if resolution.tiles else 1
            if room < 0:
                break
            one.questions = self._ask(rng, page, mode, stage)
            drawn.append(one)
        views = [stack([one.view for one in drawn])]
        if resolution.tiles:
            views.append(stack([tile for one in drawn for tile in one.tiles]))
        return Batch(mode, views, self._sequences(drawn, resolution), len(drawn))

    def _look(self, page: Page, resolution: Resolution) -> _Drawn:
        grid = resolution.grid(*page.image.size)
        if resolution.tiles and grid == (1, 1):
            raise ValueError("pages for a mode with tiles must be larger than a tile")
        return _Drawn(page, grid, global_view(page, resolution), tiles(page, grid))

    def _ask(
        self, rng: random.Random, page: Page, mode: str, stage: Stage
    ) -> list[tuple[list[int], list[int]]]:
        """(prompt ids, answer ids) of different prompts; at least one, cut off if it must be."""
        questions: dict[str, tuple[list[int], list[int]]] = {}
        for _ in range(PROMPTS_PER_PAGE + 2):
            prompt = choose_prompt(rng, page, stage.prompts)
            if prompt in questions:
                continue
            answer = [*self._encode(target(page, prompt)), self._eos]
            if len(answer) <= LONGEST_ANSWER[mode]:
                questions[prompt] = (self._encode("\n" + prompt_line(prompt)), answer)
            if len(questions) == PROMPTS_PER_PAGE:
                break
        if not questions:
            answer = self._encode(target(page, "free"))[: LONGEST_ANSWER[mode]]
            questions["free"] = (self._encode("\n" + prompt_line("free")), answer)
        return list(questions.values())

    def _encode(self, text: str) -> list[int]:
        ids: list[int] = self.tokenizer.encode(text, add_special_tokens=False)
        return ids

    def _sequences(self, drawn: list[_Drawn], resolution: Resolution) -> list[Sequences]:
        side, tile = resolution.size // PIXELS_PER_TOKEN, TILE_SIZE // PIXELS_PER_TOKEN
        views = len(drawn) * side * side
        newline = views + sum(len(one.tiles) for one in drawn) * tile * tile
        rows: list[tuple[npt.NDArray[np.int64], list[int], list[int]]] = []
        first_tile = views
        for number, one in enumerate(drawn):
            image = _view_rows(number * side * side, side, newline)
            if one.tiles:
                image = np.concatenate([_tile_rows(first_tile, one.grid, tile, newline), image])
                first_tile += len(one.tiles) * tile * tile
            image = np.append(image, newline + 1)
            rows += [(image, prompt, answer) for prompt, answer in one.questions]
        rows.sort(key=lambda row: sum(map(len, row)))
        return [self._pad(group) for group in _split(rows, _GROUPS)]

    def _pad(self, rows: list[tuple[npt.NDArray[np.int64], list[int], list[int]]]) -> Sequences:
        length = 1 + max(sum(map(len, row)) for row in rows)
        length += -length % _LENGTH_MULTIPLE
        ids = np.full((len(rows), length), self.tokenizer.pad_token_id, np.int64)
        vision_rows = np.full((len(rows), length), -1, np.int64)
        labels = np.full((len(rows), length), IGNORED, np.int64)
        for row, (image, prompt, answer) in enumerate(rows):
            text = 1 + len(image)
            start = text + len(prompt)
            ids[row, 0] = self._bos
            vision_rows[row, 1:text] = image
            ids[row, 1:text] = self._image
            ids[row, text : start + len(answer)] = prompt + answer
            labels[row, start - 1 : start - 1 + len(answer)] = answer
        (labelled,) = np.nonzero(labels.reshape(-1) != IGNORED)
        return Sequences(
            *map(torch.from_numpy, (ids, vision_rows, labelled, labels.reshape(-1)[labelled]))
        )


def _split(rows: list, parts: int) -> list[list]:  # type: ignore[type-arg]
    size = -(-len(rows) // parts)
    return [rows[start : start + size] for start in range(0, len(rows), size)]


def _view_rows(first: int, side: int, newline: int) -> npt.NDArray[np.int64]:
    """Rows of a square view's tokens, a newline behind each line."""
    square = np.arange(first, first + side * side).reshape(side, side)
    return np.pad(square, ((0, 0), (0, 1)), constant_values=newline).reshape(-1)


def _tile_rows(first: int, grid: tuple[int, int], side: int, newline: int) -> npt.NDArray[np.int64]:
    """Rows of the tiles' tokens, read line by line across the tiles, as the published code does."""
    columns, rows = grid
    tiles = np.arange(first, first + rows * columns * side * side)
    page = tiles.reshape(rows, columns, side, side).swapaxes(1, 2).reshape(rows * side, -1)
    return np.pad(page, ((0, 0), (0, 1)), constant_values=newline).reshape(-1)


def _page_size(rng: random.Random, resolution: Resolution) -> tuple[int, int, float]:
    """Width and height in pixels, and the scale at which the page is drawn.

    Paper is upright more often than not; half of the pages are drawn larger than they are seen,
    as scans are, and a few smaller.
    """
    aspect = rng.choice((rng.uniform(0.64, 0.8), rng.uniform(0.64, 1.5), 210 / 297, 1.0))
    scale = rng.choices((1.0, rng.uniform(1.1, 2.0), rng.uniform(0.7, 1.0)), (0.40, 0.48, 0.12))[0]
    if resolution.tiles:
        columns, rows = rng.choice(((1, 2), (2, 1), (2, 2), (2, 3), (2, 3), (2, 3), (3, 2)))
        shrink = rng.uniform(0.88, 1.1)
        return int(columns * TILE_SIZE * shrink), int(rows * TILE_SIZE * shrink * 1.03), 1.0
    if resolution.keep_aspect:
        longest = resolution.size
        if aspect < 1:
            return round(longest * aspect), longest, scale
        return longest, round(longest / aspect), scale
    side = resolution.size
    return round(side * aspect**0.5), round(side / aspect**0.5), scale


class Batches(IterableDataset[Batch]):
    """The batches from ``first_step`` on; worker processes take turns, so that the order is fixed.

    :param seed: of the whole run.
    :param steps: length of the whole run, which places the curriculum.
    :param share: of the usual number of views in a batch.
    """

    def __init__(
        self, assets: Path, seed: int, first_step: int, steps: int, share: float = 1.0
    ) -> None:
        self.assets, self.seed, self.first_step, self.steps = assets, seed, first_step, steps
        self.share = share

    def __iter__(self) -> Iterator[Batch]:
        worker = get_worker_info()
        offset, stride = (worker.id, worker.num_workers) if worker else (0, 1)
        maker = BatchMaker(self.assets)
        for step in range(self.first_step + offset, self.steps, stride):
            seed = self.seed * 1_000_003 + step
            stage = stage_at(step / self.steps)
            rng = random.Random(seed)
            mode = rng.choices(list(stage.modes), list(stage.modes.values()))[0]
            yield maker.batch(seed, mode, stage, self.share)


def decode_ids(tokenizer: PreTrainedTokenizerFast, ids: list[int]) -> str:
    """Text of generated ids up to the end token, markup kept."""
    end = tokenizer.eos_token_id
    text: str = tokenizer.decode(
        ids[: ids.index(end)] if end in ids else ids, skip_special_tokens=False
    )
    return text
