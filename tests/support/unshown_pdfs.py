"""PDFs with content that their pages do not show."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence

import pikepdf
from pikepdf import Array, AttachedFileSpec, Dictionary, Name, String

#: A page with print, so that it is not blank.
_PRINT = b"BT /F1 24 Tf 20 100 Td (Please wait) Tj ET"


def pdf(pages: int = 1) -> pikepdf.Pdf:
    """Return a PDF with a line of text on each page."""
    made = pikepdf.new()
    font = Dictionary(Type=Name.Font, Subtype=Name.Type1, BaseFont=Name.Helvetica)
    for _ in range(pages):
        page = made.add_blank_page(page_size=(300, 200))
        page.Contents = made.make_stream(_PRINT)
        page.Resources = Dictionary(Font=Dictionary(F1=font))
    return made


def saved(made: pikepdf.Pdf, **options: object) -> bytes:
    """Return the bytes of a PDF."""
    target = io.BytesIO()
    made.save(target, **options)
    return target.getvalue()


def containing(made: pikepdf.Pdf, files: Sequence[tuple[str, bytes]]) -> pikepdf.Pdf:
    """Attach files, given as names and contents; names may be equal."""
    for number, (name, content) in enumerate(files):
        made.attachments[f"{number:06}"] = AttachedFileSpec(made, content, filename=name)
    return made


def attach(made: pikepdf.Pdf, files: Mapping[str, str | None]) -> pikepdf.Pdf:
    """Attach files, given as names and media types.

    The names are those of the file specifications; the keys of the tree are numbers, as names may be long.
    """
    for number, (name, media_type) in enumerate(files.items()):
        made.attachments[f"{number:06}"] = AttachedFileSpec(
            made, b"content", filename=name, mime_type=media_type or ""
        )
    return made


def portfolio(*names: str, **options: object) -> bytes:
    """Return a portfolio of files."""
    made = attach(pdf(), dict.fromkeys(names))
    made.Root.Collection = Dictionary(Type=Name.Collection, View=Name.D)
    return saved(made, **options)


def annotated(made: pikepdf.Pdf, page: int, name: str, content: bytes = b"content") -> pikepdf.Pdf:
    """Attach a file to a place on a page, from 0."""
    file = AttachedFileSpec(made, content, filename=name).obj
    annotation = Dictionary(
        Type=Name.Annot, Subtype=Name.FileAttachment, Rect=Array([10, 10, 30, 30]), FS=file
    )
    made.pages[page].Annots = Array([made.make_indirect(annotation)])
    return made


def form(
    *, needs_rendering: bool | None, fields: bool, xfa: bool = True, width: int = 80, flags: int = 4
) -> bytes:
    """Return a form.

    :param needs_rendering: its mark of dynamic forms; None leaves it out.
    :param fields: whether its second page has a field.
    :param xfa: whether it has an XFA form.
    :param width: width of the field in points.
    :param flags: flags of its annotation.
    """
    made = pdf(2)
    acro = Dictionary(Fields=Array())
    if xfa:
        template = made.make_stream(b"<xdp:xdp xmlns:xdp='http://ns.adobe.com/xdp/'/>")
        acro.XFA = Array([String("template"), template])
    if fields:
        field = made.make_indirect(
            Dictionary(
                Type=Name.Annot, Subtype=Name.Widget, FT=Name.Tx, T=String("name"),
                Rect=Array([10, 10, 10 + width, 10 + width // 4]), V=String("Ada"), F=flags,
            )
        )  # fmt: skip
        acro.Fields.append(field)
        made.pages[1].Annots = Array([field])
    made.Root.AcroForm = acro
    if needs_rendering is not None:
        made.Root.NeedsRendering = needs_rendering
    return saved(made)
