"""Pixels of any depth, colour model and transparency as RGB with 8 bits a channel."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator

import numpy as np
from PIL import Image, ImageFile

from airflow_deepseek_ocr.ocr.documents.limits import MAX_RENDERED_PIXELS
from airflow_deepseek_ocr.ocr.documents.raster.sample_range import (
    SampleRange,
    StoredSamples,
    find_range,
)
from airflow_deepseek_ocr.ocr.documents.raster.transparency import (
    find_backdrop,
    without_transparency,
)

#: Pixels that are converted at once; each takes up to 40 bytes during conversion.
_BAND_PIXELS = 2_000_000
#: Modes with one number for a pixel, other than grey of 8 bits.
_DEEP_MODES = ("I", "F", "I;16", "I;16B", "I;16L", "I;16N")
#: Pillow keeps the upper byte of colours of 16 bits. Below this one the colours have 14 bits or less.
_FULL_UPPER_BYTE = 64
#: The same unpacking that keeps the lower byte: of the other byte order.
_OTHER_ORDER = {"L": "B", "B": "L", "N": "B" if sys.byteorder == "little" else "L"}


def prepare(image: ImageFile.ImageFile) -> None:
    """Correct what Pillow assumes about an image that it has opened, before it is decoded."""
    if not image.tile:
        return
    rawmode = _rawmode(image)
    clear = image.info.get("transparency")
    if image.format == "PNG" and isinstance(clear, int) and rawmode in ("L;2", "L;4"):
        # Pillow scales the samples to 8 bits, and not the value of transparent ones.
        image.info["transparency"] = clear * (85 if rawmode == "L;2" else 17)
    if image.format == "PNG" and isinstance(clear, tuple) and rawmode == "RGB;16B":
        image.info["transparency"] = tuple(value >> 8 for value in clear)
    if image.format in ("JPEG", "MPO") and rawmode == "CMYK;I" and "adobe" not in image.info:
        # Adobe stores CMYK inverted and says so with its marker; Pillow assumes it of all.
        _unpack_as(image, "CMYK")


def has_deep_colours(image: ImageFile.ImageFile) -> bool:
    """Return whether an image that is not decoded has colours of 16 bits."""
    return bool(image.tile) and image.mode in ("RGB", "RGBA") and ";16" in _rawmode(image)


def decode_lower_bytes(image: ImageFile.ImageFile) -> Image.Image:
    """Decode an image with colours of 16 bits to their lower bytes."""
    rawmode = _rawmode(image)
    if rawmode.startswith("LA"):
        # No unpacking keeps these lower bytes. As four channels of 8 bits all bytes are kept.
        _unpack_as(image, "RGBA")
        image.load()
        return Image.merge("RGB", [image.getchannel("G")] * 3)
    _unpack_as(image, rawmode[:-1] + _OTHER_ORDER[rawmode[-1]])
    image.load()
    return image


def to_rgb(
    image: Image.Image, samples: StoredSamples, lower_bytes: Callable[[], Image.Image] | None = None
) -> Image.Image:
    """Return the image in RGB, halved if it is very large; the same object if there is nothing to do.

    :param image: the decoded image.
    :param samples: how the file stores its samples.
    :param lower_bytes: decodes the lower bytes of colours of 16 bits; None for other images.
    """
    source = _Source(image, samples, lower_bytes)
    factor = 2 if image.width * image.height > MAX_RENDERED_PIXELS else 1
    if factor == 1 and source.is_plain:
        return image  # most scans
    size = -(-image.width // factor), -(-image.height // factor)
    backdrop = None
    if source.has_transparency:
        backdrop = find_backdrop(band for _, band in source.bands(factor))
    converted = Image.new("RGB", size)
    for top, band in source.bands(factor):
        flat = band.convert("RGB") if backdrop is None else without_transparency(band, backdrop)
        converted.paste(flat.reduce(factor), (0, top // factor))
    return converted


class _Source:
    """An image as bands of 8 bits a channel, so that no step copies the whole image."""

    def __init__(
        self,
        image: Image.Image,
        samples: StoredSamples,
        lower_bytes: Callable[[], Image.Image] | None,
    ) -> None:
        self._image = image
        self._range = self._find_range(samples)
        self._lower: Image.Image | None = None
        self._white = 0
        # Of larger images the memory does not hold both bytes.
        if lower_bytes is not None and image.width * image.height <= MAX_RENDERED_PIXELS:
            self._white = _upper_white(image)
            self._lower = lower_bytes() if self._white else None
        self.has_transparency = image.has_transparency_data or (
            self._range is not None and self._range.has_gaps
        )

    @property
    def is_plain(self) -> bool:
        """Whether the image is in RGB already, without transparency and depth."""
        is_flat = not self.has_transparency and self._range is None and self._lower is None
        return self._image.mode == "RGB" and is_flat

    def bands(self, factor: int) -> Iterator[tuple[int, Image.Image]]:
        """Yield the first row of each band, and the band: with an alpha channel if the image has one."""
        for top, band in self._crops(self._image, factor):
            if self._range is not None:
                yield top, self._range.to_grey(band)
                continue
            if self._lower is not None:
                lower = self._lower.crop((0, top, band.width, top + band.height))
                band = _scaled(band, lower, self._white)
            yield top, band.convert("RGBA") if self.has_transparency else band

    def _crops(self, image: Image.Image, factor: int = 1) -> Iterator[tuple[int, Image.Image]]:
        rows = max(1, _BAND_PIXELS // image.width) * factor
        for top in range(0, image.height, rows):
            yield top, image.crop((0, top, image.width, min(top + rows, image.height)))

    def _find_range(self, samples: StoredSamples) -> SampleRange | None:
        """Return the values of black and white; None if they are 0 and 255, or colours."""
        image = self._image
        clear = image.info.get("transparency")
        if image.mode not in _DEEP_MODES and not (
            image.mode == "L" and clear is None and _is_odd_grey(image, samples)
        ):
            return None
        bands = (band for _, band in self._crops(image))
        return find_range(bands, samples, clear if isinstance(clear, int) else None)


def _is_odd_grey(image: Image.Image, samples: StoredSamples) -> bool:
    """Return whether grey of 8 bits has other values of black and white than 0 and 255."""
    return (
        samples.is_signed
        or samples.min_is_white
        or samples.max_sample is not None
        or image.getextrema() == (0, 1)
    )


def _upper_white(image: Image.Image) -> int:
    """Return white of 16-bit colours that do not fill their 16 bits, as far as upper bytes tell; or 0."""
    highest = max(int(np.asarray(image.getchannel(name)).max()) for name in _colours(image))
    if highest >= _FULL_UPPER_BYTE:
        return 0
    return 256 * next(white for white in (1, 4, 16, 64) if highest < white) - 1


def _scaled(upper: Image.Image, lower: Image.Image, white: int) -> Image.Image:
    """Return colours of 8 bits from the bytes of colours of 16 bits, of which ``white`` is white."""
    channels = []
    clear = lower.info.get("transparency")
    is_clear = np.full((upper.height, upper.width), isinstance(clear, tuple))
    for index, name in enumerate(_colours(upper)):
        low = np.asarray(lower.getchannel(name))
        values = np.asarray(upper.getchannel(name)) * 256.0 + low
        if isinstance(clear, tuple):
            is_clear &= values == clear[index]
        channels.append(Image.fromarray((values * (255 / white)).clip(0, 255).astype(np.uint8)))
    if "A" in upper.getbands():
        channels.append(upper.getchannel("A"))
    elif isinstance(clear, tuple):
        channels.append(Image.fromarray(np.where(is_clear, 0, 255).astype(np.uint8)))
    return Image.merge("RGBA" if len(channels) == 4 else "RGB", channels)


def _colours(image: Image.Image) -> list[str]:
    return [name for name in image.getbands() if name != "A"]


def _rawmode(image: ImageFile.ImageFile) -> str:
    """Return how Pillow unpacks the samples."""
    args = image.tile[0].args
    return args if isinstance(args, str) else str(args[0]) if args else ""


def _unpack_as(image: ImageFile.ImageFile, rawmode: str) -> None:
    image.tile = [
        each._replace(args=(rawmode, *each.args[1:]) if isinstance(each.args, tuple) else rawmode)
        for each in image.tile
    ]
