"""The guide's pictures: each page with the boxes that the model wrote about it."""

from __future__ import annotations

from collections.abc import Iterable

from PIL import Image

from airflow_deepseek_ocr.ocr.exports.overlay import draw_regions
from benchmarks.prompts.pages import GuidePage
from benchmarks.prompts.results import BOXED, Json, Results, find, regions

#: Width of one page in a picture, and the space between two, in pixels.
_WIDTH, _GAP = 420, 12


def draw(results: Results, data: Json, pages: Iterable[GuidePage], mode: str) -> None:
    """Write a picture for each page: its boxes with each prompt that has some, side by side.

    :param results: the place of the pictures.
    :param data: the recorded outputs.
    :param pages: the pages.
    :param mode: the resolution mode whose boxes are drawn.
    """
    results.pictures.mkdir(parents=True, exist_ok=True)
    for page in pages:
        image = page.load().image
        outputs = [found for prompt in BOXED if (found := find(data, page.name, prompt, mode))]
        panels = [_panel(image, data, output) for output in outputs]
        if panels:
            file = results.pictures / f"{page.name}.webp"
            _side_by_side(panels).save(file, quality=70, method=6)


def _panel(image: Image.Image, data: Json, output: Json) -> Image.Image:
    # Enlarged first, so that a small page's labels are as large as a large page's.
    factor = 2 * _WIDTH / image.width
    large = image.resize((round(image.width * factor), round(image.height * factor)))
    page = {"name": output["page"], "width": large.width, "height": large.height}
    drawn = draw_regions(large, regions({"pages": [page]}, output))
    return drawn.resize((large.width // 2, large.height // 2), Image.Resampling.LANCZOS)


def _side_by_side(panels: list[Image.Image]) -> Image.Image:
    width = sum(panel.width for panel in panels) + _GAP * (len(panels) - 1)
    sheet = Image.new("RGB", (width, max(panel.height for panel in panels)), "#888888")
    left = 0
    for panel in panels:
        sheet.paste(panel, (left, 0))
        left += panel.width + _GAP
    return sheet
