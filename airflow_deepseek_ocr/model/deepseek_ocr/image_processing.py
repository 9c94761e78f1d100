"""Page images to the model's views, with Pillow and NumPy, bit for bit like the published code.

The published code pads with ``ImageOps.pad`` and resizes with Pillow's default filter. Other
libraries' resampling shifts glyph edges by a pixel, so Pillow it stays. Pillow resamples each
channel separately: one channel of a page without color is enough, with the same pixels in half the time.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from airflow_deepseek_ocr.ocr.channels import drop_color
from airflow_deepseek_ocr.ocr.resolution import Resolution

#: Grey of the padding, in each channel: the mean 0.5 of the normalisation, as the published code rounds it.
PADDING = 127

#: What each 8-bit value becomes: (x / 255 - 0.5) / 0.5, in float32 as torchvision computes it.
PIXEL_VALUES: npt.NDArray[np.float32] = (
    (np.arange(256, dtype=np.float32) / np.float32(255)) - np.float32(0.5)
) / np.float32(0.5)


@dataclass(frozen=True)
class ImageViews:
    """The views of one page, still in 8 bits; :data:`PIXEL_VALUES` maps them to the model's input.

    :param view: uint8 of shape (size, size, 3).
    :param tiles: uint8 of shape (columns * rows, tile size, tile size, 3), row by row, or of length 0.
    :param grid: (columns, rows) of the tiles; (1, 1) means none.
    :param vision_tokens: how many vision tokens the views take.
    """

    view: npt.NDArray[np.uint8]
    tiles: npt.NDArray[np.uint8]
    grid: tuple[int, int]
    vision_tokens: int


def prepare(image: Image.Image, resolution: Resolution) -> ImageViews:
    """The views of ``image`` in that mode.

    :param image: any mode and size; it is read as RGB.
    """
    image = image if image.mode == "L" else drop_color(_as_rgb(image))
    grid = resolution.grid(*image.size)
    side = (resolution.size, resolution.size)
    padding = tuple([PADDING] * len(image.getbands()))
    view = (
        ImageOps.pad(image, side, color=padding) if resolution.keep_aspect else image.resize(side)
    )
    return ImageViews(
        view=np.asarray(_as_rgb(view)),
        tiles=_tiles(image, grid, resolution.tiling.size if resolution.tiling else 0),
        grid=grid,
        vision_tokens=resolution.vision_tokens(grid),
    )


def _as_rgb(image: Image.Image) -> Image.Image:
    # Pillow copies an image that it need not convert.
    return image if image.mode == "RGB" else image.convert("RGB")


def _tiles(image: Image.Image, grid: tuple[int, int], size: int) -> npt.NDArray[np.uint8]:
    if grid == (1, 1):
        return np.empty((0, size, size, 3), np.uint8)
    columns, rows = grid
    pixels = np.asarray(_as_rgb(image.resize((columns * size, rows * size))))
    cut = pixels.reshape(rows, size, columns, size, 3).swapaxes(1, 2)
    return np.ascontiguousarray(cut.reshape(-1, size, size, 3))
