"""PDFs with malformed page contents: operators, forms, patterns, fonts, images."""

from __future__ import annotations

import random
import zlib

from tests.corpus.documents.bombs import repeated, zeros
from tests.corpus.documents.raw_pdf import PRINT, assemble, flate, one_page, page, stream
from tests.corpus.documents.registry import malformed


@malformed("contents_of_noise.pdf")
def contents_of_noise() -> bytes:
    """Random bytes instead of drawing operators."""
    return assemble(one_page(contents=stream(random.Random(1).randbytes(20_000))))


@malformed("contents_with_an_unknown_filter.pdf")
def contents_with_an_unknown_filter() -> bytes:
    """An unknown compression filter."""
    return assemble(one_page(contents=stream(PRINT, b"/Filter /Squeeze")))


@malformed("contents_cut_short.pdf")
def contents_cut_short() -> bytes:
    """Half of a compressed stream."""
    data = zlib.compress(PRINT)
    return assemble(one_page(contents=stream(data[: len(data) // 2], b"/Filter /FlateDecode")))


@malformed("contents_with_a_false_length.pdf")
def contents_with_a_false_length() -> bytes:
    """A stream with a declared length beyond the end of the file."""
    return assemble(one_page(contents=stream(PRINT).replace(b"/Length ", b"/Length 9999")))


@malformed("state_saved_a_million_times.pdf")
def state_saved_a_million_times() -> bytes:
    """The graphics state is pushed and never popped."""
    return assemble(one_page(contents=flate(b"q " * 1_000_000 + PRINT)))


@malformed("contents_bomb.pdf", ("too_much_memory",))
def contents_bomb() -> bytes:
    """Two gigabytes of drawing operators, compressed twice to kilobytes."""
    once = repeated(b"0 0 1 1 re f " * 80_000, 2000)
    return assemble(
        one_page(contents=stream(zlib.compress(once, 9), b"/Filter [/FlateDecode /FlateDecode]"))
    )


def _form(content: bytes, inner: int | None) -> bytes:
    resources = b"/Resources << /XObject << /F %d 0 R >> >>" % inner if inner else b""
    return stream(content, b"/Type /XObject /Subtype /Form /BBox [0 0 200 200] " + resources)


@malformed("forms_that_draw_each_other.pdf")
def forms_that_draw_each_other() -> bytes:
    """Two form objects, each of which contains the other."""
    objects = one_page(
        page=page(resources=b"<< /XObject << /F 10 0 R >> >>"), contents=stream(PRINT + b" /F Do")
    )
    return assemble(objects | {10: _form(b"/F Do", 11), 11: _form(b"/F Do", 10)})


@malformed("form_bomb.pdf", ("too_much_memory",))
def form_bomb() -> bytes:
    """Nine form objects, each of which contains the next ten times: a billion rectangles."""
    objects = one_page(
        page=page(resources=b"<< /XObject << /F 10 0 R >> >>"), contents=stream(b"/F Do")
    )
    for number in range(10, 19):
        objects[number] = _form(b"/F Do " * 10, number + 1)
    return assemble(objects | {19: _form(b"0 0 5 5 re f", None)})


@malformed("patterns_of_patterns.pdf")
def patterns_of_patterns() -> bytes:
    """Nested patterns, each with hundreds of tiles."""
    tiling = b"/Type /Pattern /PatternType 1 /PaintType 1 /TilingType 1 /XStep 3 /YStep 3 "
    paint = b"/Pattern cs /P scn 0 0 200 200 re f"
    objects = one_page(
        page=page(resources=b"<< /Pattern << /P 10 0 R >> >>"), contents=stream(PRINT + paint)
    )
    for number in range(10, 15):
        inner = b"/BBox [0 0 200 200] /Resources << /Pattern << /P %d 0 R >> >>" % (number + 1)
        objects[number] = stream(paint, tiling + inner)
    objects[15] = stream(b"0 0 1 1 re f", tiling + b"/BBox [0 0 2 2] /Resources << >>")
    return assemble(objects)


def _font(glyph: int, inner: int | None) -> bytes:
    """Return a font; an object, which may use another font, draws its letter a."""
    resources = b"/Resources << /Font << /T %d 0 R >> >>" % inner if inner else b""
    return (
        b"<< /Type /Font /Subtype /Type3 /FontBBox [0 0 9 9] /FontMatrix [0.1 0 0 0.1 0 0] /FirstChar 97 "
        b"/LastChar 97 /Widths [9] /Encoding << /Differences [97 /a] >> /CharProcs << /a %d 0 R >> %s >>"
    ) % (glyph, resources)


@malformed("glyph_of_itself.pdf")
def glyph_of_itself() -> bytes:
    """A glyph that is drawn with itself."""
    contents = stream(PRINT + b" BT /T 20 Tf 20 20 Td (aaa) Tj ET")
    objects = one_page(page=page(resources=b"<< /Font << /T 10 0 R >> >>"), contents=contents)
    glyph = stream(b"9 0 d0 BT /T 9 Tf (a) Tj ET")
    return assemble(objects | {10: _font(11, 10), 11: glyph})


@malformed("glyph_bomb.pdf", ("too_slow",))
def glyph_bomb() -> bytes:
    """Twelve fonts; a glyph of each is drawn with ten glyphs of the next."""
    contents = stream(b"BT /T 20 Tf 20 20 Td (aaa) Tj ET")
    objects = one_page(page=page(resources=b"<< /Font << /T 10 0 R >> >>"), contents=contents)
    for font in range(10, 34, 2):
        objects[font] = _font(font + 1, font + 2)
        objects[font + 1] = stream(b"9 0 d0 BT /T 9 Tf (aaaaaaaaaa) Tj ET")
    return assemble(objects | {34: _font(35, None), 35: stream(b"9 0 d0 0 0 5 5 re f")})


@malformed("text_of_a_million_characters.pdf")
def text_of_a_million_characters() -> bytes:
    """The text of a book in a tiny font, each word at a separate position."""
    lines = [
        b"1 0 0 1 %d %d Tm (abcdefghi ) Tj" % (5 + 2 * column, 198 - row // 5)
        for row in range(900)
        for column in range(95)
    ]
    contents = flate(PRINT + b" BT /T 0.4 Tf " + b"\n".join(lines) + b" ET")
    font = b"<< /Font << /T << /Type /Font /Subtype /Type1 /BaseFont /Courier >> >> >>"
    return assemble(one_page(page=page(resources=font), contents=contents))


def _image(entries: bytes, data: bytes) -> bytes:
    """Return a page that shows an image."""
    objects = one_page(
        page=page(resources=b"<< /XObject << /I 10 0 R >> >>"),
        contents=stream(PRINT + b" 200 0 0 200 0 0 cm /I Do"),
    )
    return assemble(objects | {10: stream(data, b"/Type /XObject /Subtype /Image " + entries)})


@malformed("image_bomb.pdf")
def image_bomb() -> bytes:
    """A black image of 2.5 gigapixels: PDFium does not show it."""
    return _image(
        b"/Width 50000 /Height 50000 /ColorSpace /DeviceGray /BitsPerComponent 8 /Filter /FlateDecode",
        zeros(50_000 * 50_000),
    )


@malformed("image_of_no_size.pdf")
def image_of_no_size() -> bytes:
    """An image of 0 x -1 pixels."""
    return _image(b"/Width 0 /Height -1 /ColorSpace /DeviceGray /BitsPerComponent 8", b"")


@malformed("image_of_another_kind.pdf")
def image_of_another_kind() -> bytes:
    """Noise, declared as JPEG 2000."""
    return _image(b"/Width 99 /Height 99 /Filter /JPXDecode", random.Random(2).randbytes(5000))


@malformed("image_of_broken_jbig2.pdf")
def image_of_broken_jbig2() -> bytes:
    """Noise, declared as JBIG2."""
    return _image(
        b"/Width 99 /Height 99 /ColorSpace /DeviceGray /BitsPerComponent 1 /Filter /JBIG2Decode",
        random.Random(3).randbytes(5000),
    )


@malformed("soft_mask_of_itself.pdf")
def soft_mask_of_itself() -> bytes:
    """An image that is its transparency mask."""
    return _image(
        b"/Width 9 /Height 9 /ColorSpace /DeviceGray /BitsPerComponent 8 /SMask 10 0 R", bytes(81)
    )
