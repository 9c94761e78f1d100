"""Small files that unpack to large ones, made without packing the large ones."""

from __future__ import annotations

import struct
import zlib


def repeated(block: bytes, times: int) -> bytes:
    """``block``, ``times`` times, as a zlib stream; its checksum holds for zeros only."""
    squeezed = zlib.compressobj(9, zlib.DEFLATED, -15)
    # After a full flush nothing refers to what was before, so that the piece can stand again and again.
    piece = squeezed.compress(block) + squeezed.flush(zlib.Z_FULL_FLUSH)
    length = len(block) * times
    checksum = (length % 65521) << 16 | 1
    return b"\x78\xda" + piece * times + b"\x03\x00" + struct.pack(">I", checksum)


def zeros(size: int) -> bytes:
    """So many zeros, or up to a megabyte more, as a zlib stream."""
    return (
        repeated(bytes(1 << 20), -(-size >> 20)) if size > 1 << 20 else zlib.compress(bytes(size))
    )
