"""A sheet of synthetic pages with their blocks' boxes and labels over them, to look at."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from random import Random

from PIL import Image, ImageDraw

from training.degrade import degrade
from training.layouts import KINDS, PageAssets, draw_page
from training.page import Page

_COLOURS = {
    "title": "red",
    "sub_title": "orange",
    "text": "blue",
    "table": "green",
    "image": "purple",
    "image_caption": "magenta",
    "table_caption": "teal",
    "header": "brown",
    "footer": "gray",
}


def annotated(page: Page) -> Image.Image:
    """Draw a page's boxes and glyphs over its picture.

    :param page: the page.
    """
    image = page.image.convert("RGB")
    draw = ImageDraw.Draw(image)
    for number, block in enumerate(page.blocks, 1):
        colour = _COLOURS[block.label]
        for line in block.lines:
            draw.rectangle(line.box, outline="lightblue")
        draw.rectangle(block.box, outline=colour)
        draw.text((block.box[0], block.box[1] - 11), f"{number} {block.label}", fill=colour)
    for glyph in page.glyphs:
        draw.point((glyph.x, glyph.y), fill="red")
    draw.rectangle((0, 0, image.width - 1, image.height - 1), outline="black")
    return image


def preview(
    assets: PageAssets,
    out: Path,
    *,
    kinds: Sequence[str] = tuple(KINDS),
    columns: int = 4,
    size: int = 640,
    text_size: tuple[float, float] = (11.0, 28.0),
    max_characters: int = 450,
    seed: int = 0,
    strength: float = 0.0,
) -> None:
    """Draw a sheet of pages.

    :param assets: fonts and texts.
    :param out: the PNG file to write.
    :param kinds: the pages' kinds, one page each.
    :param columns: how many pages stand side by side.
    :param size: the pages' width and height in pixels.
    :param text_size: the smallest and the largest body text in pixels.
    :param max_characters: the most characters of a page.
    :param seed: the seed of the first page; the others' follow.
    :param strength: how worn the pages are, 0 to 1.
    """
    count = -(-len(kinds) // columns)
    sheet = Image.new("RGB", (columns * size, count * size), "white")
    for place, kind in enumerate(kinds):
        rng = Random(seed + place)
        page = draw_page(
            rng,
            assets,
            width=size,
            height=size,
            text_size=text_size,
            max_characters=max_characters,
            kind=kind,
        )
        page = degrade(rng, page, strength)
        sheet.paste(annotated(page), (place % columns * size, place // columns * size))
    sheet.save(out)
