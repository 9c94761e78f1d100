"""Messages between the renderer and its child process."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from airflow_deepseek_ocr.ocr.documents.limits import Limits
from airflow_deepseek_ocr.ocr.documents.page_selection import PageSelection
from airflow_deepseek_ocr.ocr.documents.text_layer import TextLayer


@dataclass(frozen=True)
class OpenRequest:
    """Asks the child to open a document, instead of the one it has open; a number asks for a page.

    :param path: a local file.
    :param selection: the pages to read.
    :param dpi: resolution for rendering PDF pages.
    :param limits: what the document may cost.
    """

    path: Path
    selection: PageSelection
    dpi: int
    limits: Limits


@dataclass(frozen=True)
class Opened:
    """What the child says of the open document."""

    media_type: str
    page_count: int
    page_numbers: tuple[int, ...]


@dataclass(frozen=True)
class RenderedPage:
    """What the child says of a page when it has written the pixels into the file in memory.

    :param size: width and height in pixels, of three bytes each.
    :param text_layer: the page's own text.
    """

    size: tuple[int, int]
    text_layer: TextLayer | None
