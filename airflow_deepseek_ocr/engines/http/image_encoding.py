"""Lossless encoding of page images, for files and for requests."""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING

from airflow_deepseek_ocr.ocr.channels import drop_color
from airflow_deepseek_ocr.ocr.page_pixels import decoded

if TYPE_CHECKING:
    from PIL import Image

    from airflow_deepseek_ocr.ocr.page_pixels import PageImage

#: Bytes of a request per byte of the image: base64 takes 4/3, the rest is for the JSON around it.
_BASE64 = 1.4
#: The share of a page's lines that is compressed to estimate the size of the whole, as its inverse.
_SAMPLE = 16
#: Compress a page if the result is smaller than this share of its bytes; otherwise sending it raw is faster.
_WORTH_COMPRESSING = 0.25


def data_url(image: PageImage, *, local: bool, limit: int | None = None) -> str:
    """Return the image as a data URL.

    Copying bytes holds the interpreter lock on both sides and stalls decoding on the server; compressing does
    not hold it. A page rendered from text shrinks to a tenth in 7 ms per megapixel. A scan takes 40 to 150 ms
    per megapixel, longer than a GPU needs for the page, and shrinks little: for a server on this host it is
    encoded raw, unless the server accepts only less. A page without color is sent as one channel.

    :param image: RGB, or one channel.
    :param local: the server runs on this host.
    :param limit: largest request that the server accepts, in bytes; None for any size.
    """
    image = drop_color(decoded(image))
    size = image.width * image.height * len(image.getbands())
    raw = local and (limit is None or size * _BASE64 < limit) and not _compresses_well(image)
    content = image_bytes(image, raw=raw)
    kind = "bmp" if raw else "png"
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def image_bytes(image: Image.Image, *, raw: bool) -> memoryview:
    """Return the image in a file format.

    :param image: RGB, or one channel.
    :param raw: BMP, which takes some ms and as many bytes as the image has; otherwise PNG at the fastest
        level of compression.
    """
    buffer = io.BytesIO()
    if raw:
        image.save(buffer, "BMP")
    else:
        image.save(buffer, "PNG", compress_level=1)
    return buffer.getbuffer()


def _compresses_well(image: Image.Image) -> bool:
    """Return whether compression is worth its time, by a sample from the middle of the page."""
    lines = max(1, image.height // _SAMPLE)
    top = (image.height - lines) // 2
    sample = image.crop((0, top, image.width, top + lines))
    return len(image_bytes(sample, raw=False)) < _WORTH_COMPRESSING * len(sample.tobytes())
