"""PDFs that are wrong."""

from __future__ import annotations

import io
import random
import zlib

import pikepdf

from tests.conftest import ROOT
from tests.zoo.animals import animal
from tests.zoo.bombs import repeated, zeros
from tests.zoo.raw_pdf import HEADER, PRINT, Objects, assemble, flate, one_page, page, stream

INVOICE = ROOT / "demo" / "documents" / "invoice.pdf"
DAMAGED = "damaged"


# The file as a whole.


@animal("empty.pdf", "empty_file")
def empty() -> bytes:
    """Zero bytes."""
    return b""


@animal("only_header.pdf", DAMAGED)
def only_header() -> bytes:
    """Nothing after the header."""
    return HEADER


@animal("truncated.pdf", DAMAGED)
def truncated() -> bytes:
    """The first part of an upload."""
    return INVOICE.read_bytes()[:3000]


@animal("truncated_before_the_table.pdf", DAMAGED)
def truncated_before_the_table() -> bytes:
    """All pages are there, but nothing says which object is the first."""
    whole = assemble(one_page())
    return whole[: whole.index(b"xref")]


@animal("truncated_in_the_last_line.pdf")
def truncated_in_the_last_line() -> bytes:
    """All is there but for where it begins."""
    whole = assemble(one_page())
    return whole[: whole.rindex(b"startxref")]


@animal("mail_before_the_header.pdf")
def mail_before_the_header() -> bytes:
    """Headers of a mail, left in front."""
    return b"Content-Type: application/pdf\r\n" * 15 + assemble(one_page())


@animal("header_too_late.pdf", "unsupported_type")
def header_too_late() -> bytes:
    """More in front of the header than any reader allows."""
    return b"\n" * 1100 + assemble(one_page())


@animal("line_ends_mangled.pdf")
def line_ends_mangled() -> bytes:
    """Sent as text: every line end has become two characters."""
    return assemble(one_page()).replace(b"\n", b"\r\n")


@animal("kilobytes_of_zeros_behind.pdf")
def kilobytes_of_zeros_behind() -> bytes:
    """Padded by a disk's blocks."""
    return assemble(one_page()) + bytes(50_000)


@animal("two_files_in_one.pdf")
def two_files_in_one() -> bytes:
    """One file appended to another."""
    return assemble(one_page()) * 2


# Cross-references and objects.


@animal("broken_xref.pdf")
def broken_xref() -> bytes:
    """Offsets that point anywhere."""
    whole = assemble(one_page())
    table = whole.index(b"xref")
    return whole[:table] + whole[table:].replace(b"00 n", b"07 n").replace(b"00000000", b"00000099")


@animal("startxref_beyond_the_end.pdf")
def startxref_beyond_the_end() -> bytes:
    """Its last line points behind the file."""
    whole = assemble(one_page())
    return whole[: whole.rindex(b"startxref")] + b"startxref\n999999999\n%%EOF\n"


@animal("xref_loop.pdf")
def xref_loop() -> bytes:
    """The table before this one is this one."""
    whole = assemble(one_page())
    return assemble(one_page(), b"/Root 1 0 R /Prev %010d" % whole.index(b"xref"))


@animal("no_catalog.pdf", DAMAGED)
def no_catalog() -> bytes:
    """The trailer's root is a number."""
    return assemble(one_page() | {9: b"42"}, b"/Root 9 0 R")


@animal("catalog_is_itself.pdf", DAMAGED)
def catalog_is_itself() -> bytes:
    """An object that is only a reference to itself."""
    return assemble(one_page(catalog=b"1 0 R"))


@animal("endless_name.pdf")
def endless_name() -> bytes:
    """A name of a megabyte in the catalog."""
    return assemble(one_page(catalog=b"<< /Type /Catalog /Pages 2 0 R /" + b"A" * 10**6 + b" 1 >>"))


def _nested(opening: bytes, closing: bytes, depth: int) -> bytes:
    deep = opening * depth + b" " + closing * depth
    return assemble(one_page(catalog=b"<< /Type /Catalog /Pages 2 0 R /Deep %s >>" % deep))


