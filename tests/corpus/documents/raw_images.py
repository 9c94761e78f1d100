"""Images for tests, and PNGs assembled by hand so that no library corrects their defects."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
from PIL import Image


def printed(width: int = 240, height: int = 160) -> Image.Image:
    """Return a grey image with dark bars that resemble text on white."""
    pixels = np.full((height, width), 255, np.uint8)
    for top in range(10, height - 10, 16):
        pixels[top : top + 8, 10 : width - 10 : 5] = 0
        pixels[top : top + 8, 11 : width - 10 : 5] = 0
    return Image.fromarray(pixels)


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    """Return the content of a file in one of Pillow's formats."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def png_chunk(kind: bytes, data: bytes) -> bytes:
    """Return a PNG chunk with the right checksum."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, depth: int, colour: int, data: bytes, more: bytes = b"") -> bytes:
    """Return a PNG file.

    :param depth: bits of a sample.
    :param colour: colour type of the header.
    :param data: the compressed pixels.
    :param more: chunks between the header and the pixels.
    """
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + png_chunk(b"IHDR", header)
        + more
        + png_chunk(b"IDAT", data)
        + png_chunk(b"IEND", b"")
    )
