"""Endpoints of one document: its versions and pages, one page, files."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, HTTPException, Path, Request
from fastapi.responses import Response, StreamingResponse

from airflow_deepseek_ocr.plugins.results_page.export_files import ExportFiles
from airflow_deepseek_ocr.plugins.results_page.model_text import MAX_TEXT, to_html
from airflow_deepseek_ocr.plugins.results_page.requests import MAX_ID, clear_errors
from airflow_deepseek_ocr.plugins.results_page.state import Person, state, visible_document
from airflow_deepseek_ocr.store.browsing import details, exports, tables
from airflow_deepseek_ocr.store.browsing.current import current_documents

#: Bytes of a picture that is shown; the widest have some 200 KiB.
_MAX_PICTURE = 10 * 1024 * 1024
#: Pages whose text is fetched at a time for a download.
_PAGES_AT_A_TIME = 50
#: Characters of a page's text that are rendered; the text of a region beyond it is shown as it is.
_MAX_RENDERED = 600_000
#: Seconds of rendering after which the texts that are left are shown as they are: rendering keeps the whole
#: process from answering. The densest text of a page that was measured takes less than one.
_RENDER_S = 2.0
#: A media type without parameters (RFC 6838, section 4.2). Rows may have anything, headers may not.
_MEDIA_TYPE = re.compile(r"[a-zA-Z0-9][\w!#$&^.+-]{0,126}/[a-zA-Z0-9][\w!#$&^.+-]{0,126}", re.ASCII)
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
        current, others, pages, files = state().database.read(
            lambda session, rows: (
                current_documents(session, rows, {found["uri"]}),
                details.versions(session, rows, found["uri"]),
                details.pages(session, rows, document_id),
                exports.files(session, rows, document_id),
            )
        )
    for each in (found, *others):
        each["is_current"] = each["id"] in current
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
        # Not by the list, which ends after some: a page may have hundreds of figures.
        picture = state().database.read(exports.picture, document_id, number)
    found["has_picture"] = picture is not None
    return shown(found)


def shown(page: dict[str, Any]) -> dict[str, Any]:
    """Return a page as it is sent: with HTML beside each text, and long texts cut."""
    rendered, until = 0, time.thread_time() + _RENDER_S

    def html(text: str) -> str | None:
        return to_html(text) if time.thread_time() < until else None

    for each in page["regions"]:
        text = each["reviewed_text"] if each["reviewed_text"] is not None else each["text"]
        rendered += len(text)
        each["html"] = html(text) if rendered <= _MAX_RENDERED else None
        for name in ("text", "reviewed_text", "description"):
            each[name] = _cut(each[name], MAX_TEXT)
    best = page["reviewed_text"] if page["reviewed_text"] is not None else page["markdown"]
    page["html"] = html(best)
    for name in ("text", "markdown", "reviewed_text"):
        page[name] = _cut(page[name], MAX_TEXT)
    for each in page["attempts"]:
        each["text"] = _cut(each.get("text"), _MAX_ATTEMPT)
    return page


@router.get("/pages/{number}/picture")
def picture(
    document_id: DocumentId, number: PageNumber, person: Person, request: Request
) -> Response:
    """Return the picture of a page that a task has stored."""
    visible_document(document_id, person)
    with clear_errors():
        row = state().database.read(exports.picture, document_id, number)
        if row is None:
            raise HTTPException(404, "No picture of this page is stored.")
        if row["size_bytes"] > _MAX_PICTURE:
            raise HTTPException(404, "The picture of this page is too large to be shown.")
        etag = f'"{quote(row["sha256"], safe="")}"'
        # The browser asks each time: another task may have stored another picture, or taken a right away.
        headers = {"cache-control": "private, no-cache", "etag": etag}
        if request.headers.get("if-none-match") == etag:
            return Response(status_code=304, headers=headers)
        content = b"".join(_bounded(_files().chunks(row["uri"]), _MAX_PICTURE))
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
    return ExportFiles(state().settings.aws_conn_id, state().export_places.places())


def _download(chunks: Iterator[bytes], name: str, media_type: str) -> Response:
    # Never shown by the browser as a page of Airflow's own origin, whatever its type says.
    headers = {"content-disposition": f"attachment; filename*=UTF-8''{quote(name, safe='')}"}
    known = media_type if _MEDIA_TYPE.fullmatch(media_type) else "application/octet-stream"
    return StreamingResponse(chunks, media_type=known, headers=headers)


def _bounded(chunks: Iterator[bytes], most: int) -> Iterator[bytes]:
    size = 0
    for chunk in chunks:
        size += len(chunk)
        if size > most:
            raise HTTPException(404, "The picture of this page is too large to be shown.")
        yield chunk


def _cut(text: str | None, most: int) -> str | None:
    return text if text is None or len(text) <= most else f"{text[:most]} …"
