"""Image files as documents, decoded by Pillow; TIFF and HEIF files have several pages."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from functools import partial
from types import ModuleType
from typing import BinaryIO

from PIL import ExifTags, Image, ImageFile, UnidentifiedImageError

from airflow_deepseek_ocr.exceptions import DocumentError, ErrorCode
from airflow_deepseek_ocr.ocr.documents.base import Document, Page
from airflow_deepseek_ocr.ocr.documents.limits import Limits
from airflow_deepseek_ocr.ocr.documents.page_selection import PageSelection
from airflow_deepseek_ocr.ocr.documents.raster.pixel_aspect import (
    densities,
    resolution,
    with_square_pixels,
)
from airflow_deepseek_ocr.ocr.documents.raster.pixels import (
    decode_lower_bytes,
    has_deep_colours,
    prepare,
    to_rgb,
)
from airflow_deepseek_ocr.ocr.documents.raster.sample_range import StoredSamples
from airflow_deepseek_ocr.ocr.documents.raster.tiff import TiffPages

#: Pillow's decoders per media type but TIFF. Phones write several pictures into one JPEG (MPO); the first is
#: the photograph.
_FORMATS = {
    "image/png": ("PNG",),
    "image/jpeg": ("JPEG", "MPO"),
    "image/webp": ("WEBP",),
    "image/heif": ("HEIF",),
}

#: HEIF images with less than this part of the main image's pixels are its thumbnails and maps.
_SMALLEST_PAGE = 4

#: Errors that Pillow raises on damaged files (found by fuzzing its decoders).
_DECODER_ERRORS = (
    OSError,
    ValueError,
    SyntaxError,
    EOFError,
    OverflowError,
    LookupError,
    TypeError,
    struct.error,
)

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
        ``unsupported_type`` for HEIF without pi-heif.
    """

    def __init__(
        self, file: BinaryIO, media_type: str, selection: PageSelection, limits: Limits
    ) -> None:
        self.media_type, self._limits, self._file = media_type, limits, file
        self._deep: dict[int, bool] = {}
        if media_type == "image/heif":
            register_heif()
        self._image = self._open()
        try:
            self._frames = _page_frames(self._image)
            self.page_count = len(self._frames)
            if self.page_count == 1:  # pages of different sizes are checked one by one
                limits.check_pixels(*self._image.size)
            self._select(selection, limits)
        except _DECODER_ERRORS as error:
            self._image.close()
            raise _damaged(error) from error
        except DocumentError:
            self._image.close()
            raise

    def _open(self) -> ImageFile.ImageFile:
        try:
            if self.media_type == "image/tiff":
                self._file.seek(0)
                return TiffPages(self._file)
            image = Image.open(self._file, formats=_FORMATS[self.media_type])
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
        if not isinstance(image, ImageFile.ImageFile):
            raise TypeError("Pillow's decoders return image files")
        return image

    def page(self, number: int) -> Page:
        """See :meth:`Document.page`.

        :raises DocumentError: ``damaged``, ``unsupported_type``, ``too_many_pixels``.
        """
        try:
            image = self._image
            samples = _select_frame(image, self._frames[number - 1])
            self._limits.check_pixels(*image.size)
            prepare(image)
            # A decoded image, whose page is rendered again, does not tell.
            is_deep = self._deep.setdefault(number, has_deep_colours(image))
            lower = partial(self._lower_bytes, number) if is_deep else None
            density = densities(image)  # which decodes some files
            image.load()
            converted = to_rgb(image, samples, lower)
            if converted is image and self.page_count > 1:
                # The next page takes the place of this one.
                converted = image.copy()
            square = with_square_pixels(converted, *density)
            upright = _upright(square, image)
            return Page(number, upright, dpi=resolution(image, upright.size))
        except Image.DecompressionBombError as error:
            raise DocumentError(
                ErrorCode.TOO_MANY_PIXELS,
                f"Page {number}: {error} Scale the image down and upload it again.",
            ) from error
        except _DECODER_ERRORS as error:
            raise _damaged(error) from error

    def _lower_bytes(self, number: int) -> Image.Image:
        """Return the lower bytes of a page with colours of 16 bits; its upper bytes are decoded."""
        again = self._open()
        _select_frame(again, self._frames[number - 1])
        return decode_lower_bytes(again)

    def close(self) -> None:
        """See :meth:`Document.close`; the image stays, as it may be the page's."""
        self._file.close()


def _page_frames(image: ImageFile.ImageFile) -> Sequence[int]:
    """Return the frames of a file that are pages."""
    if isinstance(image, TiffPages):
        return image.page_frames
    if image.format != "HEIF":
        return (0,)  # further frames are an animation's, or a phone's previews and depth maps
    primary = image.tell()
    sizes = []
    for frame in range(getattr(image, "n_frames", 1)):
        image.seek(frame)
        sizes.append(image.width * image.height)
    return [frame for frame, size in enumerate(sizes) if size * _SMALLEST_PAGE >= sizes[primary]]


def _select_frame(image: ImageFile.ImageFile, frame: int) -> StoredSamples:
    """Make a frame the current image, not yet decoded, and return how its samples are stored."""
    if isinstance(image, TiffPages):
        image.select(frame)
        return image.samples
    if image.format == "HEIF":
        image.seek(frame)
    return StoredSamples(bits=16 if image.mode.startswith("I;16") else 8)


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
    :raises DocumentError: ``unsupported_type`` without pi-heif.
    """
    try:
        import pi_heif
    except ImportError as error:
        raise DocumentError(
            ErrorCode.UNSUPPORTED_TYPE,
            "HEIF images need pi-heif on the worker: pip install 'airflow-deepseek-ocr[heif]'",
        ) from error
    pi_heif.register_heif_opener()
    module: ModuleType = pi_heif
    return module


def _damaged(error: BaseException) -> DocumentError:
    if "unknown pixel mode" in str(error):
        return DocumentError(
            ErrorCode.UNSUPPORTED_TYPE,
            "The TIFF has samples of a kind that is not supported. Convert it to 8 or 16 bits a sample.",
        )
    return DocumentError(
        ErrorCode.DAMAGED, f"The image is damaged or incomplete ({error}). Upload it again."
    )
