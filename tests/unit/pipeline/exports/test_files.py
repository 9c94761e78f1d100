"""The files of exports."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from airflow_deepseek_ocr.exceptions import DocumentError, ErrorCode
from airflow_deepseek_ocr.ocr.documents.limits import Limits
from airflow_deepseek_ocr.ocr.exports.exported import ExportedPage
from airflow_deepseek_ocr.ocr.exports.formats import WITH_PICTURES, ExportFile, Format
from airflow_deepseek_ocr.ocr.rendering.pdf_maker import PdfMaker
from airflow_deepseek_ocr.ocr.rendering.pool import RenderPool
from airflow_deepseek_ocr.pipeline.exports.files import RefusedFormat, make_files
from airflow_deepseek_ocr.pipeline.exports.original import Original, ShownPage
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
    unread = page(9, region(1, "needle", (0, 0, 90, 20)), width=0, height=0)
    shown = document(unread, media_type="image/tiff")

    def get() -> Original:
        return Original(DOCUMENTS / "letter.tiff", shown, pool, with_text=True)

    with PdfMaker(Limits()) as maker:
        formats = [Format.WEBP, Format.HOCR, Format.ALTO, Format.PDF]
        made = list(make_files(shown, formats, get, maker, tmp_path))
    files = {each.format: each for each in made if isinstance(each, ExportFile)}
    assert files.keys() == {Format.HOCR, Format.ALTO}
    assert all(b"needle" in each.content for each in files.values())  # type: ignore[operator]
    assert [each.code for each in made if isinstance(each, RefusedFormat)] == ["damaged_page"]


def test_a_picture_that_a_page_had_when_it_was_read_fails_its_formats(
    tmp_path: Path, pool: RenderPool
) -> None:
    figure = region(1, "", (0, 0, 90, 20), label="image")
    pages = (page(1, figure), page(2), page(9, region(1, "needle", (0, 0, 90, 20))), page(10))
    shown = document(*pages, media_type="image/tiff")

    def get() -> Original:
        return Original(DOCUMENTS / "letter.tiff", shown, pool, with_text=True)

    with PdfMaker(Limits()) as maker:
        formats = [Format.TEXT, Format.WEBP, Format.FIGURES, Format.ALTO, Format.PDF]
        made = list(make_files(shown, formats, get, maker, tmp_path))
    files = [each for each in made if isinstance(each, ExportFile)]
    assert [each.page_number for each in files if each.format is Format.WEBP] == [1, 2]
    assert [each.page_number for each in files if each.format is Format.ALTO] == [1, 2, 9, 10]
    failed = {each.format: each for each in made if isinstance(each, RefusedFormat)}
    assert failed.keys() == {Format.WEBP, Format.ALTO, Format.PDF}
    assert {(each.has_failed, str(each.code)) for each in failed.values()} == {(True, "damaged")}
    assert "page 9 and 1 other page" in failed[Format.WEBP].error


def test_a_document_without_figures_is_not_rendered_for_them(tmp_path: Path) -> None:
    def none() -> Original:
        raise AssertionError

    plain = document(page(1, region(1, "text", (0, 0, 9, 9))))
    with PdfMaker(Limits()) as maker:
        made = make_files(plain, [Format.MARKDOWN, Format.FIGURES], none, maker, tmp_path)
        assert [each.format for each in made] == [Format.MARKDOWN]


def test_only_pages_with_figures_are_rendered_for_them(
    tmp_path: Path, pool: RenderPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    figure = region(1, "", (0, 0, 90, 20), label="image")
    letter = document(page(1), page(2, figure), media_type="image/tiff")
    asked: list[int] = []
    show = Original.show

    def noted(self: Original, shown: ExportedPage) -> ShownPage:
        asked.append(shown.number)
        return show(self, shown)

    monkeypatch.setattr(Original, "show", noted)

    def get() -> Original:
        return Original(DOCUMENTS / "letter.tiff", letter, pool, with_text=False)

    with PdfMaker(Limits()) as maker:
        (made,) = make_files(letter, [Format.FIGURES], get, maker, tmp_path)
    assert isinstance(made, ExportFile)
    assert made.name == "figures/p0002-1.webp"
    assert asked == [2]


def test_a_page_whose_picture_cannot_be_made_now_fails_its_format_only(
    tmp_path: Path, pool: RenderPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    letter = document(page(1), page(2), media_type="image/tiff")
    makes = pool.pictures.webp

    def once(*arguments: Any) -> bytes:
        monkeypatch.setattr(pool.pictures, "webp", makes)
        raise DocumentError(ErrorCode.TOO_SLOW, "It took more than 60 seconds.")

    monkeypatch.setattr(pool.pictures, "webp", once)

    def get() -> Original:
        return Original(DOCUMENTS / "letter.tiff", letter, pool, with_text=False)

    with PdfMaker(Limits()) as maker:
        formats = [Format.TEXT, Format.OVERLAY, Format.WEBP]
        text, *pictures, failed = make_files(letter, formats, get, maker, tmp_path)
    assert isinstance(text, ExportFile)
    assert [(each.format, getattr(each, "page_number", None)) for each in pictures] == [
        (Format.OVERLAY, 1),
        (Format.WEBP, 2),
        (Format.OVERLAY, 2),
    ]
    assert isinstance(failed, RefusedFormat)
    assert (failed.format, failed.code, failed.has_failed) == (Format.WEBP, "too_slow", True)


def test_pages_wait_for_room_in_memory_whichever_documents_they_belong_to(
    tmp_path: Path, pool: RenderPool
) -> None:
    letter = document(page(1), page(2), media_type="image/tiff")

    def make() -> list[str]:
        original = Original(DOCUMENTS / "letter.tiff", letter, pool, with_text=False)
        with PdfMaker(Limits()) as maker:
            made = make_files(letter, [Format.WEBP], lambda: original, maker, tmp_path)
            return [each.name for each in made if isinstance(each, ExportFile)]

    with ThreadPoolExecutor(1) as threads, ExitStack() as others:
        for _ in range(2):
            others.enter_context(pool.later_room)
        waiting = threads.submit(make)
        with pytest.raises(TimeoutError):
            waiting.result(0.3)
        others.close()
        assert waiting.result(60) == ["page-0001.webp", "page-0002.webp"]
