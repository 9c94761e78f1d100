"""Exports of files that were read without a database."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from airflow_deepseek_ocr.ocr.documents.limits import Limits
from airflow_deepseek_ocr.ocr.exports.formats import Format
from airflow_deepseek_ocr.ocr.rendering.pdf_maker import PdfMaker
from airflow_deepseek_ocr.ocr.rendering.pool import RenderPool
from airflow_deepseek_ocr.ocr.results import PageResult, PageStatus
from airflow_deepseek_ocr.pipeline.exports.file_exports import FileExports
from tests.support.fakes.batch_engine import CONFIG, DOCUMENTS


def read(number: int, markdown: str) -> PageResult:
    return PageResult(
        number=number,
        status=PageStatus.OK,
        resolution="small",
        width=640,
        height=480,
        markdown=markdown,
    )


def test_each_file_has_a_directory_of_its_name(tmp_path: Path) -> None:
    letter = DOCUMENTS / "letter.tiff"
    with closing(RenderPool(Limits())) as pool, PdfMaker(Limits()) as maker:
        exports = FileExports(tmp_path, (Format.TEXT, Format.WEBP), CONFIG, pool, maker)
        for name in (letter, Path("other/letter.tiff")):
            exports.opened(name, letter, "image/tiff", 2)
            exports.add(name, read(2, "second"))
            exports.add(name, read(1, "# first"))
        written = dict(exports.write())
    assert set(written) == {letter, Path("other/letter.tiff")}
    directories = sorted(path.name for path in tmp_path.iterdir())
    assert directories == ["letter.tiff", "letter.tiff-2"]
    for directory in directories:
        assert (tmp_path / directory / "document.txt").read_text() == "first\n\fsecond\n"
        assert (tmp_path / directory / "page-0002.webp").stat().st_size > 100