@animal("arrays_nested_100000_deep.pdf")
def arrays_nested_deep() -> bytes:
    """Parsers that recurse run out of stack."""
    return _nested(b"[", b"]", 100_000)


@animal("dictionaries_nested_100000_deep.pdf")
def dictionaries_nested_deep() -> bytes:
    """The same with dictionaries."""
    return _nested(b"<< /D ", b">>", 100_000)


@animal("references_in_a_circle.pdf")
def references_in_a_circle() -> bytes:
    """The page's contents are a reference to a reference to it."""
    return assemble(one_page(contents=b"5 0 R") | {5: b"4 0 R"})


# The page tree.


@animal("no_pages.pdf", DAMAGED)
def no_pages() -> bytes:
    """A tree without pages."""
    return assemble(one_page(pages=b"<< /Type /Pages /Kids [] /Count 0 >>"))


@animal("page_tree_loop.pdf", ("damaged_page",))
def page_tree_loop() -> bytes:
    """The tree's only branch is the tree."""
    return assemble(one_page(pages=b"<< /Type /Pages /Kids [2 0 R] /Count 1 >>"))


@animal("page_tree_5000_deep.pdf", ("damaged_page",))
def page_tree_deep() -> bytes:
    """A tree that is a pole."""
    objects: Objects = one_page(pages=b"<< /Type /Pages /Kids [10 0 R] /Count 1 >>")
    for number in range(10, 5010):
        below = 3 if number == 5009 else number + 1
        above = 2 if number == 10 else number - 1
        objects[number] = b"<< /Type /Pages /Parent %d 0 R /Kids [%d 0 R] /Count 1 >>" % (
            above, below
        )  # fmt: skip
    return assemble(objects)


@animal("page_count_of_a_billion.pdf")
def page_count_of_a_billion() -> bytes:
    """The tree says more pages than it has."""
    return assemble(one_page(pages=b"<< /Type /Pages /Kids [3 0 R] /Count 1000000000 >>"))


@animal("page_count_below_zero.pdf")
def page_count_below_zero() -> bytes:
    """The tree says less than none."""
    return assemble(one_page(pages=b"<< /Type /Pages /Kids [3 0 R] /Count -5 >>"))


@animal("second_page_missing.pdf", (None, "damaged_page", None))
def second_page_missing() -> bytes:
    """The tree names an object that is not there."""
    objects = one_page(pages=b"<< /Type /Pages /Kids [3 0 R 77 0 R 5 0 R] /Count 3 >>")
    return assemble(objects | {5: page()})


@animal("page_is_a_number.pdf", ("damaged_page",))
def page_is_a_number() -> bytes:
    """The tree names something that is no page."""
    return assemble(one_page(page=b"42"))


@animal("pages_2001.pdf", "too_many_pages")
def pages_2001() -> bytes:
    """More pages than the limit."""
    kids = b"3 0 R " * 2001
    return assemble(one_page(pages=b"<< /Type /Pages /Kids [%s] /Count 2001 >>" % kids))


# Sizes of pages.


def _box(box: bytes, more: bytes = b"") -> bytes:
    return assemble(one_page(page=page(box=box, more=more)))


@animal("page_of_zero_size.pdf")
def page_of_zero_size() -> bytes:
    """A page without area; viewers take Letter."""
    return _box(b"/MediaBox [0 0 0 0]")


@animal("page_without_size.pdf")
def page_without_size() -> bytes:
    """No MediaBox anywhere."""
    return _box(b"")


@animal("page_inside_out.pdf")
def page_inside_out() -> bytes:
    """Corners the wrong way round."""
    return _box(b"/MediaBox [200 200 0 0]")


@animal("page_of_20000_points.pdf")
def page_of_20000_points() -> bytes:
    """Seven metres a side: 1.6 thousand megapixels at 144 dpi."""
    return _box(b"/MediaBox [0 0 20000 20000]")


@animal("page_of_infinite_size.pdf")
def page_of_infinite_size() -> bytes:
    """Numbers that no float holds."""
    return _box(b"/MediaBox [0 0 1%s 1%s]" % (b"0" * 60, b"0" * 60))


