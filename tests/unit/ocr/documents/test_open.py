"""Files to pages: types by content, limits before decoding, clear errors."""

from __future__ import annotations

import io
import struct
import time
import zlib
from pathlib import Path

import numpy as np
import pikepdf
import pytest
from PIL import Image

from airflow_deepseek_ocr.exceptions import ConfigurationError, DocumentError
from airflow_deepseek_ocr.ocr.documents.limits import Limits
from airflow_deepseek_ocr.ocr.documents.open import media_type_of, open_document
from airflow_deepseek_ocr.ocr.documents.page_selection import PageSelection
from tests.conftest import ROOT

INVOICE = ROOT / "demo" / "documents" / "invoice.pdf"


def write(directory: Path, name: str, content: bytes) -> Path:
    path = directory / name
    path.write_bytes(content)
    return path


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def png_of_size(width: int, height: int) -> bytes:
    """A valid PNG header for any size, with hardly any data."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        checksum = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)

    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    data = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 100))
    return b"\x89PNG\r\n\x1a\n" + data + chunk(b"IEND", b"")


def blank_pdf(path: Path, pages: int, size: tuple[float, float] = (200, 100)) -> Path:
    with pikepdf.new() as pdf:
        for _ in range(pages):
            pdf.add_blank_page(page_size=size)
        pdf.save(path)
    return path


def error_of(path: Path, **options: object) -> DocumentError:
    with pytest.raises(DocumentError) as caught, open_document(path, **options) as document:  # type: ignore[arg-type]
        for number in document.page_numbers:
            document.page(number)
    return caught.value


@pytest.mark.parametrize(
    ("kind", "media_type"),
    [
        ("PNG", "image/png"),
        ("JPEG", "image/jpeg"),
        ("WEBP", "image/webp"),
        ("TIFF", "image/tiff"),
        ("PDF", "application/pdf"),
    ],
)
def test_a_file_is_what_its_content_says(tmp_path: Path, kind: str, media_type: str) -> None:
    path = write(tmp_path, "wrong.txt", encoded(Image.new("RGB", (60, 40), "white"), kind))
    assert media_type_of(path) == media_type
    with open_document(path) as document:
        assert document.media_type == media_type
        assert document.page(1).image.mode == "RGB"


def test_photographs_of_phones(tmp_path: Path) -> None:
    pillow_heif = pytest.importorskip("pillow_heif")
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


def test_photographs_are_turned_upright(tmp_path: Path) -> None:
    image = Image.new("RGB", (40, 20), "white")
    exif = Image.Exif()
    exif[0x0112] = 6  # turn clockwise
    path = write(tmp_path, "photo.jpg", encoded(image, "JPEG", exif=exif))
    with open_document(path) as document:
        assert document.page(1).image.size == (20, 40)


def test_transparency_is_white_and_deep_grey_is_scaled(tmp_path: Path) -> None:
    clear = write(tmp_path, "clear.png", encoded(Image.new("RGBA", (9, 9), (0, 0, 0, 0)), "PNG"))
    deep = Image.fromarray(np.full((9, 9), 32768, np.uint16))
    grey = write(tmp_path, "deep.png", encoded(deep, "PNG"))
    with open_document(clear) as document:
        assert document.page(1).image.getpixel((0, 0)) == (255, 255, 255)
    with open_document(grey) as document:
        assert document.page(1).image.getpixel((0, 0)) == (127, 127, 127)


def test_pdf_is_rendered_at_the_dpi_asked_for() -> None:
    for dpi, side in ((72, 640), (144, 1280)):
        with open_document(INVOICE, dpi=dpi) as document:
            assert document.page(1).image.size == (side, side)


def test_filled_in_form_fields_are_rendered(tmp_path: Path) -> None:
    path = tmp_path / "form.pdf"
    with pikepdf.new() as pdf:
        page = pdf.add_blank_page(page_size=(200, 100))
        stream = pdf.make_stream(b"0 0 0 rg 0 0 100 50 re f")
        stream.update({"/Type": pikepdf.Name.XObject, "/Subtype": pikepdf.Name.Form})
        stream["/BBox"] = pikepdf.Array([0, 0, 100, 50])
        field = pdf.make_indirect(
            pikepdf.Dictionary(
                Type=pikepdf.Name.Annot,
                Subtype=pikepdf.Name.Widget,
                FT=pikepdf.Name.Tx,
                T="name",
                V="x",
                F=4,
                Rect=[50, 25, 150, 75],
                AP=pikepdf.Dictionary(N=stream),
            )
        )
        page.obj["/Annots"] = pikepdf.Array([field])
        pdf.Root.AcroForm = pikepdf.Dictionary(Fields=[field])
        pdf.save(path)
    with open_document(path, dpi=72) as document:
        assert np.asarray(document.page(1).image.convert("L"))[50, 100] < 200


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("empty.pdf", b"", "empty_file"),
        ("notes.pdf", b"just some text", "unsupported_type"),
        ("cut.pdf", INVOICE.read_bytes()[:3000], "damaged"),
        ("cut.png", encoded(Image.effect_noise((99, 99), 50), "PNG")[:2000], "damaged"),
        ("cut.jpg", encoded(Image.effect_noise((99, 99), 50), "JPEG")[:1500], "damaged"),
        ("bomb.png", png_of_size(30_000, 30_000), "too_many_pixels"),
        ("large.png", png_of_size(11_000, 11_000), "too_many_pixels"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_be_read_says_why(tmp_path: Path, name: str, content: bytes, code: str) -> None:
    started = time.monotonic()
    error = error_of(write(tmp_path, name, content))
    assert error.code == code
    assert len(str(error)) > 30
    assert time.monotonic() - started < 5


def test_password_protected_pdf(tmp_path: Path) -> None:
    with pikepdf.open(INVOICE) as pdf:
        pdf.save(tmp_path / "locked.pdf", encryption=pikepdf.Encryption(user="a", owner="b"))
    assert error_of(tmp_path / "locked.pdf").code == "password_protected"


def test_too_many_pages_are_refused_and_can_be_selected(tmp_path: Path) -> None:
    path = blank_pdf(tmp_path / "long.pdf", 10_000)
    error = error_of(path)
    assert error.code == "too_many_pages"
    assert "10,000" in str(error)
    with open_document(path, selection=PageSelection.parse("9999-")) as document:
        assert document.page_numbers == (9999, 10_000)


def test_a_page_of_a_poster_stays_within_the_pixels(tmp_path: Path) -> None:
    path = blank_pdf(tmp_path / "poster.pdf", 1, (14_400, 7_200))
    with open_document(path, dpi=300, limits=Limits(max_pixels=1_000_000)) as document:
        width, height = document.page(1).image.size
    assert 900_000 < width * height <= 1_000_000
    assert width / height == pytest.approx(2, rel=0.01)


def test_limits_are_checked() -> None:
    with pytest.raises(DocumentError, match="max_bytes"):
        Limits(max_bytes=10).check_bytes(11)
    for wrong in ({"max_pages": 0}, {"max_pixels": 10**9}):
        with pytest.raises(ConfigurationError):
            Limits(**wrong)


@pytest.mark.parametrize(
    ("text", "pages"),
    [
        ("", [1, 2, 3, 4, 5]),
        ("2", [2]),
        ("4-", [4, 5]),
        ("-2,5", [1, 2, 5]),
        (" 1 - 2 , 2-3", [1, 2, 3]),
    ],
)
def test_page_selection(text: str, pages: list[int]) -> None:
    selection = PageSelection.parse(text)
    assert selection.of(5) == pages
    assert PageSelection.parse(str(selection)) == selection


@pytest.mark.parametrize("text", ["0", "3-1", "a", "1-2-3", "-", "1;2"])
def test_wrong_page_selection(text: str) -> None:
    with pytest.raises(ConfigurationError, match="1-3,5,10-"):
        PageSelection.parse(text)


def test_pages_that_do_not_exist() -> None:
    with pytest.raises(DocumentError, match="has 5"):
        PageSelection.parse("6-").of(5)
