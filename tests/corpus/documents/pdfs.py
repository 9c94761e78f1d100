"""PDFs with a malformed structure: tables, objects, page trees, page sizes, encryption."""

from __future__ import annotations

import io

import pikepdf

from tests.conftest import ROOT
from tests.corpus.documents.raw_pdf import HEADER, Objects, assemble, one_page, page, stream
from tests.corpus.documents.registry import malformed

INVOICE = ROOT / "demo" / "documents" / "invoice.pdf"
DAMAGED = "damaged"


# The file as a whole.


@malformed("empty.pdf", "empty_file")
def empty() -> bytes:
    """Zero bytes."""
    return b""


@malformed("only_header.pdf", DAMAGED)
def only_header() -> bytes:
    """A header without content."""
    return HEADER


@malformed("truncated.pdf", DAMAGED)
def truncated() -> bytes:
    """The first 3,000 bytes of a file."""
    return INVOICE.read_bytes()[:3000]


@malformed("truncated_before_the_table.pdf", DAMAGED)
def truncated_before_the_table() -> bytes:
    """Complete pages without a cross-reference table and a trailer."""
    whole = assemble(one_page())
    return whole[: whole.index(b"xref")]


@malformed("truncated_in_the_last_line.pdf")
def truncated_in_the_last_line() -> bytes:
    """A complete file without the offset of its cross-reference table."""
    whole = assemble(one_page())
    return whole[: whole.rindex(b"startxref")]


@malformed("mail_before_the_header.pdf")
def mail_before_the_header() -> bytes:
    """Mail headers before the PDF header."""
    return b"Content-Type: application/pdf\r\n" * 15 + assemble(one_page())


@malformed("header_too_late.pdf", "unsupported_type")
def header_too_late() -> bytes:
    """A header behind the first KiB."""
    return b"\n" * 1100 + assemble(one_page())


@malformed("line_ends_mangled.pdf")
def line_ends_mangled() -> bytes:
    """Transferred as text: each line end has become two characters."""
    return assemble(one_page()).replace(b"\n", b"\r\n")


@malformed("kilobytes_of_zeros_behind.pdf")
def kilobytes_of_zeros_behind() -> bytes:
    """Padding after the end."""
    return assemble(one_page()) + bytes(50_000)


@malformed("two_files_in_one.pdf")
def two_files_in_one() -> bytes:
    """One file appended to another."""
    return assemble(one_page()) * 2


# Cross-references and objects.


@malformed("broken_xref.pdf")
def broken_xref() -> bytes:
    """Wrong offsets."""
    whole = assemble(one_page())
    table = whole.index(b"xref")
    return whole[:table] + whole[table:].replace(b"00 n", b"07 n").replace(b"00000000", b"00000099")


@malformed("startxref_beyond_the_end.pdf")
def startxref_beyond_the_end() -> bytes:
    """The last line points behind the end of the file."""
    whole = assemble(one_page())
    return whole[: whole.rindex(b"startxref")] + b"startxref\n999999999\n%%EOF\n"


@malformed("xref_loop.pdf")
def xref_loop() -> bytes:
    """The previous table is the table itself."""
    whole = assemble(one_page())
    return assemble(one_page(), b"/Root 1 0 R /Prev %010d" % whole.index(b"xref"))


@malformed("no_catalog.pdf", DAMAGED)
def no_catalog() -> bytes:
    """The root of the trailer is a number."""
    return assemble(one_page() | {9: b"42"}, b"/Root 9 0 R")


@malformed("catalog_is_itself.pdf", DAMAGED)
def catalog_is_itself() -> bytes:
    """A catalog that is a reference to itself."""
    return assemble(one_page(catalog=b"1 0 R"))


@malformed("endless_name.pdf")
def endless_name() -> bytes:
    """A name of a megabyte in the catalog."""
    return assemble(one_page(catalog=b"<< /Type /Catalog /Pages 2 0 R /" + b"A" * 10**6 + b" 1 >>"))


def _nested(opening: bytes, closing: bytes, depth: int) -> bytes:
    deep = opening * depth + b" " + closing * depth
    return assemble(one_page(catalog=b"<< /Type /Catalog /Pages 2 0 R /Deep %s >>" % deep))


@malformed("arrays_nested_100000_deep.pdf")
def arrays_nested_deep() -> bytes:
    """Nested arrays that exhaust the stack of recursive parsers."""
    return _nested(b"[", b"]", 100_000)


