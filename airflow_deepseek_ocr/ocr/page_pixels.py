"""Pixels of a page as they came from the rendering process: a BMP file.

A server on the same host takes a page as such a file. So the pixels are written as they are, without being
decoded and encoded in the task's process, where both would hold the interpreter lock.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO, TypeAlias

if TYPE_CHECKING:
    from PIL import Image

#: Channels of a page with color (blue, green, red), and of one without.
COLOR, GREY = 3, 1
#: Bytes to which each row is padded (BITMAPINFOHEADER, "Bitmap Storage" in Microsoft's documentation).
_ALIGNMENT = 4
#: Bytes of Pillow's pixels in color.
_PILLOW_BYTES = 4
#: Header of the file (14 bytes) and of the image (40 bytes).
_HEADER = struct.Struct("<2sIII" + "IIIHHIIIIII")
#: Pixels per metre: 96 dpi, which nothing reads.
_DENSITY = 3780
#: Grey levels, as four bytes each.
_PALETTE = b"".join(bytes((level, level, level, 0)) for level in range(256))


def row_bytes(width: int, channels: int) -> int:
    """Return the bytes of a row with its padding.

    :param width: pixels of a row.
    :param channels: :data:`COLOR` or :data:`GREY`.
    """
    return -(-width * channels // _ALIGNMENT) * _ALIGNMENT


def header_bytes(channels: int) -> int:
    """Return the bytes of a BMP file before its rows.

    :param channels: :data:`COLOR` or :data:`GREY`.
    """
    return _HEADER.size + (0 if channels == COLOR else len(_PALETTE))


def file_bytes(size: tuple[int, int], channels: int) -> int:
    """Return the bytes of a BMP file.

    :param size: width and height in pixels.
    :param channels: :data:`COLOR` or :data:`GREY`.
    """
    return header_bytes(channels) + size[1] * row_bytes(size[0], channels)


def write_pixels(image: Image.Image, file: BinaryIO) -> None:
    """Write an image as a BMP file.

    Pillow encodes a few rows at a time straight into a file with a descriptor: the whole page is never
    copied.

    :param image: RGB, or one channel.
    :param file: an empty file.
    """
    image.save(file, "BMP")


@dataclass(frozen=True, eq=False)
class PagePixels:
    """An image that is decoded only where its pixels are needed.

    :param size: width and height in pixels.
    :param channels: :data:`COLOR` or :data:`GREY`.
    :param rows: all rows of the file, from the bottom to the top.
    """

    size: tuple[int, int]
    channels: int
    rows: memoryview = field(repr=False)

    @property
    def width(self) -> int:
        """Width in pixels."""
        return self.size[0]

    @property
    def height(self) -> int:
        """Height in pixels."""
        return self.size[1]

    def decode(self) -> Image.Image:
        """Return the image: RGB, or one channel (``L``) without color."""
        from PIL import Image

        mode = "RGB" if self.channels == COLOR else "L"
        stride = row_bytes(self.width, self.channels)
        return Image.frombytes(
            mode, self.size, self.rows, "raw", _raw_mode(self.channels), stride, -1
        )

    def bmp_header(self) -> bytes:
        """Return the part of a BMP file before the rows."""
        palette = b"" if self.channels == COLOR else _PALETTE
        offset, size = header_bytes(self.channels), self.rows.nbytes
        colors = len(palette) // 4
        file = (b"BM", offset + size, 0, offset)
        image = (40, *self.size, 1, 8 * self.channels, 0, size, _DENSITY, _DENSITY, colors, colors)
        return _HEADER.pack(*file, *image) + palette


#: A page's image, decoded or not; both have ``size``, ``width`` and ``height``.
PageImage: TypeAlias = "Image.Image | PagePixels"


def decoded(image: PageImage) -> Image.Image:
    """Return the image with its pixels."""
    return image.decode() if isinstance(image, PagePixels) else image


def memory_bytes(image: PageImage) -> int:
    """Return the bytes of memory that an image takes."""
    if isinstance(image, PagePixels):
        return image.rows.nbytes
    return _PILLOW_BYTES * image.width * image.height


def _raw_mode(channels: int) -> str:
    return "BGR" if channels == COLOR else "L"
