"""Image files as pages, by Pillow; each frame of a TIFF is a page."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from airflow_deepseek_ocr.errors import DocumentError
from airflow_deepseek_ocr.ocr.documents import Document, Limits, Page
from airflow_deepseek_ocr.ocr.page_selection import PageSelection

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
    MemoryError,
    KeyError,
    TypeError,
)


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
                "too_many_pixels", f"{error}; scale the image down and upload it again."
            ) from error
        except UnidentifiedImageError as error:
            raise DocumentError(
                "damaged", "The image is damaged or cut short; upload it again."
            ) from error
        except _BROKEN as error:
            raise _damaged(error) from error

    def page(self, number: int) -> Page:
        """See :meth:`Document.page`."""
        try:
            if self.page_count > 1:
                self._image.seek(number - 1)
            self._limits.check_pixels(*self._image.size)
            return Page(number, _to_rgb(ImageOps.exif_transpose(self._image)))
        except Image.DecompressionBombError as error:
            raise DocumentError("too_many_pixels", f"Page {number}: {error}.") from error
        except _BROKEN as error:
            raise _damaged(error) from error

    def close(self) -> None:
        """See :meth:`Document.close`."""
        self._image.close()


def _to_rgb(image: Image.Image) -> Image.Image:
    """Eight bits a channel, transparency on white, as a viewer would show it."""
    if image.mode.startswith("I") or image.mode == "F":
        # Pillow clips deeper greys at 255 instead of scaling them.
        pixels = np.asarray(image, dtype=np.float64)
        deep = image.mode.startswith("I;16") or pixels.max(initial=0.0) > 255
        top = 65535.0 if deep else 255.0
        image = Image.fromarray((pixels.clip(0, top) * (255 / top)).astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        paper = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(paper, image).convert("RGB")
    return image.convert("RGB")


def _register_heif() -> None:
    try:
        from pillow_heif import register_heif_opener
    except ImportError as error:
        raise DocumentError(
            "unsupported_type",
            "HEIF images need pillow-heif on the worker: pip install 'airflow-deepseek-ocr[heif]'",
        ) from error
    register_heif_opener()


def _damaged(error: BaseException) -> DocumentError:
    return DocumentError(
        "damaged", f"The image is damaged or cut short ({error}); upload it again."
    )
