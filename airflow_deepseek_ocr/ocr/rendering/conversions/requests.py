"""Requests of which content in a memory file becomes other content there; see also :mod:`..messages`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from airflow_deepseek_ocr.ocr.page_pixels import COLOR
from airflow_deepseek_ocr.ocr.rendering.content_values import as_channels
from airflow_deepseek_ocr.ocr.rendering.message_values import as_fields, as_list, as_number


@dataclass(frozen=True)
class AddTextRequest:
    """Request for a searchable PDF; the PDF travels as an open descriptor beside the message.

    The memory file has the text of the pages as JSON, and receives the new PDF.

    :param size: bytes of the text.
    :param page_count: pages of the PDF that were rendered.
    """

    size: int
    page_count: int


@dataclass(frozen=True)
class PictureRequest:
    """Request for a page's picture as WebP.

    The memory file has the rows of :class:`~airflow_deepseek_ocr.ocr.page_pixels.PagePixels`, and
    receives the picture.

    :param size: width and height in pixels.
    :param picture_size: width and height of the picture.
    :param channels: channels of a pixel.
    """

    size: tuple[int, int]
    picture_size: tuple[int, int]
    channels: int = COLOR


def as_add_text_request(values: Any) -> AddTextRequest:
    """Return the request.

    :raises MessageError: the values break the rules of messages.
    """
    size, page_count = as_fields(values, "size", "page_count")
    return AddTextRequest(as_number(size, 0), as_number(page_count, 1))


def as_picture_request(values: Any) -> PictureRequest:
    """Return the request.

    :raises MessageError: the values break the rules of messages.
    """
    size, picture_size, channels = as_fields(values, "size", "picture_size", "channels")
    return PictureRequest(_as_size(size), _as_size(picture_size), as_channels(channels))


def _as_size(value: Any) -> tuple[int, int]:
    width, height = (as_number(side, 1) for side in as_list(value, 2, exactly=True))
    return width, height
