"""Files of unsupported types, and files with unusual names."""

from __future__ import annotations

import io
import zipfile

from tests.corpus.documents.raw_images import encoded, printed
from tests.corpus.documents.raw_pdf import assemble, one_page
from tests.corpus.documents.registry import malformed

UNSUPPORTED = "unsupported_type"


@malformed("page_of_a_web_server.pdf", UNSUPPORTED)
def page_of_a_web_server() -> bytes:
    """An HTML error page, saved with the name of the document."""
    return b"<!DOCTYPE html><html><body><h1>404 Not Found</h1></body></html>"


@malformed("letter.docx", UNSUPPORTED)
def letter() -> bytes:
    """A Word file."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        archive.writestr("word/document.xml", "<w:document/>")
    return buffer.getvalue()


@malformed("scans.zip", UNSUPPORTED)
def scans() -> bytes:
    """An archive of documents."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("scan.pdf", assemble(one_page()))
    return buffer.getvalue()


@malformed("notes.txt", UNSUPPORTED)
def notes() -> bytes:
    """Plain text."""
    return b"Buy milk.\n"


@malformed("notes_in_utf16.pdf", UNSUPPORTED)
def notes_in_utf16() -> bytes:
    """UTF-16 text that begins with a PDF header."""
    return "%PDF-1.7".encode("utf-16")


@malformed("print_job.ps", UNSUPPORTED)
def print_job() -> bytes:
    """PostScript."""
    return b"%!PS-Adobe-3.0\n/Helvetica findfont 12 scalefont setfont\nshowpage\n"


@malformed("zeros.pdf", UNSUPPORTED)
def zeros() -> bytes:
    """Zeros, as a full disk may leave them."""
    return bytes(4096)


@malformed("image_called.pdf")
def image_called_pdf() -> bytes:
    """A PNG with the wrong suffix."""
    return encoded(printed(), "PNG")


@malformed("document_called.png")
def document_called_png() -> bytes:
    """A PDF with the wrong suffix."""
    return assemble(one_page())


def _named() -> bytes:
    """An unusual name."""
    return encoded(printed(60, 40), "PNG")


NAMES = (
    "with space.png",
    " leading and trailing .png ",
    "two\nlines.png",
    "tab\tand\x7fdelete.png",
    "percent%20sign%.png",
    "plus+question?hash#.png",
    "quotes'\".png",
    "Ünïcödé Δοκιμή 文書 ملف.png",
    "e\u0301 decomposed.png",
    "no suffix",
    "-rf.png",
    "back\\slash.png",
    "🦓.png",
    "x" * 200 + ".png",
)
for _name in NAMES:
    malformed(_name)(_named)
