"""Images as data URLs, without loss."""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image

#: Base64 takes four bytes for three; some more for what is around it.
_BASE64 = 1.4


def data_url(image: Image.Image, *, local: bool, limit: int | None = None) -> str:
    """The image for a request.

    Compressing a scan costs 150 ms a megapixel, which is more than a GPU needs for the page: on the
    same host it is sent as it is, unless the server takes less. Of a page without colour one channel is
    sent: both sides' work with a page is copying its bytes.

    :param image: RGB.
    :param local: the server is on this host.
    :param limit: largest request it takes, in bytes; None for any.
    """
    image = _without_colour(image)
    size = image.width * image.height * len(image.getbands())
    raw = local and (limit is None or size * _BASE64 < limit)
    buffer = io.BytesIO()
    if raw:
        image.save(buffer, "BMP")
    else:
        image.save(buffer, "PNG", compress_level=1)
    kind = "bmp" if raw else "png"
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getbuffer()).decode()}"


def _without_colour(image: Image.Image) -> Image.Image:
    """One channel, if all three are the same; else the image."""
    from PIL import ImageChops

    if image.mode != "RGB":
        return image
    red, green, blue = image.split()
    same = all(ImageChops.difference(red, other).getbbox() is None for other in (green, blue))
    return red if same else image
