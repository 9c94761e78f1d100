"""Batches of pages, all of one shape for a mode and a stage, each drawn from its seed."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from airflow_deepseek_ocr.ocr.families.deepseek_ocr import DEEPSEEK_OCR, TILE_SIZE
from airflow_deepseek_ocr.ocr.resolution import PIXELS_PER_TOKEN, Resolution
from training.assets import load_fonts, load_texts
from training.curriculum import (
    GROUP_SHARES,
    LONGEST_ANSWER,
    PAGES_PER_BATCH,
    PROMPTS_PER_PAGE,
    TILES_PER_PAGE,
    PageSpec,
    Stage,
)
from training.degrade import degrade, scan, stretch
from training.layouts import PageAssets, draw_page
from training.page import Page
from training.sequences import Encoder, Question, Sequences, group, misspelt, vision_rows
from training.targets import choose_prompt, target
from training.tokenizer import build_tokenizer
from training.views import View, Views, cell_grid, global_view, stack, tiles

#: Tokens by which sequences' lengths are rounded up, for the GPU's matrix units.
_LENGTH_MULTIPLE = 32
#: How often pages' print is made wider or narrower than its font, and by which factor.
_STRETCHED, _STRETCH = 0.4, (0.8, 1.25)
#: The same factor for pages as people's programs set them: fonts for reading differ less.
_PEOPLE_STRETCH = (0.9, 1.12)
#: Resolution at which operators render pages by default, in dots per inch, and the longer sides of sheets.
_DPI, _LONGER_SIDES = 200, {210 / 297: 297 / 25.4, 8.5 / 11: 11.0}
#: Bytes at whose multiples the parts of a batch begin in a buffer: a line of the cache.
_ALIGNMENT = 64


@dataclass(frozen=True)
class Batch:
    """What one step sees.

    :param mode: resolution mode.
    :param views: the (global) view of each page, then the tiles where the mode has them.
    :param sequences: in groups of similar length; none where the vision tower learns alone.
    :param pages: how many pages.
    """

    mode: str
    views: list[Views]
    sequences: list[Sequences]
    pages: int

    def tensors(self) -> list[torch.Tensor]:
        """All of them, in the order in which :func:`carve` lays them."""
        parts: list[Views | Sequences] = [*self.views, *self.sequences]
        return [tensor for part in parts for tensor in vars(part).values()]


@dataclass(frozen=True)
class SeenPage:
    """A page as a mode sees it."""

    page: Page
    grid: tuple[int, int]
    view: View
    tiles: list[View]


class BatchMaker:
    """Draws batches.

    :param assets: directory of fonts and texts, see :mod:`training.assets`.
    :param split: which fonts and sentences: ``train`` or ``heldout``.
    :param share: of the usual number of pages in a batch.
    :param most_misspelt: see :func:`training.sequences.misspelt`; 0 for faultless answers.
    """

    def __init__(
        self,
        assets: Path,
        split: str = "train",
        share: float = 1.0,
        most_misspelt: float = 0.0,
    ) -> None:
        texts = load_texts(assets)
        sentences = texts.sentences if split == "train" else texts.heldout_sentences
        self._assets = PageAssets(load_fonts(assets, split), texts.words, texts.accented, sentences)
        self._encoder = Encoder(build_tokenizer())
        self._share, self._most_misspelt = share, most_misspelt

    def draw(
        self,
        rng: random.Random,
        mode: str,
        stage: Stage,
        *,
        kind: str | None = None,
        clean: bool = False,
    ) -> Page:
        """A page as that mode and stage have it.

        :param kind: of document, see :data:`training.layouts.KINDS`; None for any.
        :param clean: neither skewed nor blurred nor compressed.
        """
        resolution, spec = DEEPSEEK_OCR.resolution(mode), stage.pages[mode]
        if spec.people and rng.random() < stage.people:
            return self._draw_as_people(rng, resolution, spec, kind, clean)
        while True:
            width, height, scale = _page_size(rng, resolution)
            columns, rows = resolution.grid(round(width * scale), round(height * scale))
            if columns * rows <= TILES_PER_PAGE:
                break
        # Fonts that were never seen are narrower or wider than those at hand.
        factor = rng.uniform(*_STRETCH) if not clean and rng.random() < _STRETCHED else 1.0
        page = draw_page(
            rng,
            self._assets,
            width=round(width / factor),
            height=height,
            text_size=spec.text_size,
            max_characters=spec.characters,
            kind=kind,
            scale=scale,
        )
        if factor != 1.0:
            page = stretch(page, round(width * scale))
        return page if clean else degrade(rng, page)

    def _draw_as_people(
        self,
        rng: random.Random,
        resolution: Resolution,
        spec: PageSpec,
        kind: str | None,
        clean: bool,
    ) -> Page:
        assert spec.people is not None
        characters, text_size = spec.people
        width, height, scale = _paper_size(rng, resolution)
        factor = rng.uniform(*_PEOPLE_STRETCH) if not clean and rng.random() < _STRETCHED else 1.0
        page = draw_page(
            rng,
            self._assets,
            width=round(width / factor),
            height=height,
            text_size=text_size,
            max_characters=characters,
            kind=kind,
            scale=scale,
            as_people=True,
        )
        if factor != 1.0:
            page = stretch(page, round(width * scale))
        return page if clean else scan(rng, page)

    def see(self, seed: int, mode: str, stage: Stage) -> list[SeenPage]:
        """The pages of a batch."""
        rng, resolution = random.Random(seed), DEEPSEEK_OCR.resolution(mode)
        seen = []
        for _ in range(pages_of(mode, self._share)):
            page = self.draw(rng, mode, stage)
            grid = resolution.grid(*page.image.size)
            seen.append(SeenPage(page, grid, global_view(page, resolution), tiles(page, grid)))
        return seen

    def ask(self, seed: int, seen: list[SeenPage], mode: str, stage: Stage) -> Batch:
        """A batch that asks about those pages."""
        rng = random.Random(seed)
        asked = [
            (number, question)
            for number, each in enumerate(seen)
            for question in self._questions(rng, each.page, mode, stage)
        ]
        batch = assemble(self._encoder, seen, asked, mode, stage.pages[mode])
        if not self._most_misspelt:
            return batch
        sequences = [
            misspelt(each, self._most_misspelt, seed + number)
            for number, each in enumerate(batch.sequences)
        ]
        return replace(batch, sequences=sequences)

    def _questions(self, rng: random.Random, page: Page, mode: str, stage: Stage) -> list[Question]:
        questions: dict[str, Question] = {}
        for _ in range(PROMPTS_PER_PAGE + 2) if stage.prompts else ():
            prompt = choose_prompt(rng, page, stage.prompts)
            question = self._encoder.question(prompt, target(page, prompt))
            if len(question.answer) <= LONGEST_ANSWER[mode]:
                questions[prompt] = question
            if len(questions) == PROMPTS_PER_PAGE:
                break
        return list(questions.values())


def assemble(
    encoder: Encoder,
    seen: list[SeenPage],
    asked: list[tuple[int, Question]],
    mode: str,
    spec: PageSpec,
) -> Batch:
    """A batch of the shape that the mode, the number of pages and ``spec`` fix.

    :param asked: questions, each with the number of its page; what is too long is left out.
    """
    resolution = DEEPSEEK_OCR.resolution(mode)
    views = [stack([each.view for each in seen])]
    side, tile_side = resolution.size // PIXELS_PER_TOKEN, TILE_SIZE // PIXELS_PER_TOKEN
    first_tile = newline = len(seen) * side * side
    if resolution.tiles:
        views.append(
            stack([tile for each in seen for tile in each.tiles], len(seen) * TILES_PER_PAGE)
        )
        newline += len(seen) * TILES_PER_PAGE * tile_side**2
    images = []
    for number, each in enumerate(seen):
        images.append(vision_rows(resolution, each.grid, number * side * side, first_tile, newline))
        first_tile += len(each.tiles) * tile_side**2
    shapes = _group_shapes(resolution, spec, len(seen))
    if not shapes:
        return Batch(mode, views, [], len(seen))
    counts = [count for count, _ in shapes]
    groups = group([(images[number], question) for number, question in asked], counts, spec.lengths)
    sequences = [
        encoder.pad(members, count, length)
        for members, (count, length) in zip(groups, shapes, strict=True)
    ]
    return Batch(mode, views, sequences, len(seen))


def _widest_grid(resolution: Resolution) -> tuple[int, int]:
    """The grid of at most ``TILES_PER_PAGE`` tiles with the most vision tokens: a newline a line."""
    return (1, TILES_PER_PAGE) if resolution.tiles else (1, 1)


def _page_size(rng: random.Random, resolution: Resolution) -> tuple[int, int, float]:
    """Width and height in pixels, and the scale at which the page is drawn.

    Paper is upright more often than not; half of the pages are drawn larger than they are seen, as
    scans are, and a few smaller.
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


