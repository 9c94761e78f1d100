"""PDFs assembled by hand, so that no library corrects their defects."""

from __future__ import annotations

import zlib
from collections.abc import Mapping

Objects = dict[int, bytes]

HEADER = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n"
#: Bars that resemble text, so that a page is not blank.
PRINT = b"0 g " + b" ".join(
    b"%d %d 3 9 re f" % (x, y) for y in range(60, 160, 20) for x in range(20, 180, 6)
)


def stream(data: bytes, entries: bytes = b"") -> bytes:
    """Return a stream object with the right length."""
    return b"<< /Length %d %s >>\nstream\n%s\nendstream" % (len(data), entries, data)


def flate(data: bytes, entries: bytes = b"") -> bytes:
    """Return a compressed stream."""
    return stream(zlib.compress(data, 9), b"/Filter /FlateDecode " + entries)


def page(
    *,
    parent: int = 2,
    contents: int = 4,
    box: bytes = b"/MediaBox [0 0 200 200]",
    resources: bytes = b"<< >>",
    more: bytes = b"",
) -> bytes:
    """Return a page object."""
    return b"<< /Type /Page /Parent %d 0 R %s /Contents %d 0 R /Resources %s %s >>" % (
        parent, box, contents, resources, more
    )  # fmt: skip


def one_page(**changes: bytes) -> Objects:
    """Return catalog 1, page tree 2, page 3 and its contents 4; ``changes`` replaces them by name."""
    return {
        1: changes.get("catalog", b"<< /Type /Catalog /Pages 2 0 R >>"),
        2: changes.get("pages", b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>"),
        3: changes.get("page", page()),
        4: changes.get("contents", stream(PRINT)),
    }


def assemble(objects: Mapping[int, bytes], trailer: bytes = b"/Root 1 0 R") -> bytes:
    """Return the file with a correct cross-reference table.

    :param objects: the objects by number.
    :param trailer: the entries of the trailer, without the size.
    """
    out, offsets = bytearray(HEADER), {}
    for number, content in objects.items():
        offsets[number] = len(out)
        out += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    start, size = len(out), max(objects) + 1
    out += b"xref\n0 %d\n0000000000 65535 f \n" % size
    for number in range(1, size):
        if number in offsets:
            out += b"%010d 00000 n \n" % offsets[number]
        else:
            out += b"0000000000 65535 f \n"
    out += b"trailer\n<< /Size %d %s >>\nstartxref\n%d\n%%%%EOF\n" % (size, trailer, start)
    return bytes(out)
