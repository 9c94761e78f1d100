"""Results as exports take them: corrections, and what changes their hash."""

from __future__ import annotations

from dataclasses import replace

from airflow_deepseek_ocr.ocr.exports.exported import (
    corrected_region,
    effective,
    exported_page,
    ordered,
)
from airflow_deepseek_ocr.ocr.results import Box, PageResult, PageStatus, Region
from tests.support.exported import document, page, region, sample


def test_a_page_that_was_just_read_has_boxes_from_top_left_to_bottom_right() -> None:
    box = Box((9, 9, 1, 1), (90, 80, 10, 20))
    read = PageResult(
        number=2,
        status=PageStatus.OK,
        resolution="base",
        width=100,
        height=100,
        markdown="a",
        regions=(Region("text", "a", (box,), 0.5, (50,), "A house."),),
        rotation=90,
    )
    found = exported_page(read)
    assert found.regions[0].boxes == ((10, 20, 90, 80),)
    assert (found.regions[0].confidence, found.regions[0].word_confidences) == (0.5, (50,))
    assert found.regions[0].description == "A house."
    assert (found.number, found.rotation, found.is_usable) == (2, 90, True)
    assert ordered((3, 1, 2, 4)) == (2, 1, 3, 4)


def test_a_corrected_region_is_in_the_markdown_and_loses_the_models_confidence() -> None:
    wrong = region(1, "Oder 7", (0, 0, 9, 9), confidence=0.4, word_confidences=(40, 90))
    mended = effective(page(1, corrected_region(wrong, "Order 7"), region(2, "Yours")))
    assert mended.markdown == "Order 7\n\nYours"
    assert mended.is_corrected
    assert mended.regions[0].confidence is None
    assert mended.regions[0].word_confidences is None


def test_regions_of_a_prompt_for_lines_stay_lines() -> None:
    lines = page(1, corrected_region(region(1, "a"), "A"), region(2, "b"))
    assert effective(lines, prompt="ocr").markdown == "A\nb"


def test_a_corrected_page_gives_its_blocks_to_as_many_regions() -> None:
    before = page(1, region(1, "a", (0, 0, 9, 9)), region(2, "b", (0, 20, 9, 30)))
    after = effective(before, page_correction="A\n\nB")
    assert [(each.text, each.boxes) for each in after.regions] == [
        ("A", ((0, 0, 9, 9),)),
        ("B", ((0, 20, 9, 30),)),
    ]


def test_a_corrected_page_with_other_blocks_has_one_region_around_all() -> None:
    before = page(
        1,
        region(1, "a", (5, 5, 9, 9)),
        region(2, "b", (0, 20, 9, 30)),
        region(3, "", (50, 50, 60, 60), label="image"),
    )
    after = effective(before, page_correction="all of it")
    assert [each.boxes for each in after.regions] == [((0, 5, 9, 30),), ((50, 50, 60, 60),)]
    assert after.markdown == "all of it"


def test_a_rejected_page_is_shown_once_a_person_accepts_it() -> None:
    rejected = page(1, region(1, "a"), status="failed")
    assert not rejected.is_usable
    assert rejected.shown_regions == ()
    assert replace(rejected, is_accepted=True).shown_regions == rejected.regions


def test_the_hash_changes_with_each_correction_and_not_otherwise() -> None:
    assert sample().content_key == sample().content_key
    first = document(page(1, region(1, "a")))
    second = document(page(1, region(1, "a", is_corrected=True)))
    assert first.content_key != second.content_key
    assert document().name == "letter 1.pdf"
