"""Searchable PDFs of images: a page for each picture, with invisible text, written as a stream.

The pictures come from the rendering process, so that nothing of unknown origin is parsed here. Pages are
written one by one: a document of 2,000 scans takes the memory of one.
"""

from __future__ import annotations

import hashlib
import zlib
from typing import BinaryIO

from PIL import Image

from airflow_deepseek_ocr.ocr.exports.pdf.glyphless_font import (
    ASCENT,
    DESCENT,
    GLYPH_WIDTH,
    glyph_of_all,
    glyphless_font,
)
from airflow_deepseek_ocr.ocr.exports.pdf.invisible_text import (
    FONT_NAME,
    InvisibleText,
    PageText,
    to_user_space,
)

#: Resolution of images that name none, in dpi: that of office scanners by default.
DEFAULT_DPI = 200.0
#: Longest side of a page in units of 1/72 inch, beyond which readers refuse it (ISO 32000-1, annex C.2).
_LONGEST_SIDE = 14_400.0
#: Level of zlib: 9 takes three times as long for 2 % fewer bytes of a scan.
_LEVEL = 6
#: Numbers of the first objects: catalog, tree of pages, font, its descendant, descriptor, program, map from
#: characters to glyphs, map to Unicode.
_CATALOG, _PAGES, _FONT, _DESCENDANT, _DESCRIPTOR, _PROGRAM, _GLYPHS, _UNICODE = range(1, 9)


