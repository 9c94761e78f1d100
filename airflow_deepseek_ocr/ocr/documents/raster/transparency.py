"""The backdrop of transparent images, on which their print does not vanish."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum, auto

import numpy as np
from PIL import Image, ImageChops

#: Pixels with less alpha are background.
_VISIBLE = 128
#: Visible pixels whose grey is below this are readable on white: at least a quarter of the contrast.
_DARK = 192
#: Share of visible pixels that are dark from which the print is dark. Smoothed edges of white letters on a
#: picture's former background leave less.
_DARK_SHARE = 0.01
#: Largest visible share of an image whose visible pixels are print. Print covers up to a third of a page.
_PRINT_SHARE = 0.5


class Backdrop(Enum):
    """How the transparent parts of an image are shown."""

    WHITE = auto()  #: as white paper
    #: light print, which white paper would hide: as black paper, and the whole image as its negative
    NEGATIVE = auto()
    #: no pixel is visible, but they have colours: a program left the alpha channel empty, so it is ignored
    OPAQUE = auto()


def find_backdrop(bands: Iterable[Image.Image]) -> Backdrop:
    """Return the backdrop with which the image's print is readable.

    :param bands: the parts of the image in mode ``RGBA`` or ``LA``.
    """
    pixels = visible = dark = touched = 0
    colours: set[tuple[int, int]] = set()
    for band in bands:
        alpha = np.asarray(band.getchannel("A"))
        grey = np.asarray(band.convert("RGBA").convert("L"))
        is_visible = alpha >= _VISIBLE
        pixels += alpha.size
        visible += int(is_visible.sum())
        dark += int((grey[is_visible] < _DARK).sum())
        touched += int((alpha > 0).sum())
        colours.add((int(grey.min()), int(grey.max())))
    if not touched:
        varied = len(colours) > 1 or any(low < high for low, high in colours)
        return Backdrop.OPAQUE if varied else Backdrop.WHITE
    is_print = 0 < visible <= _PRINT_SHARE * pixels
    return Backdrop.NEGATIVE if is_print and dark < _DARK_SHARE * visible else Backdrop.WHITE


def without_transparency(band: Image.Image, backdrop: Backdrop) -> Image.Image:
    """Return a part of an image in RGB.

    :param band: the part in mode ``RGBA`` or ``LA``.
    :param backdrop: the backdrop of the whole image.
    """
    band = band.convert("RGBA")
    if backdrop is Backdrop.OPAQUE:
        return band.convert("RGB")
    paper = Image.new("RGBA", band.size, "white" if backdrop is Backdrop.WHITE else "black")
    flat = Image.alpha_composite(paper, band).convert("RGB")
    return flat if backdrop is Backdrop.WHITE else ImageChops.invert(flat)
