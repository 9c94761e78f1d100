"""A page as the network sees it: views in pixels, and where the characters stand in them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image, ImageOps

from airflow_deepseek_ocr.ocr.families.deepseek_ocr import TILE_SIZE
from airflow_deepseek_ocr.ocr.resolution import PIXELS_PER_TOKEN, Resolution
from training.network import AMBIGUOUS, CELL_COLUMNS, CELL_ROWS, CHARACTERS
from training.page import Page

#: Grey of the padding, as in :data:`airflow_deepseek_ocr.model.deepseek_ocr.image_processing.PADDING`.
_PADDING = 127
#: Width and height of a cell in pixels.
_CELL = (PIXELS_PER_TOKEN // CELL_COLUMNS, PIXELS_PER_TOKEN // CELL_ROWS)
#: How near the edge of a cell a character's place is not clear, in pixels of the view.
_BLUR = 0.5


@dataclass(frozen=True)
class View:
    """One view.

    :param pixels: uint8 (size, size), grey.
    :param inside: the part that shows the page, the rest is padding; x1, y1, x2, y2.
    :param cells: uint8 (size / 16, size / 8): the character in each cell, 0 for none.
    """

    pixels: npt.NDArray[np.uint8]
    inside: tuple[int, int, int, int]
    cells: npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Views:
    """Views of one size.

    Fields as in :class:`View`, with a dimension for the views before.
    """

    pixels: torch.Tensor
    inside: torch.Tensor
    cells: torch.Tensor


def global_view(page: Page, resolution: Resolution) -> View:
    """The view as ``image_processing.prepare`` makes it, in grey."""
    size, (width, height) = resolution.size, page.image.size
    if not resolution.keep_aspect:
        image = page.image.resize((size, size))
        inside = (0, 0, size, size)
    else:
        image = ImageOps.pad(page.image, (size, size), color=_PADDING)
        shown = ImageOps.contain(Image.new("1", (width, height)), (size, size)).size
        left, top = round((size - shown[0]) * 0.5), round((size - shown[1]) * 0.5)
        inside = (left, top, left + shown[0], top + shown[1])
    cells = _cells(page, inside, size)
    if resolution.tiles:
        cells[:] = AMBIGUOUS  # the tiles show the characters; here they may be too small
    return View(np.asarray(image), inside, cells)


def tiles(page: Page, grid: tuple[int, int]) -> list[View]:
    """The tiles of (columns, rows), row by row; none for (1, 1)."""
    if grid == (1, 1):
        return []
    columns, rows = grid
    size = (columns * TILE_SIZE, rows * TILE_SIZE)
    pixels = np.asarray(page.image.resize(size))
    cells = _cells(page, (0, 0, *size), *reversed(size))
    inside = (0, 0, TILE_SIZE, TILE_SIZE)
    return [
        View(
            np.ascontiguousarray(_cut(pixels, row, column, TILE_SIZE, TILE_SIZE)),
            inside,
            _cut(cells, row, column, TILE_SIZE // 16, TILE_SIZE // 8),
        )
        for row in range(rows)
        for column in range(columns)
    ]


def _cut(
    array: npt.NDArray[np.uint8], row: int, column: int, height: int, width: int
) -> npt.NDArray[np.uint8]:
    return array[row * height : (row + 1) * height, column * width : (column + 1) * width]


def cell_grid(height: int, width: int | None = None) -> tuple[int, int]:
    """Rows and columns of the cells of a view.

    :param height: in pixels.
    :param width: the same as ``height`` if it is not given.
    """
    return height // _CELL[1], (width or height) // _CELL[0]


def _cells(
    page: Page, inside: tuple[int, int, int, int], height: int, width: int | None = None
) -> npt.NDArray[np.uint8]:
    """The character in each cell of a view of ``height`` x ``width`` pixels."""
    cells = np.zeros(cell_grid(height, width), np.uint8)
    if not page.glyphs:
        return cells
    left, top, right, bottom = inside
    places = np.array([(glyph.x, glyph.y) for glyph in page.glyphs])
    classes = np.array([CHARACTERS.get(glyph.character, AMBIGUOUS) for glyph in page.glyphs])
    scale = np.array(((right - left) / page.image.width, (bottom - top) / page.image.height))
    places = places * scale + (left, top)

    def cells_at(offset: tuple[float, float]) -> npt.NDArray[np.int64]:
        columns, rows = ((places + offset) // _CELL).astype(int).T
        rows = rows.clip(0, cells.shape[0] - 1)
        return rows * cells.shape[1] + columns.clip(0, cells.shape[1] - 1)

    own = cells_at((0, 0))
    flat = cells.reshape(-1)
    flat[own] = classes
    crowded, counts = np.unique(own, return_counts=True)
    flat[crowded[counts > 1]] = AMBIGUOUS
    for across, down in product((-_BLUR, _BLUR), repeat=2):
        near = cells_at((across, down))
        # A character on the edge of two cells may be named in either.
        flat[near[near != own]] = AMBIGUOUS
        flat[own[near != own]] = AMBIGUOUS
    return cells


def stack(views: list[View], count: int | None = None) -> Views:
    """Views of one size, together.

    :param count: how many views; those that are missing are empty, and nothing is asked of them.
    """
    pixels, cells = views[0].pixels, views[0].cells
    empty = View(np.full_like(pixels, _PADDING), (0, 0, 0, 0), np.full_like(cells, AMBIGUOUS))
    views = views + [empty] * ((count or len(views)) - len(views))
    return Views(
        torch.from_numpy(np.stack([view.pixels for view in views])),
        torch.tensor([view.inside for view in views]),
        torch.from_numpy(np.stack([view.cells for view in views])),
    )
