"""Color channels of page images: most pages have no color, and a third of the pixels then says all."""

from __future__ import annotations

from PIL import Image, ImageChops

#: Pixels of the sample, across and down.
_SAMPLE = (32, 32)


def drop_color(image: Image.Image) -> Image.Image:
    """Return one channel if the three channels are equal; otherwise the image.

    :param image: RGB; images of other modes are returned unchanged.
    """
    if image.mode != "RGB":
        return image
    # Almost every page with color shows it in a few pixels, which cost nothing.
    if _has_color(image.resize(_SAMPLE, Image.Resampling.NEAREST)):
        return image
    red, green, blue = image.split()
    equal = all(ImageChops.difference(red, other).getbbox() is None for other in (green, blue))
    return red if equal else image


def _has_color(image: Image.Image) -> bool:
    pixels = image.tobytes()
    return pixels[::3] != pixels[1::3] or pixels[::3] != pixels[2::3]