@malformed("dictionaries_nested_100000_deep.pdf")
def dictionaries_nested_deep() -> bytes:
    """Nested dictionaries that exhaust the stack of recursive parsers."""
    return _nested(b"<< /D ", b">>", 100_000)


@malformed("references_in_a_circle.pdf")
def references_in_a_circle() -> bytes:
    """Contents that are a reference to a reference to themselves."""
    return assemble(one_page(contents=b"5 0 R") | {5: b"4 0 R"})


# The page tree.


@malformed("no_pages.pdf", DAMAGED)
def no_pages() -> bytes:
    """A page tree without pages."""
    return assemble(one_page(pages=b"<< /Type /Pages /Kids [] /Count 0 >>"))


@malformed("page_tree_loop.pdf", ("damaged_page",))
def page_tree_loop() -> bytes:
    """A page tree that contains itself."""
    return assemble(one_page(pages=b"<< /Type /Pages /Kids [2 0 R] /Count 1 >>"))


@malformed("page_tree_5000_deep.pdf", ("damaged_page",))
def page_tree_deep() -> bytes:
    """A page tree of 5,000 levels."""
    objects: Objects = one_page(pages=b"<< /Type /Pages /Kids [10 0 R] /Count 1 >>")
    for number in range(10, 5010):
        below = 3 if number == 5009 else number + 1
        above = 2 if number == 10 else number - 1
        objects[number] = b"<< /Type /Pages /Parent %d 0 R /Kids [%d 0 R] /Count 1 >>" % (
            above, below
        )  # fmt: skip
    return assemble(objects)


@malformed("page_count_of_a_billion.pdf")
def page_count_of_a_billion() -> bytes:
    """A page tree that declares too many pages."""
    return assemble(one_page(pages=b"<< /Type /Pages /Kids [3 0 R] /Count 1000000000 >>"))


@malformed("page_count_below_zero.pdf")
def page_count_below_zero() -> bytes:
    """A page tree that declares a negative number of pages."""
    return assemble(one_page(pages=b"<< /Type /Pages /Kids [3 0 R] /Count -5 >>"))


@malformed("second_page_missing.pdf", (None, "damaged_page", None))
def second_page_missing() -> bytes:
    """A page tree with a missing object."""
    objects = one_page(pages=b"<< /Type /Pages /Kids [3 0 R 77 0 R 5 0 R] /Count 3 >>")
    return assemble(objects | {5: page()})


@malformed("page_is_a_number.pdf", ("damaged_page",))
def page_is_a_number() -> bytes:
    """A page tree with a number instead of a page."""
    return assemble(one_page(page=b"42"))


@malformed("pages_2001.pdf", "too_many_pages")
def pages_2001() -> bytes:
    """One page more than the limit."""
    kids = b"3 0 R " * 2001
    return assemble(one_page(pages=b"<< /Type /Pages /Kids [%s] /Count 2001 >>" % kids))


# Sizes of pages.


def _box(box: bytes, more: bytes = b"") -> bytes:
    return assemble(one_page(page=page(box=box, more=more)))


@malformed("page_of_zero_size.pdf")
def page_of_zero_size() -> bytes:
    """A page without area; viewers assume Letter."""
    return _box(b"/MediaBox [0 0 0 0]")


@malformed("page_without_size.pdf")
def page_without_size() -> bytes:
    """No MediaBox."""
    return _box(b"")


@malformed("page_inside_out.pdf")
def page_inside_out() -> bytes:
    """Swapped corners."""
    return _box(b"/MediaBox [200 200 0 0]")


@malformed("page_of_20000_points.pdf")
def page_of_20000_points() -> bytes:
    """A page of seven metres by seven: 1,600 megapixels at 144 dpi."""
    return _box(b"/MediaBox [0 0 20000 20000]")


@malformed("page_of_infinite_size.pdf")
def page_of_infinite_size() -> bytes:
    """A size beyond the range of floats."""
    return _box(b"/MediaBox [0 0 1%s 1%s]" % (b"0" * 60, b"0" * 60))


@malformed("page_like_a_hair.pdf")
def page_like_a_hair() -> bytes:
    """200 points wide and 0.01 points high."""
    return _box(b"/MediaBox [0 0 200 0.01]")


@malformed("page_like_a_tape.pdf")
def page_like_a_tape() -> bytes:
    """100 points wide and 10,000 points high."""
    return _box(b"/MediaBox [0 0 100 10000]")


