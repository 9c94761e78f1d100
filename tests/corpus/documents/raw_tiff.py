"""TIFFs assembled by hand, with the tags and samples that no library writes."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

#: (type, values): 3 is SHORT, 4 is LONG.
Tag = tuple[int, Sequence[int]]
_CODES = {3: "H", 4: "I"}


@dataclass(frozen=True, kw_only=True)
class Directory:
    """An image of a TIFF.

    :param values: its samples, shape (height, width) or (height, width, channels).
    :param bits: BitsPerSample; None for that of the values.
    :param photometric: PhotometricInterpretation: 0 is min-is-white, 1 is min-is-black.
    :param sample_format: 1 unsigned, 2 signed, 3 real; None leaves the tag out.
    :param deflated: whether the samples are compressed.
    :param data: the samples in bytes; None for those of the values.
    :param tags: more tags.
    :param below: the images of its SubIFDs.
    """

    values: np.ndarray
    bits: int | None = None
    photometric: int = 1
    sample_format: int | None = None
    deflated: bool = False
    data: bytes | None = None
    tags: Mapping[int, Tag] = field(default_factory=dict)
    below: tuple[Directory, ...] = ()


def tiff(*directories: Directory, order: str = "<") -> bytes:
    """Return a TIFF file.

    :param order: byte order, ``<`` or ``>``.
    """
    out = bytearray(b"II" if order == "<" else b"MM")
    out += struct.pack(order + "HI", 42, 0)
    link = 4
    for directory in directories:
        at, next_link = _append(out, directory, order)
        struct.pack_into(order + "I", out, link, at)
        link = next_link
    return bytes(out)


def _append(out: bytearray, directory: Directory, order: str) -> tuple[int, int]:
    """Append an image; return the offsets of its directory, and of the link to the next one."""
    below = [_append(out, each, order)[0] for each in directory.below]
    values = directory.values
    samples = 1 if values.ndim == 2 else values.shape[2]
    data = directory.data or values.astype(values.dtype.newbyteorder(order)).tobytes()  # type: ignore[call-overload]
    data = zlib.compress(data) if directory.deflated else data
    tags: dict[int, Tag] = {
        256: (4, [values.shape[1]]),
        257: (4, [values.shape[0]]),
        258: (3, [directory.bits or values.dtype.itemsize * 8] * samples),
        259: (3, [8 if directory.deflated else 1]),
        262: (3, [directory.photometric]),
        273: (4, [len(out)]),
        277: (3, [samples]),
        278: (4, [values.shape[0]]),
        279: (4, [len(data)]),
        **directory.tags,
    }
    if directory.sample_format:
        tags[339] = (3, [directory.sample_format] * samples)
    if below:
        tags[330] = (4, below)
    out += data + b"\0" * (len(data) % 2)
    at, far = len(out), bytearray()
    entries = struct.pack(order + "H", len(tags))
    behind = at + 2 + 12 * len(tags) + 4
    for tag, (kind, numbers) in sorted(tags.items()):
        raw = struct.pack(order + _CODES[kind] * len(numbers), *numbers)
        if len(raw) > 4:
            far, raw = far + raw, struct.pack(order + "I", behind + len(far))
        entries += struct.pack(order + "HHI", tag, kind, len(numbers)) + raw.ljust(4, b"\0")
    out += entries + bytes(4) + far
    return at, behind - 4
