"""Messages between the renderer and its child process."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from airflow_deepseek_ocr.ocr.documents.limits import Limits
from airflow_deepseek_ocr.ocr.documents.page_selection import PageSelection
from airflow_deepseek_ocr.ocr.documents.text_layer import TextLayer


@dataclass(frozen=True)
class OpenRequest:
    """Request to open a document; the child closes the one it has open.

    A number requests that page of the open document, and None requests to close it.

    :param path: absolute path of a local file.
    :param selection: the pages to read.
    :param dpi: resolution for rendering PDF pages, in dpi.
    :param limits: limits of the document.
    """

    path: Path
    selection: PageSelection
    dpi: int
    limits: Limits


@dataclass(frozen=True)
class Opened:
    """Answer to an :class:`OpenRequest`: the attributes of the :class:`Document` that is open now."""

    media_type: str
    page_count: int
    page_numbers: tuple[int, ...]


@dataclass(frozen=True)
class RenderedPage:
    """Answer to a page number, sent after the pixels were written to the shared memory file.

    :param size: width and height in pixels; a pixel has three bytes (RGB).
    :param text_layer: see :class:`~airflow_deepseek_ocr.ocr.documents.base.Page`.
    """

    size: tuple[int, int]
    text_layer: TextLayer | None