@animal("page_like_a_hair.pdf")
def page_like_a_hair() -> bytes:
    """Two hundred points wide, a hundredth high."""
    return _box(b"/MediaBox [0 0 200 0.01]")


@animal("page_like_a_tape.pdf")
def page_like_a_tape() -> bytes:
    """A hundred times as high as wide."""
    return _box(b"/MediaBox [0 0 100 10000]")


@animal("page_crop_outside.pdf", ("damaged_page",))
def page_crop_outside() -> bytes:
    """The part to show lies outside of the page."""
    return _box(b"/MediaBox [0 0 200 200]", b"/CropBox [5000 5000 6000 6000]")


@animal("page_turned_by_45_degrees.pdf")
def page_turned_by_45_degrees() -> bytes:
    """No angle that a page may have."""
    return _box(b"/MediaBox [0 0 200 200]", b"/Rotate 45")


@animal("page_with_a_huge_unit.pdf")
def page_with_a_huge_unit() -> bytes:
    """A million points to the unit."""
    return _box(b"/MediaBox [0 0 200 200]", b"/UserUnit 1000000")


# Passwords and what is no page.


def _saved(pdf: pikepdf.Pdf, **options: object) -> bytes:
    buffer = io.BytesIO()
    pdf.save(buffer, static_id=not options, **options)  # type: ignore[arg-type]
    return buffer.getvalue()


def _encrypted(user: str, owner: str) -> bytes:
    with pikepdf.open(io.BytesIO(assemble(one_page()))) as pdf:
        return _saved(pdf, encryption=pikepdf.Encryption(user=user, owner=owner))


@animal("encrypted_with_password.pdf", "password_protected")
def encrypted_with_password() -> bytes:
    """Opens with a password only."""
    return _encrypted("secret", "owner")


@animal("encrypted_for_everyone.pdf")
def encrypted_for_everyone() -> bytes:
    """Encrypted, but the password is empty: only printing and changing is forbidden."""
    return _encrypted("", "owner")


@animal("encrypted_for_a_certificate.pdf", "unsupported_encryption")
def encrypted_for_a_certificate() -> bytes:
    """Encrypted for the owner of a key; no password opens it."""
    encrypt = b"<< /Filter /Adobe.PubSec /SubFilter /adbe.pkcs7.s4 /V 2 /Length 128 >>"
    return assemble(
        one_page() | {9: encrypt}, b"/Root 1 0 R /Encrypt 9 0 R /ID [<00112233> <00112233>]"
    )


@animal("javascript_only.pdf")
def javascript_only() -> bytes:
    """A blank page and a script that never ends; scripts are not run."""
    script = b"<< /S /JavaScript /JS (while \\(true\\) { app.alert\\(1\\); }) >>"
    catalog = b"<< /Type /Catalog /Pages 2 0 R /OpenAction 9 0 R >>"
    return assemble(one_page(catalog=catalog, contents=stream(b"")) | {9: script})


@animal("javascript_and_no_page.pdf", DAMAGED)
def javascript_and_no_page() -> bytes:
    """A script, and nothing to show."""
    script = b"<< /S /JavaScript /JS (app.alert\\(1\\)) >>"
    return assemble({1: b"<< /Type /Catalog /OpenAction 9 0 R >>", 9: script})


@animal("form_fields_in_a_circle.pdf")
def form_fields_in_a_circle() -> bytes:
    """A form's field is its own child."""
    catalog = b"<< /Type /Catalog /Pages 2 0 R /AcroForm << /Fields [9 0 R] >> >>"
    field = b"<< /T (a) /FT /Tx /Kids [9 0 R] /Parent 9 0 R >>"
    return assemble(one_page(catalog=catalog) | {9: field})


@animal("outline_in_a_circle.pdf")
def outline_in_a_circle() -> bytes:
    """A bookmark comes after itself."""
    catalog = b"<< /Type /Catalog /Pages 2 0 R /Outlines 9 0 R >>"
    item = b"<< /Title (a) /Parent 9 0 R /Next 10 0 R /First 10 0 R >>"
    return assemble(one_page(catalog=catalog) | {9: b"<< /First 10 0 R /Last 10 0 R >>", 10: item})


