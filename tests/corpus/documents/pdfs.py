"""PDFs that are wrong as files: tables, objects, trees and sizes of pages, locks."""

from __future__ import annotations

import io

import pikepdf

from tests.conftest import ROOT
from tests.corpus.documents.animals import animal
from tests.corpus.documents.raw_pdf import HEADER, Objects, assemble, one_page, page, stream

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
