"""Image files: frames, orientation, depth, transparency, size, damage."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pillow_heif
import pytest
from PIL import Image

from airflow_deepseek_ocr.exceptions import DocumentError, ErrorCode
from airflow_deepseek_ocr.ocr.documents.images import ImageDocument
from airflow_deepseek_ocr.ocr.documents.limits import Limits
from airflow_deepseek_ocr.ocr.documents.open import open_document
from airflow_deepseek_ocr.ocr.documents.page_selection import PageSelection
from tests.corpus.documents.raw_images import encoded
from tests.support.fixtures.made_documents import error_of, png_of_size, write


def test_photographs_of_phones(tmp_path: Path) -> None:
    pillow_heif.from_pillow(Image.new("RGB", (64, 48), "red")).save(tmp_path / "photo.jpg.heic")
    (tmp_path / "photo.jpg.heic").rename(tmp_path / "photo.jpg")
    with open_document(tmp_path / "photo.jpg") as document:
        assert document.media_type == "image/heif"
        assert document.page(1).image.size == (64, 48)


def test_each_frame_of_a_tiff_is_a_page(tmp_path: Path) -> None:
    frames = [Image.new("L", (40 + i, 30), i * 80) for i in range(3)]
    path = tmp_path / "three.tiff"
    frames[0].save(path, save_all=True, append_images=frames[1:])
    with open_document(path, selection=PageSelection.parse("2-")) as document:
        assert document.page_count == 3
        pages = [document.page(number) for number in document.page_numbers]
    assert [(page.number, page.image.width) for page in pages] == [(2, 41), (3, 42)]
    assert pages[1].image.getpixel((0, 0)) == (160, 160, 160)


def test_pages_stay_when_others_are_read_and_the_document_is_closed(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (40, 30), (shade, 0, 9)) for shade in (10, 20)]
    frames[0].save(tmp_path / "two.tiff", save_all=True, append_images=frames[1:])
    frames[0].save(tmp_path / "one.png")
    for name in ("two.tiff", "one.png"):
        with open_document(tmp_path / name) as document:
            pages = [document.page(number).image for number in document.page_numbers]
            again = document.page(1).image
        assert again.tobytes() == frames[0].tobytes()
        assert [page.tobytes() for page in pages] == [
            frame.tobytes() for frame in frames[: len(pages)]
        ]


def test_of_other_formats_the_first_frame_is_the_only_page(tmp_path: Path) -> None:
    frames = [Image.new("L", (8, 8), shade) for shade in (10, 200)]
    path = write(
        tmp_path, "a.png", encoded(frames[0], "PNG", save_all=True, append_images=frames[1:])
    )
    with open_document(path) as document:
        assert document.page_numbers == (1,)
        assert document.page(1).image.getpixel((0, 0)) == (10, 10, 10)


@pytest.mark.parametrize(
    ("orientation", "size", "corner"),
    [
        (1, (40, 20), (0, 0)),
        (2, (40, 20), (39, 0)),
        (3, (40, 20), (39, 19)),
        (4, (40, 20), (0, 19)),
        (5, (20, 40), (0, 0)),
        (6, (20, 40), (19, 0)),
        (7, (20, 40), (19, 39)),
        (8, (20, 40), (0, 39)),
        (9, (40, 20), (0, 0)),
    ],
)
def test_photographs_are_turned_upright(
    tmp_path: Path, orientation: int, size: tuple[int, int], corner: tuple[int, int]
) -> None:
    image = Image.new("RGB", (40, 20), "white")
    image.putpixel((0, 0), (0, 0, 0))
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = write(tmp_path, "photo.png", encoded(image, "PNG", exif=exif))
    with open_document(path) as document:
        upright = document.page(1).image
    assert upright.size == size
    assert upright.getpixel(corner) == (0, 0, 0), "the first pixel is where viewers show it"


def test_transparency_is_white_and_deep_grey_is_scaled(tmp_path: Path) -> None:
    clear = write(tmp_path, "clear.png", encoded(Image.new("RGBA", (9, 9), (0, 0, 0, 0)), "PNG"))
    deep = Image.fromarray(np.full((9, 9), 32768, np.uint16))
    grey = write(tmp_path, "deep.png", encoded(deep, "PNG"))
    with open_document(clear) as document:
        assert document.page(1).image.getpixel((0, 0)) == (255, 255, 255)
    with open_document(grey) as document:
        assert document.page(1).image.getpixel((0, 0)) == (127, 127, 127)


def test_each_image_of_a_heif_file_is_a_page_but_thumbnails(tmp_path: Path) -> None:
    file = pillow_heif.HeifFile()
    for width, height in ((64, 48), (80, 48), (16, 12)):
        file.add_from_pillow(Image.new("RGB", (width, height), "white"))
    file.save(tmp_path / "scan.heic", thumbnails=[16])
    with open_document(tmp_path / "scan.heic") as document:
        assert document.page_numbers == (1, 2)
        widths = [document.page(number).image.width for number in (1, 2, 1)]
    assert widths == [64, 80, 64]


@pytest.mark.parametrize(("kind", "options"), [("MPO", {}), ("WEBP", {"duration": 9}), ("PNG", {})])
def test_previews_and_animations_are_no_pages(
    tmp_path: Path, kind: str, options: dict[str, Any]
) -> None:
    first, second = Image.new("RGB", (64, 48), "white"), Image.new("RGB", (64, 48), "black")
    content = encoded(first, kind, save_all=True, append_images=[second], **options)
    with open_document(write(tmp_path, "a", content)) as document:
        assert document.page_numbers == (1,)
        assert document.page(1).image.getpixel((9, 9)) == (255, 255, 255)


def test_images_above_40_megapixels_are_halved(tmp_path: Path) -> None:
    image = Image.new("L", (8001, 5001), 255)
    image.paste(0, (0, 0, 4000, 5001))
    path = write(tmp_path, "large.png", encoded(image, "PNG", compress_level=1))
    with open_document(path) as document:
        halved = document.page(1).image
    assert halved.size == (4001, 2501)
    assert [halved.getpixel((x, 2500)) for x in (1999, 2000, 4000)] == [
        (0, 0, 0),
        (255, 255, 255),
        (255, 255, 255),
    ]


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("cut.png", encoded(Image.effect_noise((99, 99), 50), "PNG")[:2000], "damaged"),
        ("cut.jpg", encoded(Image.effect_noise((99, 99), 50), "JPEG")[:1500], "damaged"),
        ("bomb.png", png_of_size(30_000, 30_000), "too_many_pixels"),
        ("large.png", png_of_size(11_000, 11_000), "too_many_pixels"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_errors_say_what_to_do(tmp_path: Path, name: str, content: bytes, code: str) -> None:
    error = error_of(write(tmp_path, name, content))
    assert error.code == code
    assert "upload it again" in str(error).lower() or "scale it down" in str(error).lower()


def test_the_limit_on_pixels_holds_for_each_page(tmp_path: Path) -> None:
    path = tmp_path / "two.tiff"
    Image.new("L", (10, 10)).save(path, save_all=True, append_images=[Image.new("L", (100, 100))])
    with ImageDocument(
        path.open("rb"), "image/tiff", PageSelection(), Limits(max_pixels=1000)
    ) as document:
        assert document.page(1).image.size == (10, 10)
        with pytest.raises(DocumentError) as caught:
            document.page(2)
    assert caught.value.code is ErrorCode.TOO_MANY_PIXELS
