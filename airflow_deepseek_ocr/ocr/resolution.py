"""The five resolution modes of DeepSeek-OCR: view sizes, tiling, and vision tokens.

Source of all figures: table 1 and section 3.2.2 of the DeepSeek-OCR paper (arXiv:2510.18234) and
``modeling_deepseekocr.py`` of the published checkpoint.
"""

from __future__ import annotations

from dataclasses import dataclass

from airflow_deepseek_ocr.exceptions import ConfigurationError, ErrorCode

#: Side, in pixels, of a gundam tile.
TILE_SIZE = 640
#: Fewest tiles of an image that is cut into tiles.
MIN_TILES = 2
#: Most tiles of an image.
MAX_TILES = 9
#: Side, in pixels, of the square that a vision token represents: 16-pixel patches, compressed 4 x 4.
PIXELS_PER_TOKEN = 64


@dataclass(frozen=True)
class Resolution:
    """One resolution mode.

    :param name: the mode's name in the paper.
    :param size: side of the (global) view in pixels.
    :param tiles: whether large images have tiles of :data:`TILE_SIZE` besides the view.
    :param keep_aspect: pad the view to a square instead of stretching the image to it.
    """

    name: str
    size: int
    tiles: bool = False
    keep_aspect: bool = True

    def grid(self, width: int, height: int, max_tiles: int = MAX_TILES) -> tuple[int, int]:
        """Return columns and rows of tiles; (1, 1) means no tiles.

        :param width: width of the image in pixels.
        :param height: height of the image in pixels.
        :param max_tiles: most tiles; other implementations of the model have fewer.
        """
        if not self.tiles or (width <= TILE_SIZE and height <= TILE_SIZE):
            return (1, 1)
        return closest_grid(width, height, max_tiles)

    def vision_tokens(self, grid: tuple[int, int] = (1, 1)) -> int:
        """Return the number of vision tokens of an image.

        :param grid: columns and rows of tiles, from :meth:`grid`.
        """
        side = self.size // PIXELS_PER_TOKEN
        view = side * (side + 1) + 1  # a newline token ends each row, a separator ends the view
        if grid == (1, 1):
            return view
        columns, rows = grid
        tile_side = TILE_SIZE // PIXELS_PER_TOKEN
        return view + rows * tile_side * (columns * tile_side + 1)


RESOLUTIONS: dict[str, Resolution] = {
    mode.name: mode
    for mode in (
        Resolution("tiny", 512, keep_aspect=False),
        Resolution("small", 640, keep_aspect=False),
        Resolution("base", 1024),
        Resolution("large", 1280),
        Resolution("gundam", 1024, tiles=True),
    )
}

DEFAULT_RESOLUTION = "gundam"

#: Most vision tokens of a page in any mode: gundam with all tiles in one column, where each line has a
#: newline.
MOST_VISION_TOKENS = RESOLUTIONS["gundam"].vision_tokens((1, MAX_TILES))


def get_resolution(name: str) -> Resolution:
    """Return the mode of that name.

    :raises ConfigurationError: ``unknown_resolution``, with the valid names.
    """
    try:
        return RESOLUTIONS[name]
    except (KeyError, TypeError):
        raise ConfigurationError(
            ErrorCode.UNKNOWN_RESOLUTION,
            f"There is no resolution mode {name!r}. Use one of: {', '.join(RESOLUTIONS)}.",
        ) from None


def closest_grid(width: int, height: int, max_tiles: int = MAX_TILES) -> tuple[int, int]:
    """Return columns and rows of tiles with the aspect ratio closest to the image's.

    Of two equally close grids, the larger wins if the image has more than half its pixels.

    :param width: width of the image in pixels.
    :param height: height of the image in pixels.
    :param max_tiles: most tiles.
    """
    grids = sorted(
        (
            (columns, rows)
            for columns in range(1, max_tiles + 1)
            for rows in range(1, max_tiles + 1)
            if MIN_TILES <= columns * rows <= max_tiles
        ),
        key=lambda grid: grid[0] * grid[1],
    )
    aspect = width / height
    best, best_distance = (1, 1), float("inf")
    for columns, rows in grids:
        distance = abs(aspect - columns / rows)
        fills_half = width * height > 0.5 * TILE_SIZE * TILE_SIZE * columns * rows
        if distance < best_distance or (distance == best_distance and fills_half):
            best, best_distance = (columns, rows), distance
    return best
