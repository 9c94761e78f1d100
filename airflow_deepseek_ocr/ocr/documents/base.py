"""The protocol of a document, and a page image."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING

from airflow_deepseek_ocr.ocr.documents.page_selection import PageSelection

if TYPE_CHECKING:
    from PIL import Image

    from airflow_deepseek_ocr.ocr.documents.text_layer import TextLayer
from airflow_deepseek_ocr.ocr.documents.limits import Limits


@dataclass(frozen=True)
class Page:
    """One page as an image.

    :param number: from 1.
    :param image: RGB, upright.
    :param text_layer: its own text, if the file brings one.
    """

    number: int
    image: Image.Image
    text_layer: TextLayer | None = None


class Document(ABC):
    """An open document; use it as a context manager.

    :ivar media_type: its type by content.
    :ivar page_count: pages it has.
    :ivar page_numbers: pages that were asked for, in order, from 1.
    """

    media_type: str
    page_count: int
    page_numbers: tuple[int, ...]

    @abstractmethod
    def page(self, number: int) -> Page:
        """Page ``number`` as an image; nothing of it is kept.

        :raises DocumentError: if this page cannot be read; others may.
        """

    @abstractmethod
    def close(self) -> None:
        """Release the file."""

    def __enter__(self) -> Document:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _select(self, selection: PageSelection, limits: Limits) -> None:
        """Fill ``page_numbers``, within the limits."""
        numbers = selection.of(self.page_count)
        limits.check_pages(len(numbers))
        self.page_numbers = tuple(numbers)