def _paper_size(rng: random.Random, resolution: Resolution) -> tuple[int, int, float]:
    """As :func:`_page_size`, of sheets of A4 and letter, the larger part of them upright."""
    paper = rng.choice((210 / 297, 210 / 297, 8.5 / 11))
    aspect = 1 / paper if rng.random() < 0.07 else paper
    scale = rng.choice((1.0, rng.uniform(1.0, 1.7), rng.uniform(1.0, 1.3)))
    if resolution.tiles:
        columns, rows = (2, 3) if aspect < 1 else (3, 2)
        # Tiles are a little narrower than the paper; the longer side is as they show it.
        longest = TILE_SIZE * max(columns, rows)
        rendered = _DPI * _LONGER_SIDES[paper] / longest
        scale = rng.choice((1.0, rendered, rng.uniform(0.9, 1.3)))
    else:
        # What is not padded is squeezed into a square: drawn with as many pixels.
        longest = resolution.size
        if not resolution.keep_aspect:
            longest = round(longest * max(aspect, 1 / aspect) ** 0.5)
    if aspect < 1:
        return round(longest * aspect), longest, scale
    return longest, round(longest / aspect), scale


def carve(buffer: torch.Tensor, mode: str, spec: PageSpec, pages: int) -> tuple[Batch, int]:
    """A batch of the shape of :func:`assemble`'s that lies in a buffer, and the bytes that it takes there.

    :param buffer: uint8, on any device; what is in it is the batch's content.
    """
    used = 0

    def take(dtype: torch.dtype, *shape: int) -> torch.Tensor:
        nonlocal used
        start, used = used, used + math.prod(shape) * dtype.itemsize
        taken = buffer[start:used].view(dtype).view(shape)
        used += -used % _ALIGNMENT
        return taken

    resolution = DEEPSEEK_OCR.resolution(mode)
    sizes = [(pages, resolution.size)]
    if resolution.tiles:
        sizes.append((pages * TILES_PER_PAGE, TILE_SIZE))
    views = [
        Views(
            take(torch.uint8, count, size, size),
            take(torch.int64, count, 4),
            take(torch.uint8, count, *cell_grid(size)),
        )
        for count, size in sizes
    ]
    sequences = [
        Sequences(
            ids=take(torch.int64, count, length),
            vision_rows=take(torch.int64, count, length),
            labels=take(torch.int64, count, length),
            weights=take(torch.float32, count),
        )
        for count, length in _group_shapes(resolution, spec, pages)
    ]
    return Batch(mode, views, sequences, pages), used


def pages_of(mode: str, share: float) -> int:
    """How many pages a batch has.

    :param share: of the usual number.
    """
    return max(1, round(PAGES_PER_BATCH[mode] * share))


def _group_shapes(resolution: Resolution, spec: PageSpec, pages: int) -> list[tuple[int, int]]:
    """Sequences of each group of a batch, and their length with the image before them."""
    if not spec.lengths:
        return []
    before = 1 + resolution.vision_tokens(_widest_grid(resolution))
    return [
        (
            max(1, round(pages * PROMPTS_PER_PAGE * share)),
            -(-(length + before) // _LENGTH_MULTIPLE) * _LENGTH_MULTIPLE,
        )
        for share, length in zip(GROUP_SHARES, spec.lengths, strict=True)
    ]
