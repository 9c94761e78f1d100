"""Pages of an original, rendered again."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pytest
from PIL import Image

from airflow_deepseek_ocr.ocr.documents.limits import Limits
from airflow_deepseek_ocr.ocr.rendering.pool import RenderPool
from airflow_deepseek_ocr.pipeline.exports.original import Original
from tests.support.exported import document, page
from tests.support.fakes.batch_engine import DOCUMENTS


@pytest.fixture
def pool() -> Iterator[RenderPool]:
    pool = RenderPool(Limits())
    yield pool
    pool.close()


def test_pages_come_in_the_size_of_their_boxes_and_unreadable_ones_without_picture(
    pool: RenderPool,
) -> None:
    pages = (
        page(1, width=300, height=200),
        page(2, width=0, height=0),
        page(9),
        page(9, width=0, height=0),
    )
    letter = document(*pages, media_type="image/tiff")
    original = Original(DOCUMENTS / "letter.tiff", letter, pool, with_text=True)
    shown = [original.show(each) for each in pages]
    pictures = [original.picture(each.page, each.rendered) for each in shown if each.rendered]
    assert Image.open(io.BytesIO(pictures[0])).size == (300, 200)
    assert Image.open(io.BytesIO(pictures[1])).size == (640, 640)
    original.close()
    assert [each.page.number for each in shown] == [1, 2, 9, 9]
    assert shown[0].image is not None
    assert shown[0].image.size == (300, 200)
    assert shown[1].image is not None  # the letter has two pages
    assert shown[2].image is None
    assert shown[3].image is None
    # Only the page that had a size when it was read has lost its picture.
    assert [each.lost is not None for each in shown] == [False, False, True, False]


def test_pages_of_a_file_with_more_pages_than_the_limit_are_shown() -> None:
    pool = RenderPool(Limits(max_pages=1))
    try:
        second = page(2, width=300, height=200)
        letter = document(second, media_type="image/tiff", page_count=2)
        original = Original(DOCUMENTS / "letter.tiff", letter, pool, with_text=False)
        assert original.show(second).image is not None
        original.close()
    finally:
        pool.close()