@malformed("page_crop_outside.pdf", ("damaged_page",))
def page_crop_outside() -> bytes:
    """A crop box outside of the page."""
    return _box(b"/MediaBox [0 0 200 200]", b"/CropBox [5000 5000 6000 6000]")


@malformed("page_turned_by_45_degrees.pdf")
def page_turned_by_45_degrees() -> bytes:
    """A rotation that is not a multiple of 90 degrees."""
    return _box(b"/MediaBox [0 0 200 200]", b"/Rotate 45")


@malformed("page_with_a_huge_unit.pdf")
def page_with_a_huge_unit() -> bytes:
    """A user unit of a million points."""
    return _box(b"/MediaBox [0 0 200 200]", b"/UserUnit 1000000")


# Passwords, scripts, forms and annotations.


def _saved(pdf: pikepdf.Pdf, **options: object) -> bytes:
    buffer = io.BytesIO()
    pdf.save(buffer, static_id=not options, **options)  # type: ignore[arg-type]
    return buffer.getvalue()


def _encrypted(user: str, owner: str) -> bytes:
    with pikepdf.open(io.BytesIO(assemble(one_page()))) as pdf:
        return _saved(pdf, encryption=pikepdf.Encryption(user=user, owner=owner))


@malformed("encrypted_with_password.pdf", "password_protected")
def encrypted_with_password() -> bytes:
    """A password is required."""
    return _encrypted("secret", "owner")


@malformed("encrypted_for_everyone.pdf")
def encrypted_for_everyone() -> bytes:
    """Encrypted with an empty password: only printing and editing are forbidden."""
    return _encrypted("", "owner")


@malformed("encrypted_for_a_certificate.pdf", "unsupported_encryption")
def encrypted_for_a_certificate() -> bytes:
    """Encrypted for the owner of a certificate; there is no password."""
    encrypt = b"<< /Filter /Adobe.PubSec /SubFilter /adbe.pkcs7.s4 /V 2 /Length 128 >>"
    return assemble(
        one_page() | {9: encrypt}, b"/Root 1 0 R /Encrypt 9 0 R /ID [<00112233> <00112233>]"
    )


@malformed("javascript_only.pdf")
def javascript_only() -> bytes:
    """A blank page and a script that never ends; scripts are not run."""
    script = b"<< /S /JavaScript /JS (while \\(true\\) { app.alert\\(1\\); }) >>"
    catalog = b"<< /Type /Catalog /Pages 2 0 R /OpenAction 9 0 R >>"
    return assemble(one_page(catalog=catalog, contents=stream(b"")) | {9: script})


@malformed("javascript_and_no_page.pdf", DAMAGED)
def javascript_and_no_page() -> bytes:
    """A script without a page."""
    script = b"<< /S /JavaScript /JS (app.alert\\(1\\)) >>"
    return assemble({1: b"<< /Type /Catalog /OpenAction 9 0 R >>", 9: script})


@malformed("form_fields_in_a_circle.pdf")
def form_fields_in_a_circle() -> bytes:
    """A form field that is its child."""
    catalog = b"<< /Type /Catalog /Pages 2 0 R /AcroForm << /Fields [9 0 R] >> >>"
    field = b"<< /T (a) /FT /Tx /Kids [9 0 R] /Parent 9 0 R >>"
    return assemble(one_page(catalog=catalog) | {9: field})


@malformed("outline_in_a_circle.pdf")
def outline_in_a_circle() -> bytes:
    """A bookmark that follows itself."""
    catalog = b"<< /Type /Catalog /Pages 2 0 R /Outlines 9 0 R >>"
    item = b"<< /Title (a) /Parent 9 0 R /Next 10 0 R /First 10 0 R >>"
    return assemble(one_page(catalog=catalog) | {9: b"<< /First 10 0 R /Last 10 0 R >>", 10: item})


@malformed("annotation_of_itself.pdf")
def annotation_of_itself() -> bytes:
    """An annotation whose appearance contains itself."""
    appearance = stream(
        b"/F Do",
        b"/Type /XObject /Subtype /Form /BBox [0 0 50 50] /Resources << /XObject << /F 10 0 R >> >>",
    )
    note = b"<< /Type /Annot /Subtype /Stamp /Rect [0 0 50 50] /AP << /N 10 0 R >> /Popup 9 0 R >>"
    return assemble(one_page(page=page(more=b"/Annots [9 0 R 9 0 R]")) | {9: note, 10: appearance})
