"""Decompression bombs, made without compressing their content."""

from __future__ import annotations

import struct
import zlib


def repeated(block: bytes, times: int) -> bytes:
    """Return a block, repeated, as a zlib stream; its checksum is right only for zeros."""
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    # After a full flush nothing refers to earlier data, so the piece can be repeated.
    piece = compressor.compress(block) + compressor.flush(zlib.Z_FULL_FLUSH)
    length = len(block) * times
    checksum = (length % 65521) << 16 | 1
    return b"\x78\xda" + piece * times + b"\x03\x00" + struct.pack(">I", checksum)


def zeros(size: int) -> bytes:
    """Return ``size`` zeros, or up to a megabyte more, as a zlib stream."""
    return (
        repeated(bytes(1 << 20), -(-size >> 20)) if size > 1 << 20 else zlib.compress(bytes(size))
    )
