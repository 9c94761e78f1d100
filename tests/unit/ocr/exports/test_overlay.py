"""Boxes drawn over a page image."""

from __future__ import annotations

from PIL import Image, ImageChops

from airflow_deepseek_ocr.ocr.exports.overlay import draw_regions
from airflow_deepseek_ocr.ocr.results import Box, Region


def test_overlay_draws_each_box() -> None:
    page = Image.new("RGB", (400, 300), "white")
    box = Box((0, 0, 0, 0), (50, 60, 200, 120))
    drawn = draw_regions(page, [Region("title", "x", (box,)), Region("text", "none")])
    changed = ImageChops.difference(page, drawn).getbbox()
    assert changed is not None
    assert (changed[0], changed[2], changed[3]) == (50, 201, 121)
    assert page.getextrema() == ((255, 255),) * 3
