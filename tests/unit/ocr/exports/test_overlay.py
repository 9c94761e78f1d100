"""Page images with the boxes of their regions."""

from __future__ import annotations

import pytest
from PIL import Image, ImageChops

from airflow_deepseek_ocr.ocr.exports.overlay import draw_regions
from airflow_deepseek_ocr.ocr.results import Box, Region

PAGE = Image.new("RGB", (400, 300), "white")


def region(label: str, *corners: tuple[int, int, int, int]) -> Region:
    return Region(label, "x", tuple(Box((0, 0, 0, 0), each) for each in corners))


def changed(regions: list[Region], page: Image.Image = PAGE) -> tuple[int, int, int, int] | None:
    return ImageChops.difference(page.convert("RGB"), draw_regions(page, regions)).getbbox()


def test_each_box_is_outlined_on_a_copy() -> None:
    box = changed([region("title", (50, 60, 200, 120)), region("text")])
    assert box is not None
    assert (box[0], box[2], box[3]) == (50, 201, 121)
    assert box[1] < 60, "the caption is above the box"
    assert PAGE.getextrema() == ((255, 255),) * 3


def test_a_region_has_an_outline_for_each_box() -> None:
    box = changed([region("text", (50, 60, 80, 90), (250, 200, 300, 250))])
    assert box is not None
    assert (box[2], box[3]) == (301, 251)


@pytest.mark.parametrize("corners", [(200, 120, 50, 60), (50, 120, 200, 60)])
def test_corners_may_have_any_order(corners: tuple[int, int, int, int]) -> None:
    right_order = draw_regions(PAGE, [region("title", (50, 60, 200, 120))])
    assert not ImageChops.difference(
        right_order, draw_regions(PAGE, [region("title", corners)])
    ).getbbox()


def test_regions_with_the_same_label_have_the_same_colour() -> None:
    def colour(position: int) -> object:
        boxes = [region("text", (50, 60, 200, 120)), region("text", (50, 200, 200, 250))]
        return draw_regions(PAGE, boxes).getpixel((150, (60, 200)[position]))

    assert colour(0) == colour(1) != (255, 255, 255)


def test_positions_are_numbered_in_reading_order() -> None:
    first = draw_regions(PAGE, [region("text", (50, 60, 200, 120))])
    second = draw_regions(PAGE, [region("text"), region("text", (50, 60, 200, 120))])
    difference = ImageChops.difference(first, second).getbbox()
    assert difference is not None
    assert difference[3] <= 60, "only the caption differs"


def test_grey_pages_are_drawn_in_colour() -> None:
    grey = Image.new("L", (400, 300), 255)
    drawn = draw_regions(grey, [region("text", (50, 60, 200, 120))])
    assert (drawn.mode, grey.mode) == ("RGB", "L")


def test_without_regions_nothing_is_drawn() -> None:
    assert changed([]) is None


def test_labels_may_have_any_characters() -> None:
    assert changed([region("\ud800\n" + "文" * 300, (0, 0, 10, 10))]) is not None


def test_regions_with_equal_boxes_share_an_outline_and_a_caption() -> None:
    box = (50, 60, 120, 120)
    one = changed([region("text", box)])
    both = changed([region("text", box), region("table", (120, 120, 50, 60))])
    assert one is not None and both is not None
    assert both[2] > one[2], "the caption has both"
    again = changed([region("text", box, box)])
    assert again == one, "a region that has a box twice is named once"


def test_a_region_with_uncertain_words_is_shaded_and_its_print_stays() -> None:
    page = PAGE.copy()
    page.putpixel((100, 100), (0, 0, 0))
    regions = [region("text", (50, 60, 200, 120)), region("text", (250, 60, 350, 120))]
    drawn = draw_regions(page, regions, {0})
    assert drawn.getpixel((150, 90)) != (255, 255, 255) == drawn.getpixel((300, 90))
    assert drawn.getpixel((100, 100)) == (0, 0, 0)
    sure = draw_regions(page, regions)
    assert sure.getpixel((150, 90)) == (255, 255, 255)
    captions = (50, 30, 400, 59)
    difference = ImageChops.difference(drawn.crop(captions), sure.crop(captions)).getbbox()
    assert difference is not None, "the caption has a question mark"
    assert difference[2] < 200, "only that of the first region"
