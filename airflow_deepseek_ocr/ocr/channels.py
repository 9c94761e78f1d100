"""Color channels of page images: most pages have no color, and a third of the pixels then says all."""

from __future__ import annotations

from PIL import Image, ImageChops


def drop_color(image: Image.Image) -> Image.Image:
    """Return one channel if the three channels are equal; otherwise the image.

    :param image: RGB; images of other modes are returned unchanged.
    """
    if image.mode != "RGB":
        return image
    red, green, blue = image.split()
    equal = all(ImageChops.difference(red, other).getbbox() is None for other in (green, blue))
    return red if equal else image
