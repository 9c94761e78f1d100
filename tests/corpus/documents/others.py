"""What is no document, or has a name that is wrong."""

from __future__ import annotations

import io
import zipfile

from tests.corpus.documents.animals import animal
from tests.corpus.documents.images import _print, _saved
from tests.corpus.documents.raw_pdf import assemble, one_page

UNSUPPORTED = "unsupported_type"


@animal("page_of_a_web_server.pdf", UNSUPPORTED)
def page_of_a_web_server() -> bytes:
    """An error page, saved under the name of the document."""
    return b"<!DOCTYPE html><html><body><h1>404 Not Found</h1></body></html>"


@animal("letter.docx", UNSUPPORTED)
def letter() -> bytes:
    """A text processor's file."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        archive.writestr("word/document.xml", "<w:document/>")
    return buffer.getvalue()


@animal("scans.zip", UNSUPPORTED)
def scans() -> bytes:
    """An archive of documents."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("scan.pdf", assemble(one_page()))
    return buffer.getvalue()


@animal("notes.txt", UNSUPPORTED)
def notes() -> bytes:
    """Text needs no reading."""
    return b"Buy milk.\n"


@animal("notes_in_utf16.pdf", UNSUPPORTED)
def notes_in_utf16() -> bytes:
    """Text that begins like a PDF, in two bytes a letter."""
    return "%PDF-1.7".encode("utf-16")


@animal("print_job.ps", UNSUPPORTED)
def print_job() -> bytes:
    """PostScript."""
    return b"%!PS-Adobe-3.0\n/Helvetica findfont 12 scalefont setfont\nshowpage\n"


@animal("zeros.pdf", UNSUPPORTED)
def zeros() -> bytes:
    """A file whose content a full disk has lost."""
    return bytes(4096)


@animal("image_called.pdf")
def image_called_pdf() -> bytes:
    """A PNG with the wrong suffix."""
    return _saved(_print(), "PNG")


@animal("document_called.png")
def document_called_png() -> bytes:
    """A PDF with the wrong suffix."""
    return assemble(one_page())


def _named() -> bytes:
    """Nothing is wrong but the name."""
    return _saved(_print(60, 40), "PNG")


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
    animal(_name)(_named)
