"""Lossless in-memory compression of page images that may be needed for a retry."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field

from PIL import Image, ImageChops

#: zlib's fastest level: twice as fast as PNG at its fastest, and no larger. Time matters more than memory.
_LEVEL = 1


@dataclass(frozen=True)
class CompressedImage:
    """A page image in about a tenth of its memory.

    :param mode: Pillow's mode of the data: ``L`` for grey images, else ``RGB``.
    :param size: width and height in pixels.
    :param data: the pixels, compressed with zlib.
    """

    mode: str
    size: tuple[int, int]
    data: bytes = field(repr=False)

    @classmethod
    def compress(cls, image: Image.Image) -> CompressedImage:
        """Compress an RGB image; a grey image keeps one channel only."""
        channels = drop_color(image)
        return cls(channels.mode, channels.size, zlib.compress(channels.tobytes(), _LEVEL))

    def decompress(self) -> Image.Image:
        """Return the image as RGB, equal in every pixel."""
        return Image.frombytes(self.mode, self.size, zlib.decompress(self.data)).convert("RGB")


def drop_color(image: Image.Image) -> Image.Image:
    """Return one channel if the three channels are equal; otherwise the image."""
    if image.mode != "RGB":
        return image
    red, green, blue = image.split()
    equal = all(ImageChops.difference(red, other).getbbox() is None for other in (green, blue))
    return red if equal else image
