"""Page images as bytes of a file, without loss."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image


def saved(image: Image.Image, *, raw: bool) -> memoryview:
    """The image as a file.

    :param image: RGB, or one channel.
    :param raw: as BMP, which takes some ms, and as many bytes as the image has; else as PNG, compressed as
        fast as it can be.
    """
    buffer = io.BytesIO()
    if raw:
        image.save(buffer, "BMP")
    else:
        image.save(buffer, "PNG", compress_level=1)
    return buffer.getbuffer()


def without_colour(image: Image.Image) -> Image.Image:
    """One channel, if all three are the same; else the image."""
    from PIL import ImageChops

    if image.mode != "RGB":
        return image
    red, green, blue = image.split()
    same = all(ImageChops.difference(red, other).getbbox() is None for other in (green, blue))
    return red if same else image
