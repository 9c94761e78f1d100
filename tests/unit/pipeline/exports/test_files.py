"""The files of exports."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_deepseek_ocr.exceptions import DocumentError, ErrorCode
from airflow_deepseek_ocr.ocr.documents.limits import Limits
from airflow_deepseek_ocr.ocr.exports.formats import WITH_PICTURES, ExportFile, Format
from airflow_deepseek_ocr.ocr.rendering.pdf_maker import PdfMaker
from airflow_deepseek_ocr.ocr.rendering.pool import RenderPool
from airflow_deepseek_ocr.pipeline.exports.files import RefusedFormat, make_files
from airflow_deepseek_ocr.pipeline.exports.original import Original
from tests.support.exported import document, page, region, sample
from tests.support.fakes.batch_engine import DOCUMENTS


@pytest.fixture
def pool() -> Iterator[RenderPool]:
    pool = RenderPool(Limits())
    yield pool
    pool.close()


def test_text_formats_need_no_original(tmp_path: Path) -> None:
    def none() -> Original:
        raise AssertionError

    formats = [each for each in Format if each not in WITH_PICTURES]
    with PdfMaker(Limits()) as maker:
        made = list(make_files(sample(), formats, none, maker, tmp_path))
    assert {each.format for each in made} == set(formats)
    assert all(isinstance(each, ExportFile) and each.content for each in made)


def test_without_the_original_each_format_with_pictures_says_why(tmp_path: Path) -> None:
    def gone() -> Original:
        raise DocumentError(ErrorCode.MISSING_KEY, "It is gone.")

    with PdfMaker(Limits()) as maker:
        formats = [Format.TEXT, Format.PDF, Format.WEBP]
        made = list(make_files(sample(), formats, gone, maker, tmp_path))
    assert [each.format for each in made if isinstance(each, ExportFile)] == [Format.TEXT]
    assert [each for each in made if isinstance(each, RefusedFormat)] == [
        RefusedFormat(each, ErrorCode.MISSING_KEY, "It is gone.")
        for each in (Format.PDF, Format.WEBP)
    ]


def test_pages_without_picture_keep_their_words(tmp_path: Path, pool: RenderPool) -> None:
    shown = document(page(9, region(1, "needle", (0, 0, 90, 20))), media_type="image/tiff")

    def get() -> Original:
        return Original(DOCUMENTS / "letter.tiff", shown, pool, with_text=True)

    with PdfMaker(Limits()) as maker:
        formats = [Format.WEBP, Format.HOCR, Format.ALTO, Format.PDF]
        made = list(make_files(shown, formats, get, maker, tmp_path))
    files = {each.format: each for each in made if isinstance(each, ExportFile)}
    assert files.keys() == {Format.HOCR, Format.ALTO}
    assert all(b"needle" in each.content for each in files.values())  # type: ignore[operator]
    assert [each.code for each in made if isinstance(each, RefusedFormat)] == ["damaged_page"]