class PicturePdf:
    """Writes a PDF of pictures; the same pictures and texts make the same bytes.

    :param target: an empty binary file that is open for writing; :meth:`finish` leaves it open.
    """

    def __init__(self, target: BinaryIO) -> None:
        self._target, self._text = target, InvisibleText()
        self._offsets: dict[int, int] = {}
        self._pages: list[int] = []
        self._next, self._written = _UNICODE + 1, 0
        self._hash = hashlib.sha256()
        self._write(b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n")

    def add_page(
        self,
        image: Image.Image,
        text: PageText | None,
        *,
        dpi: float | None = None,
        jpeg: bytes | None = None,
    ) -> None:
        """Add a page.

        :param image: its picture.
        :param text: its words; None for a page without text.
        :param dpi: its resolution; None takes 200 dpi.
        :param jpeg: the bytes of a JPEG file with the same pixels, to be taken as they are.
        """
        width, height = page_size(image.size, dpi)
        picture = self._picture(image, jpeg)
        content = b"q %.4f 0 0 %.4f 0 0 cm /Picture Do Q\n" % (width, height)
        if text is not None:
            matrix = to_user_space((0.0, 0.0, width, height), 0, image.size)
            content = self._text.stream(text, matrix) + content
        contents = self._stream(b"", content)
        page = self._number()
        self._pages.append(page)
        self._object(
            page,
            b"<< /Type /Page /Parent %d 0 R /MediaBox [0 0 %.4f %.4f] /Contents %d 0 R /Resources << "
            b"/Font << /%s %d 0 R >> /XObject << /Picture %d 0 R >> >> >>"
            % (_PAGES, width, height, contents, FONT_NAME.encode(), _FONT, picture),
        )

    def finish(self) -> None:
        """Write what all pages share, and the end of the file."""
        kids = b" ".join(b"%d 0 R" % page for page in self._pages)
        self._object(_PAGES, b"<< /Type /Pages /Kids [%s] /Count %d >>" % (kids, len(self._pages)))
        self._object(_CATALOG, b"<< /Type /Catalog /Pages %d 0 R >>" % _PAGES)
        self._write_font()
        start = self._written
        size = self._next
        entries = b"".join(b"%010d 00000 n \n" % self._offsets[number] for number in range(1, size))
        identity = self._hash.hexdigest()[:32].encode()
        self._write(
            b"xref\n0 %d\n0000000000 65535 f \n%s"
            b"trailer\n<< /Size %d /Root %d 0 R /ID [<%s> <%s>] >>\nstartxref\n%d\n%%%%EOF\n"
            % (size, entries, size, _CATALOG, identity, identity, start)
        )

    def _write_font(self) -> None:
        program = glyphless_font()
        self._object(
            _FONT,
            b"<< /Type /Font /Subtype /Type0 /BaseFont /GlyphLess /Encoding /Identity-H "
            b"/DescendantFonts [%d 0 R] /ToUnicode %d 0 R >>" % (_DESCENDANT, _UNICODE),
        )
        self._object(
            _DESCENDANT,
            b"<< /Type /Font /Subtype /CIDFontType2 /BaseFont /GlyphLess /CIDSystemInfo << "
            b"/Registry (Adobe) /Ordering (Identity) /Supplement 0 >> /FontDescriptor %d 0 R "
            b"/DW %d /CIDToGIDMap %d 0 R >>" % (_DESCRIPTOR, GLYPH_WIDTH, _GLYPHS),
        )
        self._object(
            _DESCRIPTOR,
            b"<< /Type /FontDescriptor /FontName /GlyphLess /Flags 5 /FontBBox [0 %d %d %d] "
            b"/ItalicAngle 0 /Ascent %d /Descent %d /CapHeight %d /StemV 80 /FontFile2 %d 0 R >>"
            % (DESCENT, GLYPH_WIDTH, ASCENT, ASCENT, DESCENT, ASCENT, _PROGRAM),
        )
        self._stream(b"/Length1 %d " % len(program), program, _PROGRAM)
        self._stream(b"", glyph_of_all(), _GLYPHS)
        self._stream(b"", self._text.character_map(), _UNICODE)

    def _picture(self, image: Image.Image, jpeg: bytes | None) -> int:
        plain = image if image.mode in ("1", "L", "RGB") else image.convert("RGB")
        if jpeg is not None:
            colours, bits, data, filter_name = _colours(plain), 8, jpeg, b"/DCTDecode"
        else:
            plain = fewest_colours(plain)
            colours, bits = _colours(plain), 1 if plain.mode == "1" else 8
            data, filter_name = zlib.compress(plain.tobytes(), _LEVEL), b"/FlateDecode"
        values = (
            b"/Type /XObject /Subtype /Image /Width %d /Height %d /ColorSpace %s "
            b"/BitsPerComponent %d " % (*plain.size, colours, bits)
        )
        return self._stream(values, data, filter_name=filter_name)

    def _stream(
        self, values: bytes, data: bytes, number: int | None = None, filter_name: bytes = b""
    ) -> int:
        """Write a stream, compressed unless it has a filter already, and return its number."""
        number = self._number() if number is None else number
        if not filter_name:
            data, filter_name = zlib.compress(data, _LEVEL), b"/FlateDecode"
        head = b"<< %s/Length %d /Filter %s >>\nstream\n" % (values, len(data), filter_name)
        self._object(number, head, data, b"\nendstream")
        return number

    def _number(self) -> int:
        self._next += 1
        return self._next - 1

    def _object(self, number: int, *parts: bytes) -> None:
        self._offsets[number] = self._written
        self._write(b"%d 0 obj\n" % number)
        for part in parts:
            self._write(part)
        self._write(b"\nendobj\n")

    def _write(self, data: bytes) -> None:
        self._target.write(data)
        self._hash.update(data)
        self._written += len(data)


def page_size(size: tuple[int, int], dpi: float | None) -> tuple[float, float]:
    """Return width and height of a page in units of 1/72 inch.

    :param size: of its picture in pixels.
    :param dpi: its resolution; None takes 200 dpi.
    """
    unit = 72 / (dpi or DEFAULT_DPI)
    unit = min(unit, _LONGEST_SIDE / max(size))
    return size[0] * unit, size[1] * unit


def fewest_colours(image: Image.Image) -> Image.Image:
    """Return the same pixels in black and white, or grey, if they have no other colours."""
    if image.mode == "1":
        return image
    grey = image.convert("L")
    if image.mode != "L" and grey.convert("RGB").tobytes() != image.tobytes():
        return image
    levels = grey.histogram()
    if levels[0] + levels[255] == grey.width * grey.height:
        return grey.convert("1", dither=Image.Dither.NONE)
    return grey


def _colours(image: Image.Image) -> bytes:
    return b"/DeviceRGB" if image.mode == "RGB" else b"/DeviceGray"
