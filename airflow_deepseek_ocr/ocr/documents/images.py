"""Image files as pages, by Pillow; each frame of a TIFF is a page."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

from airflow_deepseek_ocr.exceptions import DocumentError, ErrorCode
from airflow_deepseek_ocr.ocr.documents.base import Document, Page
from airflow_deepseek_ocr.ocr.documents.limits import MOST_DRAWN_PIXELS, Limits
from airflow_deepseek_ocr.ocr.documents.page_selection import PageSelection

#: Pillow's decoders per media type. Phones write several pictures into one JPEG (MPO): the first
#: is the photograph.
_FORMATS = {
    "image/png": ("PNG",),
    "image/jpeg": ("JPEG", "MPO"),
    "image/webp": ("WEBP",),
    "image/tiff": ("TIFF",),
    "image/heif": ("HEIF",),
}

#: What Pillow raises on broken files, besides OSError (found by fuzzing its decoders).
_BROKEN = (
    OSError,
    ValueError,
    SyntaxError,
    EOFError,
    OverflowError,
    KeyError,
    TypeError,
)

#: Pixels that are converted at once; each takes up to 40 bytes meanwhile.
_BAND_PIXELS = 2_000_000

#: How an image is turned upright, by its orientation (EXIF 2.32, tag 0x0112).
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
    """An open image file."""

    def __init__(
        self, path: Path, media_type: str, selection: PageSelection, limits: Limits
    ) -> None:
        self.media_type, self._limits = media_type, limits
        if media_type == "image/heif":
            _register_heif()
        self._image = self._open(path)
        try:
            frames = getattr(self._image, "n_frames", 1) if media_type == "image/tiff" else 1
            self.page_count = max(1, frames)
            limits.check_pixels(*self._image.size)
            self._select(selection, limits)
        except _BROKEN as error:
            self._image.close()
            raise _damaged(error) from error
        except DocumentError:
            self._image.close()
            raise

    def _open(self, path: Path) -> Image.Image:
        try:
            return Image.open(path, formats=_FORMATS[self.media_type])
        except Image.DecompressionBombError as error:
            raise DocumentError(
                ErrorCode.TOO_MANY_PIXELS, f"{error}; scale the image down and upload it again."
            ) from error
        except UnidentifiedImageError as error:
            raise DocumentError(
                ErrorCode.DAMAGED, "The image is damaged or cut short; upload it again."
            ) from error
        except _BROKEN as error:
            raise _damaged(error) from error

    def page(self, number: int) -> Page:
        """See :meth:`Document.page`."""
        try:
            if self.page_count > 1:
                self._image.seek(number - 1)
            self._limits.check_pixels(*self._image.size)
            self._image.load()
            return Page(number, _upright(_drawn(self._image), self._image))
        except Image.DecompressionBombError as error:
            raise DocumentError(ErrorCode.TOO_MANY_PIXELS, f"Page {number}: {error}.") from error
        except _BROKEN as error:
            raise _damaged(error) from error

    def close(self) -> None:
        """See :meth:`Document.close`."""
        self._image.close()


def _drawn(image: Image.Image) -> Image.Image:
    """The image in RGB, halved if it is very large; in bands, so that no step copies all of it."""
    factor = 2 if image.width * image.height > MOST_DRAWN_PIXELS else 1
    width, height = -(-image.width // factor), -(-image.height // factor)
    brightest = _brightest(image)
    drawn = Image.new("RGB", (width, height))
    rows = max(1, _BAND_PIXELS // image.width) * factor
    for top in range(0, image.height, rows):
        band = image.crop((0, top, image.width, min(top + rows, image.height)))
        drawn.paste(_to_rgb(band, brightest).reduce(factor), (0, top // factor))
    return drawn


def _brightest(image: Image.Image) -> float | None:
    """What is white in an image of deep greys; None in others, where it is 255."""
    if image.mode.startswith("I;16"):
        return 65535.0
    if image.mode not in ("I", "F"):
        return None
    # None where the pixels are no numbers.
    _, most = image.getextrema() or (0.0, 0.0)
    return 65535.0 if isinstance(most, float | int) and most > 255 else 255.0


def _to_rgb(image: Image.Image, brightest: float | None) -> Image.Image:
    """Eight bits a channel, transparency on white, as a viewer would show it."""
    if brightest is not None:
        # Pillow clips deeper greys at 255 instead of scaling them.
        pixels = np.nan_to_num(np.asarray(image, dtype=np.float64)).clip(0, brightest)
        return Image.fromarray((pixels * (255 / brightest)).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        paper = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(paper, image).convert("RGB")
    return image.convert("RGB")


def _upright(drawn: Image.Image, image: Image.Image) -> Image.Image:
    """Turned as the image's tags say; tags that cannot be read say nothing."""
    try:
        turn = _TURNS.get(image.getexif().get(ExifTags.Base.Orientation, 1))
    except _BROKEN:
        return drawn
    return drawn if turn is None else drawn.transpose(turn)


def _register_heif() -> None:
    try:
        from pillow_heif import register_heif_opener
    except ImportError as error:
        raise DocumentError(
            ErrorCode.UNSUPPORTED_TYPE,
            "HEIF images need pillow-heif on the worker: pip install 'airflow-deepseek-ocr[heif]'",
        ) from error
    register_heif_opener()


def _damaged(error: BaseException) -> DocumentError:
    return DocumentError(
        ErrorCode.DAMAGED, f"The image is damaged or cut short ({error}); upload it again."
    )
