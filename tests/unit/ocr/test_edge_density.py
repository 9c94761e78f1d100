"""Edges of page images."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image, ImageDraw

from airflow_deepseek_ocr.ocr.edge_density import MAP_SIZE, MIN_EDGE, measure_edge_density
from airflow_deepseek_ocr.ocr.quality.thresholds import THRESHOLDS
from tests.support.fixtures.model_output import PROSE, edge_density_of, image_of


def pictures() -> Iterator[Image.Image]:
    """Without any text."""
    yield Image.new("RGB", (1240, 1754), "white")
    yield Image.linear_gradient("L").resize((1240, 1754))
    frame = Image.new("L", (640, 640), 250)
    ImageDraw.Draw(frame).rectangle((50, 50, 600, 600), outline=0, width=3)
    ImageDraw.Draw(frame).ellipse((200, 200, 400, 400), fill=90)
    yield frame


def test_text_has_text_edges_and_pictures_have_none() -> None:
    limits = THRESHOLDS
    assert [edge_density_of(image).text_edges for image in pictures()] == [0] * 3
    for size in (8, 12, 20, 40):
        assert edge_density_of(image_of("Invoice 4711", size)).text_edges > limits.blank_text_edges
    many = image_of("\n".join([PROSE[:60]] * 12))
    assert edge_density_of(many).text_edges > limits.printed_text_edges
    assert (
        edge_density_of(Image.eval(many, lambda level: 255 - level)).text_edges
        > limits.printed_text_edges
    )


@pytest.mark.parametrize("size", [(3, 3), (159, 900), (200, 100_000)])
def test_images_too_narrow_to_tell(size: tuple[int, int]) -> None:
    assert measure_edge_density(Image.new("L", size, 255)) is None


def test_the_map_has_the_edges_where_the_text_is() -> None:
    found = edge_density_of(image_of("\n".join([PROSE[:80]] * 18)))
    assert found.edge_map is not None
    assert found.edge_map.shape == (MAP_SIZE, MAP_SIZE)
    assert found.edge_map.sum() == found.edges
    lines_with_text = np.flatnonzero(found.edge_map.sum(axis=1))
    assert lines_with_text.min() >= 2
    assert lines_with_text.max() < 60


def test_an_image_with_few_rows_has_no_map() -> None:
    assert edge_density_of(Image.new("L", (300, 50), 255)).edge_map is None


def test_bytes_give_the_edges_that_wide_numbers_give() -> None:
    chance = np.random.default_rng(1)
    grey = chance.integers(0, 256, (200, 330), dtype=np.uint8)
    grey[:50] = chance.choice(np.array([0, 31, 32, 33, 222, 223, 224, 255], np.uint8), (50, 330))
    wide = grey.astype(np.int16)
    slope = wide[:, 2:] - wide[:, :-2]
    edges = np.zeros((200, 327), dtype=bool)
    for steep in (slope > MIN_EDGE, slope < -MIN_EDGE):
        edges |= steep[:, 1:] & ~steep[:, :-1]
    found = edge_density_of(Image.fromarray(grey))
    assert found.edges == int(edges.sum())
    assert found.edge_map is not None
    assert int(found.edge_map[10].sum()) == int(edges[20:22].sum())


@pytest.mark.parametrize("size", [(1280, 1280), (160, 1280), (1280, 300), (160, 100)])
def test_fields_of_the_map_hold_the_most_edges_that_there_can_be(size: tuple[int, int]) -> None:
    stripes = np.tile(np.array([0, 0, 255, 255], np.uint8), size[0] // 4)
    found = edge_density_of(Image.fromarray(np.tile(stripes, (size[1], 1))))
    assert found.edge_map is not None
    assert found.edge_map.shape == (MAP_SIZE, MAP_SIZE)
    assert int(found.edge_map.sum()) == found.edges > size[0] * size[1] // 3
