"""Resolution modes: view sizes, tiling, and the arithmetic of vision tokens.

The modes of each model family are in :mod:`airflow_deepseek_ocr.ocr.families`.
"""

from __future__ import annotations

from dataclasses import dataclass

#: Fewest tiles of an image that is cut into tiles (``dynamic_preprocess`` of the published scripts).
MIN_TILES = 2
#: Side, in pixels, of the square that a vision token represents: 16-pixel patches, compressed 4 x 4.
PIXELS_PER_TOKEN = 64


@dataclass(frozen=True)
class Tiling:
    """Tiles of large images, besides the view of the whole image.

    :param size: side of a tile in pixels; an image without a longer side has no tiles.
    :param most: most tiles of an image.
    """

    size: int
    most: int

    @property
    def tokens_per_side(self) -> int:
        """Vision tokens along a side of a tile."""
        return self.size // PIXELS_PER_TOKEN


@dataclass(frozen=True)
class Resolution:
    """One resolution mode of a model family.

    :param name: the mode's name in the published papers and scripts.
    :param size: side of the (global) view in pixels.
    :param tiling: how large images are cut into tiles besides the view; None for the view alone.
    :param keep_aspect: pad the view to a square instead of stretching the image to it.
    :param row_ends: a newline token ends each row of vision tokens.
    """

    name: str
    size: int
    tiling: Tiling | None = None
    keep_aspect: bool = True
    row_ends: bool = False

    @property
    def tiles(self) -> bool:
        """Whether large images have tiles besides the view."""
        return self.tiling is not None

    def grid(self, width: int, height: int, max_tiles: int | None = None) -> tuple[int, int]:
        """Return columns and rows of tiles; (1, 1) means no tiles.

        :param width: width of the image in pixels.
        :param height: height of the image in pixels.
        :param max_tiles: most tiles where an implementation of the model has fewer; None for the mode's own.
        """
        tiling = self.tiling
        if tiling is None or max(width, height) <= tiling.size:
            return (1, 1)
        most = tiling.most if max_tiles is None else min(max_tiles, tiling.most)
        return closest_grid(width, height, Tiling(tiling.size, most))

    def print_scale(self, width: int, height: int) -> float:
        """Return by what print in an image is multiplied where the mode shows most detail.

        A view that is stretched, and tiles, have other scales for widths and heights. The smaller one counts:
        letters that are squeezed are as illegible as small ones.

        :param width: width of the image in pixels.
        :param height: height of the image in pixels.
        """
        columns, rows = grid = self.grid(width, height)
        if self.tiling is not None and grid != (1, 1):
            return self.tiling.size * min(columns / width, rows / height)
        return self.size / max(width, height)

    def vision_tokens(self, grid: tuple[int, int] = (1, 1)) -> int:
        """Return the number of vision tokens of an image.

        :param grid: columns and rows of tiles, from :meth:`grid`.
        """
        view = self._block(1, 1, self.size // PIXELS_PER_TOKEN) + 1  # a separator ends the view
        if self.tiling is None or grid == (1, 1):
            return view
        return view + self._block(*grid, self.tiling.tokens_per_side)

    @property
    def most_vision_tokens(self) -> int:
        """Most vision tokens of an image: with all tiles in one column, where each line has its end."""
        return self.vision_tokens((1, self.tiling.most) if self.tiling else (1, 1))

    def _block(self, columns: int, rows: int, side: int) -> int:
        """Return the tokens of a block of squares with ``side`` tokens along each side."""
        return rows * side * (columns * side + self.row_ends)


def closest_grid(width: int, height: int, tiling: Tiling) -> tuple[int, int]:
    """Return columns and rows of tiles with the aspect ratio closest to the image's.

    Of two equally close grids, the larger wins if the image has more than half its pixels.

    :param width: width of the image in pixels.
    :param height: height of the image in pixels.
    :param tiling: size and largest number of tiles.
    """
    grids = sorted(
        (
            (columns, rows)
            for columns in range(1, tiling.most + 1)
            for rows in range(1, tiling.most + 1)
            if MIN_TILES <= columns * rows <= tiling.most
        ),
        key=lambda grid: grid[0] * grid[1],
    )
    aspect = width / height
    best, best_distance = (1, 1), float("inf")
    for columns, rows in grids:
        distance = abs(aspect - columns / rows)
        fills_half = width * height > 0.5 * tiling.size**2 * columns * rows
        if distance < best_distance or (distance == best_distance and fills_half):
            best, best_distance = (columns, rows), distance
    return best
