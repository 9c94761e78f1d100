"""The header of a JPEG file: whether its bytes can be a PDF's image as they are.

Bytes of unknown origin are read here without a decoder.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

#: Bytes of a file that are searched for its size: profiles and previews come before it.
_MOST_BYTES = 4 << 20
#: Start of frame: baseline, extended and progressive, with Huffman codes. PDF allows no others.
_FRAMES = frozenset({0xC0, 0xC1, 0xC2})
#: Markers without a length: restart, start and end of the image, TEM.
_ALONE = frozenset({0x01, *range(0xD0, 0xDA)})
#: EXIF's tag for the orientation, and its value for upright pictures.
_ORIENTATION, _UPRIGHT = 0x0112, 1


@dataclass(frozen=True)
class JpegHeader:
    """What a PDF has to say about a JPEG.

    :param width: in pixels, as stored.
    :param height: in pixels, as stored.
    :param components: 1 for grey, 3 for colour.
    :param is_upright: whether its EXIF data do not turn it.
    """

    width: int
    height: int
    components: int
    is_upright: bool


def read_jpeg_header(path: Path) -> JpegHeader | None:
    """Return the header of a JPEG file; None if a PDF cannot take its bytes."""
    with path.open("rb") as file:
        data = file.read(_MOST_BYTES)
    if data[:2] != b"\xff\xd8":
        return None
    position, upright = 2, True
    while position + 4 <= len(data):
        if data[position] != 0xFF:
            return None
        marker = data[position + 1]
        if marker == 0xFF or marker in _ALONE:
            position += 1 if marker == 0xFF else 2
            continue
        length = int.from_bytes(data[position + 2 : position + 4], "big")
        segment = data[position + 4 : position + 2 + length]
        if marker == 0xE1 and segment.startswith(b"Exif\0\0"):
            upright = _orientation(segment[6:]) == _UPRIGHT
        if marker in _FRAMES:
            return _frame(segment, is_upright=upright)
        if marker == 0xDA or length < 2:  # pixels before a frame that PDF allows
            return None
        position += 2 + length
    return None


def _frame(segment: bytes, *, is_upright: bool) -> JpegHeader | None:
    if len(segment) < 6:
        return None
    precision, height, width, components = struct.unpack(">BHHB", segment[:6])
    if precision != 8 or components not in (1, 3) or not width or not height:
        return None
    return JpegHeader(width, height, components, is_upright)


def _orientation(tiff: bytes) -> int:
    """Return the orientation in EXIF data; upright if it has none, or is damaged."""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(tiff[:4])
    if order is None or len(tiff) < 8:
        return _UPRIGHT
    (start,) = struct.unpack(f"{order}I", tiff[4:8])
    if start + 2 > len(tiff):
        return _UPRIGHT
    (count,) = struct.unpack(f"{order}H", tiff[start : start + 2])
    for entry in range(start + 2, min(start + 2 + 12 * count, len(tiff) - 11), 12):
        tag, _, _, value = struct.unpack(f"{order}HHIH", tiff[entry : entry + 10])
        if tag == _ORIENTATION:
            return int(value)
    return _UPRIGHT
