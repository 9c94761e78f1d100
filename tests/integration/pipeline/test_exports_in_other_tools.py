"""Exports of the sample documents in tools of others: Poppler's pdftotext, and OCRmyPDF's reader of hOCR."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pikepdf
import pytest
from ocrmypdf.hocrtransform.hocr_parser import HocrParser
from pikepdf import Array

from tests.conftest import TINY_MODEL
from tests.support.fakes.batch_engine import DOCUMENTS
from tests.unit.ocr.exports.pdf.test_searchable_pdf import made, with_text

pytestmark = pytest.mark.slow

NUMBER = r"([-\d.]+)"
WORD = re.compile(
    rf'xMin="{NUMBER}" yMin="{NUMBER}" xMax="{NUMBER}" yMax="{NUMBER}">([^<]+)</word>'
)
PAGE = re.compile(rf'<page width="{NUMBER}" height="{NUMBER}">')


@pytest.fixture(scope="module")
def exports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the directory with the exports of the sample documents, read by the small checkpoint."""
    directory = tmp_path_factory.mktemp("exports")
    documents = [DOCUMENTS / name for name in ("invoice.pdf", "letter.tiff", "table.png")]
    command = [sys.executable, "-m", "airflow_deepseek_ocr.cli", "read", *documents]
    options = ["--model", TINY_MODEL, "--resolution", "small", "--export", directory]
    subprocess.run(
        [*command, *options, "--format", "pdf,hocr"], check=True, capture_output=True, timeout=600
    )
    return directory


def pdftotext(path: Path, *options: str) -> str:
    done = subprocess.run(
        ["pdftotext", *options, path, "-"], check=True, capture_output=True, timeout=60
    )
    return done.stdout.decode()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("invoice.pdf", ["Harbor", "Invoice", "Coffee", "Amount", "$124.70"]),
        ("letter.tiff", ["reader", "price", "$89.50", "garden", "table"]),
        ("table.png", ["February", "Month", "1204", "76.50"]),
    ],
)
def test_pdftotext_finds_the_words_once(exports: Path, name: str, words: list[str]) -> None:
    found = pdftotext(exports / name / "document.pdf", "-layout").split()
    assert set(words) <= set(found)
    assert found.count(words[0]) == 1, "the document has it once"


def test_words_of_a_scan_lie_on_their_print(exports: Path) -> None:
    """``letter.tiff`` has the first word's print at 43 to 131 and 56 to 82 pixels of 640."""
    layout = pdftotext(exports / "letter.tiff/document.pdf", "-bbox")
    width, height = map(float, PAGE.findall(layout)[0])
    (place,) = [match[:4] for match in WORD.findall(layout) if match[4] == "Dear"]
    shares = [float(each) / side for each, side in zip(place, (width, height) * 2, strict=True)]
    assert shares == pytest.approx([43 / 640, 56 / 640, 131 / 640, 82 / 640], abs=0.02)


@pytest.mark.parametrize("unit", [1, 2])
@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_words_are_where_they_are_seen_on_turned_and_cropped_pages(
    rotation: int, unit: int, tmp_path: Path
) -> None:
    path = tmp_path / "a.pdf"
    content = made(Rotate=rotation, UserUnit=unit, CropBox=Array([50, 20, 350, 170]))
    path.write_bytes(with_text(content))
    layout = pdftotext(path, "-cropbox", "-bbox")
    # The size is that of the page before it is turned, the words are on the turned one.
    width, height = (300, 150) if rotation % 180 == 0 else (150, 300)
    (place,) = [match[:4] for match in WORD.findall(layout) if match[4] == "needle"]
    shares = [float(each) / side for each, side in zip(place, (width, height) * 2, strict=True)]
    assert shares == pytest.approx([1 / 8, 1 / 8, 1 / 2, 1 / 4], abs=0.02)


def test_another_reader_finds_lines_words_and_confidence_in_hocr(exports: Path) -> None:
    page = HocrParser(exports / "invoice.pdf/document.hocr.html").parse()
    lines = [line for paragraph in page.children for line in paragraph.children]
    words = [word for line in lines for word in line.children]
    assert page.page_number == 0
    assert {"Invoice", "Harbor", "Amount"} <= {word.text for word in words}
    for word in words:
        assert word.bbox is not None
        assert page.bbox is not None
        assert 0 <= word.bbox.left < word.bbox.right <= page.bbox.right
        assert 0 <= word.bbox.top < word.bbox.bottom <= page.bbox.bottom
        assert word.confidence is not None
        assert 0 <= word.confidence <= 1


def test_qpdf_finds_no_fault(exports: Path) -> None:
    for path in exports.rglob("document.pdf"):
        with pikepdf.open(path) as pdf:
            assert pdf.check_pdf_syntax() == []
