"""Print on transparent backgrounds stays readable."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from airflow_deepseek_ocr.ocr.documents.open import open_document
from airflow_deepseek_ocr.ocr.documents.raster.transparency import (
    Backdrop,
    find_backdrop,
    without_transparency,
)
from tests.corpus.documents.raw_images import encoded
from tests.support.fixtures.made_documents import write


def _page(print_colour: tuple[int, int, int], ground: tuple[int, ...]) -> Image.Image:
    """Return a page with a tenth of print."""
    image = Image.new("RGBA", (100, 100), ground)  # type: ignore[arg-type]
    image.paste((*print_colour, 255), (10, 10, 30, 60))
    return image


def _shades(tmp_path: Path, image: Image.Image, kind: str = "PNG") -> tuple[int, int]:
    """Return the grey of the print and of the ground."""
    content = encoded(image, kind, **({"lossless": True} if kind == "WEBP" else {}))
    with open_document(write(tmp_path, "a", content)) as document:
        grey = document.page(1).image.convert("L")
    return grey.getpixel((20, 30)), grey.getpixel((80, 80))  # type: ignore[return-value]


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("ground", [(0, 0, 0, 0), (255, 255, 255, 0)])
@pytest.mark.parametrize(
    ("print_colour", "print_shade"),
    [((0, 0, 0), 0), ((255, 255, 255), 0), ((200, 0, 0), 60), ((255, 255, 200), 6)],
    ids=["black", "white", "red", "cream"],
)
def test_print_on_nothing_is_dark_on_white(
    tmp_path: Path,
    print_colour: tuple[int, int, int],
    print_shade: int,
    ground: tuple[int, ...],
    kind: str,
) -> None:
    shades = _shades(tmp_path, _page(print_colour, ground), kind)
    assert shades == (pytest.approx(print_shade, abs=3), 255)


def test_grey_and_palettes_with_transparency(tmp_path: Path) -> None:
    white_print = _page((255, 255, 255), (0, 0, 0, 0))
    assert _shades(tmp_path, white_print.convert("LA")) == (0, 255)
    assert _shades(tmp_path, _page((0, 0, 0), (255, 255, 255, 0)).convert("LA")) == (0, 255)
    palette = Image.new("P", (100, 100), 0)
    palette.putpalette([0, 0, 0, 255, 255, 255])
    palette.paste(1, (10, 10, 30, 60))
    palette.info["transparency"] = 0
    assert _shades(tmp_path, palette) == (0, 255)


def test_an_opaque_page_with_clear_corners_is_no_negative(tmp_path: Path) -> None:
    page = Image.new("RGBA", (100, 100), "white")
    page.paste((0, 0, 0, 0), (0, 0, 5, 5))
    page.putpixel((20, 30), (0, 0, 0, 255))
    assert _shades(tmp_path, page) == (0, 255)


def test_white_boxes_below_dark_print_are_no_negative(tmp_path: Path) -> None:
    page = Image.new("RGBA", (100, 100), (0, 0, 0, 0))
    page.paste((255, 255, 255, 255), (10, 10, 60, 60))
    page.paste((0, 0, 0, 255), (15, 25, 40, 35))
    assert _shades(tmp_path, page) == (0, 255)


def test_an_empty_alpha_channel_is_ignored(tmp_path: Path) -> None:
    page = Image.new("RGB", (100, 100), "white")
    page.paste((0, 0, 0), (10, 10, 30, 60))
    page.putalpha(0)
    assert _shades(tmp_path, page) == (0, 255)


def test_nothing_at_all_is_white() -> None:
    nothing = Image.new("RGBA", (9, 9), (0, 0, 0, 0))
    assert find_backdrop([nothing]) is Backdrop.WHITE
    assert without_transparency(nothing, Backdrop.WHITE).getpixel((0, 0)) == (255, 255, 255)


def test_colours_below_an_empty_alpha_channel_may_differ_between_bands() -> None:
    bands = [Image.new("RGBA", (9, 9), (shade, 0, 0, 0)) for shade in (0, 200)]
    assert find_backdrop(bands) is Backdrop.OPAQUE


def test_half_transparent_print_counts() -> None:
    page = np.zeros((20, 20, 4), np.uint8)
    page[2:4] = (0, 0, 0, 200)
    assert find_backdrop([Image.fromarray(page)]) is Backdrop.WHITE
