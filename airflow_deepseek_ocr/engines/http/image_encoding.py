"""Images as data URLs, without loss."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from airflow_deepseek_ocr.engines.http.page_images import saved, without_colour

if TYPE_CHECKING:
    from PIL import Image

#: Base64 takes four bytes for three; some more for what is around it.
_BASE64 = 1.4
#: What is compressed to find out how small all of it would become: one part of so many.
_SAMPLE = 16
#: Compressed to less than this share, a page is cheaper to send than as it is.
_WORTH_IT = 0.25


def data_url(image: Image.Image, *, local: bool, limit: int | None = None) -> str:
    """The image for a request.

    What takes both sides' time is copying its bytes, the server's in the lock of the interpreter that
    keeps the device at work; compressing happens outside of it. A page as a program drew it shrinks to a
    tenth in 7 ms a megapixel. Compressing a scan costs 40 to 150, which is more than a GPU needs for the
    page, and saves little: on the same host it is sent as it is, unless the server takes less. Of a page
    without colour one channel is sent.

    :param image: RGB.
    :param local: the server is on this host.
    :param limit: largest request it takes, in bytes; None for any.
    """
    image = without_colour(image)
    size = image.width * image.height * len(image.getbands())
    raw = local and (limit is None or size * _BASE64 < limit) and not _shrinks(image)
    content = saved(image, raw=raw)
    kind = "bmp" if raw else "png"
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def _shrinks(image: Image.Image) -> bool:
    """Whether compressing is worth it, by some lines of its middle."""
    lines = max(1, image.height // _SAMPLE)
    top = (image.height - lines) // 2
    sample = image.crop((0, top, image.width, top + lines))
    return len(saved(sample, raw=False)) < _WORTH_IT * len(sample.tobytes())
