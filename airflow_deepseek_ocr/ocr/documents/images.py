"""Image files as documents, decoded by Pillow; each frame of a TIFF is a page."""

from __future__ import annotations

from types import ModuleType
from typing import BinaryIO

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

from airflow_deepseek_ocr.exceptions import DocumentError, ErrorCode
from airflow_deepseek_ocr.ocr.documents.base import Document, Page
from airflow_deepseek_ocr.ocr.documents.limits import MAX_RENDERED_PIXELS, Limits
from airflow_deepseek_ocr.ocr.documents.page_selection import PageSelection
from airflow_deepseek_ocr.ocr.documents.pixel_aspect import densities, with_square_pixels

#: Pillow's decoders per media type. Phones write several pictures into one JPEG (MPO); the first is the
#: photograph.
_FORMATS = {
    "image/png": ("PNG",),
    "image/jpeg": ("JPEG", "MPO"),
    "image/webp": ("WEBP",),
    "image/tiff": ("TIFF",),
    "image/heif": ("HEIF",),
}

#: Errors that Pillow raises on damaged files (found by fuzzing its decoders).
_DECODER_ERRORS = (
    OSError,
    ValueError,
    SyntaxError,
    EOFError,
    OverflowError,
    KeyError,
    TypeError,
)

#: Pixels that are converted at once; each takes up to 40 bytes during conversion.
_BAND_PIXELS = 2_000_000

#: Transpositions that turn an image upright, by its orientation (EXIF 2.32, tag 0x0112).
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class ImageDocument(Document):
    """An open image file.

    :param file: an open local file; :meth:`close` closes it.
    :param media_type: its type by content: a key of Pillow's decoders above.
    :param selection: the pages to read.
    :param limits: limits of the document.
    :raises DocumentError: ``damaged``, ``too_many_pixels``, ``too_many_pages``, ``no_such_page``, or
        ``unsupported_type`` for HEIF without pillow-heif.
    """

    def __init__(
        self, file: BinaryIO, media_type: str, selection: PageSelection, limits: Limits
    ) -> None:
        self.media_type, self._limits, self._file = media_type, limits, file
        if media_type == "image/heif":
            register_heif()
        self._densities: dict[int, tuple[float, float]] = {}
        self._image = self._open()
        try:
            frames = getattr(self._image, "n_frames", 1) if media_type == "image/tiff" else 1
            self.page_count = max(1, frames)
            limits.check_pixels(*self._image.size)
            self._select(selection, limits)
        except _DECODER_ERRORS as error:
            self._image.close()
            raise _damaged(error) from error
        except DocumentError:
            self._image.close()
            raise

    def _open(self) -> Image.Image:
        try:
            return Image.open(self._file, formats=_FORMATS[self.media_type])
        except Image.DecompressionBombError as error:
            raise DocumentError(
                ErrorCode.TOO_MANY_PIXELS, f"{error} Scale the image down and upload it again."
            ) from error
        except UnidentifiedImageError as error:
            raise DocumentError(
                ErrorCode.DAMAGED, "The image is damaged or incomplete. Upload it again."
            ) from error
        except _DECODER_ERRORS as error:
            raise _damaged(error) from error

    def page(self, number: int) -> Page:
        """See :meth:`Document.page`.

        :raises DocumentError: ``damaged``, ``too_many_pixels``.
        """
        try:
            if self.page_count > 1:
                self._image.seek(number - 1)
            self._limits.check_pixels(*self._image.size)
            density = self._densities.setdefault(number, densities(self._image))
            self._image.load()
            square = with_square_pixels(_converted(self._image), *density)
            return Page(number, _upright(square, self._image))
        except Image.DecompressionBombError as error:
            raise DocumentError(
                ErrorCode.TOO_MANY_PIXELS,
                f"Page {number}: {error} Scale the image down and upload it again.",
            ) from error
        except _DECODER_ERRORS as error:
            raise _damaged(error) from error

    def close(self) -> None:
        """See :meth:`Document.close`."""
        self._image.close()
        self._file.close()


def _converted(image: Image.Image) -> Image.Image:
    """Return the image in RGB, halved if it is very large."""
    factor = 2 if image.width * image.height > MAX_RENDERED_PIXELS else 1
    width, height = -(-image.width // factor), -(-image.height // factor)
    white = _white(image)
    converted = Image.new("RGB", (width, height))
    # In bands, so that no step copies the whole image.
    rows = max(1, _BAND_PIXELS // image.width) * factor
    for top in range(0, image.height, rows):
        band = image.crop((0, top, image.width, min(top + rows, image.height)))
        converted.paste(_to_rgb(band, white).reduce(factor), (0, top // factor))
    return converted


def _white(image: Image.Image) -> float | None:
    """Return the value of white in an image with more than 8 bits of grey; None for other images."""
    if image.mode.startswith("I;16"):
        return 65535.0
    if image.mode not in ("I", "F"):
        return None
    # Pillow returns None if all pixels are NaN.
    _, highest = image.getextrema() or (0.0, 0.0)
    return 65535.0 if isinstance(highest, float | int) and highest > 255 else 255.0


def _to_rgb(image: Image.Image, white: float | None) -> Image.Image:
    """Return 8 bits a channel with transparency on white, as viewers show it.

    :param white: see :func:`_white`.
    """
    if white is not None:
        # Pillow clips values at 255 instead of scaling them.
        pixels = np.nan_to_num(np.asarray(image, dtype=np.float64)).clip(0, white)
        return Image.fromarray((pixels * (255 / white)).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        paper = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(paper, image).convert("RGB")
    return image.convert("RGB")


def _upright(converted: Image.Image, image: Image.Image) -> Image.Image:
    """Return the converted image, turned by the orientation in the original's EXIF tags."""
    try:
        turn = _TURNS.get(image.getexif().get(ExifTags.Base.Orientation, 1))
    except _DECODER_ERRORS:
        return converted  # damaged tags
    return converted if turn is None else converted.transpose(turn)


def register_heif() -> ModuleType:
    """Let Pillow open HEIF images.

    :return: the package that decodes them.
    :raises DocumentError: ``unsupported_type`` without pillow-heif.
    """
    try:
        import pillow_heif
    except ImportError as error:
        raise DocumentError(
            ErrorCode.UNSUPPORTED_TYPE,
            "HEIF images need pillow-heif on the worker: pip install 'airflow-deepseek-ocr[heif]'",
        ) from error
    pillow_heif.register_heif_opener()
    module: ModuleType = pillow_heif
    return module


def _damaged(error: BaseException) -> DocumentError:
    return DocumentError(
        ErrorCode.DAMAGED, f"The image is damaged or incomplete ({error}). Upload it again."
    )
