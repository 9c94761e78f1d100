"""Endpoints of one document: its versions and pages, one page, files."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, HTTPException, Path
from fastapi.responses import Response, StreamingResponse

from airflow_deepseek_ocr.plugins.results_page.export_files import ExportFiles
from airflow_deepseek_ocr.plugins.results_page.model_text import MAX_TEXT, to_html
from airflow_deepseek_ocr.plugins.results_page.requests import MAX_ID, clear_errors
from airflow_deepseek_ocr.plugins.results_page.state import Person, state, visible_document
from airflow_deepseek_ocr.store.browsing import details, exports, tables

#: Bytes of a picture that is shown; the widest have some 200 KiB.
_MAX_PICTURE = 10 * 1024 * 1024
#: Pages whose text is fetched at a time for a download.
_PAGES_AT_A_TIME = 50
#: Characters of a page's text that are rendered; the text of a region beyond it is shown as it is.
_MAX_RENDERED = 600_000
#: Characters of another attempt's output.
_MAX_ATTEMPT = 40_000

router = APIRouter(prefix="/documents/{document_id}")

DocumentId = Annotated[int, Path(ge=0, le=MAX_ID)]
PageNumber = Annotated[int, Path(ge=0, le=2**31 - 1)]


@router.get("")
def document(document_id: DocumentId, person: Person) -> dict[str, Any]:
    """Return a document with its versions, the figures of its pages, and its exports."""
    found = visible_document(document_id, person)
    with clear_errors():
        others, pages, files = state().database.read(
            lambda session, rows: (
                details.versions(session, rows, found["uri"]),
                details.pages(session, rows, document_id),
                exports.files(session, rows, document_id),
            )
        )
    may_see = {each["dag_id"] for each in others if person.may_see(each["dag_id"])}
    return {
        "document": found,
        "versions": [each for each in others if each["dag_id"] in may_see],
        "pages": pages,
        "exports": files,
        "may_correct": person.may_correct(found["dag_id"]),
    }


@router.get("/pages/{number}")
def page(document_id: DocumentId, number: PageNumber, person: Person) -> dict[str, Any]:
    """Return a page with its regions as harmless HTML, its tables and attempts."""
    visible_document(document_id, person)
    with clear_errors():
        found = state().database.read(details.find_page, document_id, number)
        if found is None:
            raise HTTPException(404, f"Page {number} of this document is not stored.")
        found["tables"] = state().database.read(tables.of_page, found["id"])
        found["exports"] = state().database.read(exports.files, document_id, number)
    found["has_picture"] = any(each["kind"] == exports.PICTURE for each in found["exports"])
    return shown(found)


def shown(page: dict[str, Any]) -> dict[str, Any]:
    """Return a page as it is sent: with HTML beside each text, and long texts cut."""
    rendered = 0
    for each in page["regions"]:
        text = each["reviewed_text"] if each["reviewed_text"] is not None else each["text"]
        rendered += len(text)
        each["html"] = to_html(text) if rendered <= _MAX_RENDERED else None
        for name in ("text", "reviewed_text", "description"):
            each[name] = _cut(each[name], MAX_TEXT)
    best = page["reviewed_text"] if page["reviewed_text"] is not None else page["markdown"]
    page["html"] = to_html(best)
    for name in ("text", "markdown", "reviewed_text"):
        page[name] = _cut(page[name], MAX_TEXT)
    for each in page["attempts"]:
        each["text"] = _cut(each.get("text"), _MAX_ATTEMPT)
    return page


@router.get("/pages/{number}/picture")
def picture(document_id: DocumentId, number: PageNumber, person: Person) -> Response:
    """Return the picture of a page that a task has stored."""
    visible_document(document_id, person)
    with clear_errors():
        row = state().database.read(exports.picture, document_id, number)
        if row is None:
            raise HTTPException(404, "No picture of this page is stored.")
        if row["size_bytes"] > _MAX_PICTURE:
            raise HTTPException(404, "The picture of this page is too large to be shown.")
        content = b"".join(_bounded(_files().chunks(row["uri"]), _MAX_PICTURE))
    # A picture is of one version of a document, which does not change.
    headers = {"cache-control": "private, max-age=3600", "etag": f'"{row["sha256"]}"'}
    return Response(content, media_type="image/webp", headers=headers)


@router.get("/exports/{export_id}/file")
def export(
    document_id: DocumentId, export_id: Annotated[int, Path(ge=0, le=MAX_ID)], person: Person
) -> Response:
    """Return the file of an export as a download."""
    visible_document(document_id, person)
    with clear_errors():
        row = state().database.read(exports.find, document_id, export_id)
        if row is None:
            raise HTTPException(404, "There is no such export of this document.")
        chunks = _files().chunks(row["uri"])
    return _download(chunks, row["name"].rpartition("/")[2], row["media_type"])


@router.get("/markdown")
def markdown(document_id: DocumentId, person: Person) -> Response:
    """Return the text of all pages as a download, as the database has it."""
    found = visible_document(document_id, person)
    name = found["uri"].rpartition("/")[2] or "document"
    return _download(_all_pages(document_id), f"{name}.md", "text/markdown")


def _all_pages(document_id: int) -> Iterator[bytes]:
    after, separator = 0, ""
    while True:
        found = state().database.read(
            details.page_texts, document_id, after=after, limit=_PAGES_AT_A_TIME
        )
        for number, text in found:
            yield f"{separator}{text}".encode("utf-8", "replace")
            after, separator = number, "\n\n---\n\n"
        if len(found) < _PAGES_AT_A_TIME:
            return


def _files() -> ExportFiles:
    settings = state().settings
    return ExportFiles(settings.aws_conn_id, settings.directories)


def _download(chunks: Iterator[bytes], name: str, media_type: str) -> Response:
    # Never shown by the browser as a page of Airflow's own origin, whatever its type says.
    headers = {"content-disposition": f"attachment; filename*=UTF-8''{quote(name, safe='')}"}
    return StreamingResponse(chunks, media_type=media_type, headers=headers)


def _bounded(chunks: Iterator[bytes], most: int) -> Iterator[bytes]:
    size = 0
    for chunk in chunks:
        size += len(chunk)
        if size > most:
            raise HTTPException(404, "The picture of this page is too large to be shown.")
        yield chunk


def _cut(text: str | None, most: int) -> str | None:
    return text if text is None or len(text) <= most else f"{text[:most]} …"
