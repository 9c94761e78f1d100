"""Exports of files that were read without a database."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from PIL import Image

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


def test_another_picture_with_the_same_text_is_exported_again(tmp_path: Path) -> None:
    name, path = Path("a.png"), tmp_path / "a.png"
    pictures = []
    with closing(RenderPool(Limits())) as pool, PdfMaker(Limits()) as maker:
        for colour in ("red", "blue"):
            Image.new("RGB", (64, 48), colour).save(path)
            exports = FileExports(tmp_path / "out", (Format.WEBP,), CONFIG, pool, maker)
            exports.opened(name, path, "image/png", 1)
            exports.add(name, read(1, "same"))
            assert len(list(exports.write())) == 1
            pictures.append((tmp_path / "out/a.png/page-0001.webp").read_bytes())
    assert pictures[0] != pictures[1]