@animal("annotation_of_itself.pdf")
def annotation_of_itself() -> bytes:
    """A note whose appearance draws its own appearance."""
    look = stream(
        b"/F Do",
        b"/Type /XObject /Subtype /Form /BBox [0 0 50 50] /Resources << /XObject << /F 10 0 R >> >>",
    )
    note = b"<< /Type /Annot /Subtype /Stamp /Rect [0 0 50 50] /AP << /N 10 0 R >> /Popup 9 0 R >>"
    return assemble(one_page(page=page(more=b"/Annots [9 0 R 9 0 R]")) | {9: note, 10: look})


# Contents.


@animal("contents_of_noise.pdf")
def contents_of_noise() -> bytes:
    """Random bytes instead of drawing operators."""
    return assemble(one_page(contents=stream(random.Random(1).randbytes(20_000))))


@animal("contents_with_an_unknown_filter.pdf")
def contents_with_an_unknown_filter() -> bytes:
    """Compressed in a way that there is not."""
    return assemble(one_page(contents=stream(PRINT, b"/Filter /Squeeze")))


@animal("contents_cut_short.pdf")
def contents_cut_short() -> bytes:
    """A compressed stream that ends in its middle."""
    data = zlib.compress(PRINT)
    return assemble(one_page(contents=stream(data[: len(data) // 2], b"/Filter /FlateDecode")))


@animal("contents_with_a_false_length.pdf")
def contents_with_a_false_length() -> bytes:
    """A stream that says it is longer than the file."""
    return assemble(one_page(contents=stream(PRINT).replace(b"/Length ", b"/Length 9999")))


@animal("state_saved_a_million_times.pdf")
def state_saved_a_million_times() -> bytes:
    """The drawing state is pushed and never popped."""
    return assemble(one_page(contents=flate(b"q " * 1_000_000 + PRINT)))


@animal("contents_bomb.pdf", ("too_much_memory",))
def contents_bomb() -> bytes:
    """Two gigabytes of drawing operators, compressed twice to kilobytes."""
    once = repeated(b"0 0 1 1 re f " * 80_000, 2000)
    return assemble(
        one_page(contents=stream(zlib.compress(once, 9), b"/Filter [/FlateDecode /FlateDecode]"))
    )


def _form(content: bytes, inner: int | None) -> bytes:
    resources = b"/Resources << /XObject << /F %d 0 R >> >>" % inner if inner else b""
    return stream(content, b"/Type /XObject /Subtype /Form /BBox [0 0 200 200] " + resources)


@animal("forms_that_draw_each_other.pdf")
def forms_that_draw_each_other() -> bytes:
    """Two drawings, each of which contains the other."""
    objects = one_page(
        page=page(resources=b"<< /XObject << /F 10 0 R >> >>"), contents=stream(PRINT + b" /F Do")
    )
    return assemble(objects | {10: _form(b"/F Do", 11), 11: _form(b"/F Do", 10)})


@animal("form_bomb.pdf", ("too_much_memory",))
def form_bomb() -> bytes:
    """Nine drawings, each of which contains the next ten times: a billion rectangles."""
    objects = one_page(
        page=page(resources=b"<< /XObject << /F 10 0 R >> >>"), contents=stream(b"/F Do")
    )
    for number in range(10, 19):
        objects[number] = _form(b"/F Do " * 10, number + 1)
    return assemble(objects | {19: _form(b"0 0 5 5 re f", None)})


@animal("patterns_of_patterns.pdf")
def patterns_of_patterns() -> bytes:
    """Patterns made of patterns, each of them with hundreds of tiles."""
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
    """A font whose letter a is drawn by an object, which may use another font."""
    resources = b"/Resources << /Font << /T %d 0 R >> >>" % inner if inner else b""
    return (
        b"<< /Type /Font /Subtype /Type3 /FontBBox [0 0 9 9] /FontMatrix [0.1 0 0 0.1 0 0] /FirstChar 97 "
        b"/LastChar 97 /Widths [9] /Encoding << /Differences [97 /a] >> /CharProcs << /a %d 0 R >> %s >>"
    ) % (glyph, resources)


@animal("glyph_of_itself.pdf")
def glyph_of_itself() -> bytes:
    """A letter of a font that is drawn with the same letter."""
    contents = stream(PRINT + b" BT /T 20 Tf 20 20 Td (aaa) Tj ET")
    objects = one_page(page=page(resources=b"<< /Font << /T 10 0 R >> >>"), contents=contents)
    glyph = stream(b"9 0 d0 BT /T 9 Tf (a) Tj ET")
    return assemble(objects | {10: _font(11, 10), 11: glyph})


@animal("glyph_bomb.pdf", ("too_slow",))
def glyph_bomb() -> bytes:
    """Twelve fonts, each of whose letters is drawn with ten letters of the next."""
    contents = stream(b"BT /T 20 Tf 20 20 Td (aaa) Tj ET")
    objects = one_page(page=page(resources=b"<< /Font << /T 10 0 R >> >>"), contents=contents)
    for font in range(10, 34, 2):
        objects[font] = _font(font + 1, font + 2)
        objects[font + 1] = stream(b"9 0 d0 BT /T 9 Tf (aaaaaaaaaa) Tj ET")
    return assemble(objects | {34: _font(35, None), 35: stream(b"9 0 d0 0 0 5 5 re f")})


@animal("text_of_a_million_characters.pdf")
def text_of_a_million_characters() -> bytes:
    """A page with a book's text in the size of dust, each word in a place of its own."""
    lines = [
        b"1 0 0 1 %d %d Tm (abcdefghi ) Tj" % (5 + 2 * column, 198 - row // 5)
        for row in range(900)
        for column in range(95)
    ]
    contents = flate(PRINT + b" BT /T 0.4 Tf " + b"\n".join(lines) + b" ET")
    font = b"<< /Font << /T << /Type /Font /Subtype /Type1 /BaseFont /Courier >> >> >>"
    return assemble(one_page(page=page(resources=font), contents=contents))


def _image(entries: bytes, data: bytes) -> bytes:
    """A page that shows an image."""
    objects = one_page(
        page=page(resources=b"<< /XObject << /I 10 0 R >> >>"),
        contents=stream(PRINT + b" 200 0 0 200 0 0 cm /I Do"),
    )
    return assemble(objects | {10: stream(data, b"/Type /XObject /Subtype /Image " + entries)})


@animal("image_bomb.pdf")
def image_bomb() -> bytes:
    """An image of 2.5 gigapixels, all black: PDFium does not show it."""
    return _image(
        b"/Width 50000 /Height 50000 /ColorSpace /DeviceGray /BitsPerComponent 8 /Filter /FlateDecode",
        zeros(50_000 * 50_000),
    )


@animal("image_of_no_size.pdf")
def image_of_no_size() -> bytes:
    """An image of zero by minus one pixels."""
    return _image(b"/Width 0 /Height -1 /ColorSpace /DeviceGray /BitsPerComponent 8", b"")


@animal("image_of_another_kind.pdf")
def image_of_another_kind() -> bytes:
    """Says JPEG 2000, is noise."""
    return _image(b"/Width 99 /Height 99 /Filter /JPXDecode", random.Random(2).randbytes(5000))


@animal("image_of_broken_jbig2.pdf")
def image_of_broken_jbig2() -> bytes:
    """Says JBIG2, is noise."""
    return _image(
        b"/Width 99 /Height 99 /ColorSpace /DeviceGray /BitsPerComponent 1 /Filter /JBIG2Decode",
        random.Random(3).randbytes(5000),
    )


@animal("soft_mask_of_itself.pdf")
def soft_mask_of_itself() -> bytes:
    """An image whose transparency is the image."""
    return _image(
        b"/Width 9 /Height 9 /ColorSpace /DeviceGray /BitsPerComponent 8 /SMask 10 0 R", bytes(81)
    )
