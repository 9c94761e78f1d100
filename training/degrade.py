"""Traces of printing and scanning: skew, ink, blur and compression; and print that is wider than its font."""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from dataclasses import replace
from random import Random

import numpy as np
from PIL import Image, ImageFilter

from training.page import Block, Glyph, Line, Page, PixelBox

#: The largest skew, in degrees.
MOST_SKEW = 1.2
#: The largest skew of a light scan, in degrees.
MOST_SCAN_SKEW = 2.0


def degrade(rng: Random, page: Page, strength: float = 1.0) -> Page:
    """Wear a clean page.

    :param rng: the only source of chance.
    :param page: the page; not changed.
    :param strength: from 0, which changes nothing, to 1; both how often and how much.
    :return: the worn page, its boxes and glyphs where they are now.
    """
    if rng.random() < 0.3 * strength:
        page = skew(page, math.radians(rng.uniform(-MOST_SKEW, MOST_SKEW) * strength))
    image = page.image
    if rng.random() < 0.25 * strength:
        image = ink(image, rng.uniform(-0.4, 0.6) * strength)
    if rng.random() < 0.3 * strength:
        image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0.2, 0.7) * strength))
    if rng.random() < 0.4 * strength:
        image = compress(image, round(90 - rng.uniform(0, 55) * strength))
    return page if image is page.image else replace(page, image=image)


def scan(rng: Random, page: Page) -> Page:
    """Give a page as a program writes it, as a copy of that, or as a light scan of its print.

    :param rng: the only source of chance.
    :param page: the page; not changed.
    """
    form = rng.random()
    if form < 0.5:
        return page
    if form < 0.65:
        image = page.image.filter(ImageFilter.GaussianBlur(rng.uniform(0.2, 0.6)))
        return replace(page, image=compress(image, rng.randint(60, 95)))
    return light_scan(rng, page)


def light_scan(rng: Random, page: Page) -> Page:
    """Give what a scanner makes of a printed page: grey paper, grain, a little skew, compression.

    :param rng: the only source of chance.
    :param page: the page; not changed.
    """
    if rng.random() < 0.8:
        page = skew(page, math.radians(rng.uniform(-MOST_SCAN_SKEW, MOST_SCAN_SKEW)))
    image = page.image
    if rng.random() < 0.5:
        image = ink(image, rng.uniform(-0.35, 0.5))
    image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 0.8)))
    paper = rng.randint(205, 252)
    image = image.point([min(255, round(20 + level * (paper - 20) / 255)) for level in range(256)])
    return replace(page, image=compress(grain(rng, image, rng.uniform(1, 9)), rng.randint(60, 95)))


def grain(rng: Random, image: Image.Image, deviation: float) -> Image.Image:
    """Add the noise of a scanner.

    :param rng: the only source of chance.
    :param image: grey.
    :param deviation: of the noise, in levels of grey.
    """
    generator = np.random.default_rng(rng.getrandbits(63))
    noise = generator.standard_normal(image.size[::-1], dtype=np.float32)
    noise *= deviation
    noise += np.asarray(image)
    return Image.fromarray(noise.clip(0, 255, out=noise).astype(np.uint8))


def ink(image: Image.Image, amount: float) -> Image.Image:
    """Let ink run, or dry up.

    :param image: dark print on light paper.
    :param amount: up to 1, strokes a pixel wider on each side; down to -1, as much thinner.
    """
    spread = _extreme_of_nine(image, np.minimum if amount > 0 else np.maximum)
    return Image.blend(image, spread, abs(amount))


def _extreme_of_nine(image: Image.Image, extreme: np.ufunc) -> Image.Image:
    """What ``ImageFilter.MinFilter(3)`` or ``MaxFilter(3)`` gives, in a tenth of the time."""
    levels = np.pad(np.asarray(image), 1, mode="edge")
    rows = extreme(extreme(levels[:-2], levels[1:-1]), levels[2:])
    return Image.fromarray(extreme(extreme(rows[:, :-2], rows[:, 1:-1]), rows[:, 2:]))


def stretch(page: Page, width: int) -> Page:
    """Make a page and all print on it wider or narrower, as fonts are that nobody has at hand.

    :param page: the page; not changed.
    :param width: its new width in pixels.
    """
    factor = width / page.image.width

    def move(x: float, y: float) -> tuple[float, float]:
        return x * factor, y

    return replace(
        page,
        image=page.image.resize((width, page.image.height), Image.Resampling.BILINEAR),
        blocks=tuple(_moved(block, move) for block in page.blocks),
        glyphs=[Glyph(glyph.character, *move(glyph.x, glyph.y)) for glyph in page.glyphs],
    )


def compress(image: Image.Image, quality: int) -> Image.Image:
    """Give what JPEG makes of an image.

    :param image: the image.
    :param quality: JPEG's quality, 1 to 95.
    """
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=quality)
    with Image.open(io.BytesIO(stream.getvalue())) as packed:
        packed.load()
        return packed.convert("L")


def skew(page: Page, angle: float) -> Page:
    """Turn a page about its middle, with everything on it.

    A page whose print would leave the paper is not turned.

    :param page: the page.
    :param angle: the angle in radians, clockwise as seen.
    """
    width, height = page.image.size
    cos, sin = math.cos(angle), math.sin(angle)
    mid_x, mid_y = width / 2, height / 2

    def move(x: float, y: float) -> tuple[float, float]:
        dx, dy = x - mid_x, y - mid_y
        return mid_x + cos * dx - sin * dy, mid_y + sin * dx + cos * dy

    blocks = tuple(_moved(block, move) for block in page.blocks)
    edges = [edge for block in blocks for edge in (block.box[:2], block.box[2:])]
    if any(not (0 <= x <= width and 0 <= y <= height) for x, y in edges):
        return page
    # The transformation goes from the new picture to the old one.
    matrix = (
        cos,
        sin,
        mid_x - cos * mid_x - sin * mid_y,
        -sin,
        cos,
        mid_y + sin * mid_x - cos * mid_y,
    )
    paper = page.image.getpixel((0, 0))
    assert isinstance(paper, (int, float))
    image = page.image.transform(
        page.image.size,
        Image.Transform.AFFINE,
        matrix,
        Image.Resampling.BILINEAR,
        fillcolor=int(paper),
    )
    glyphs = [Glyph(glyph.character, *move(glyph.x, glyph.y)) for glyph in page.glyphs]
    return replace(page, image=image, blocks=blocks, glyphs=glyphs)


def _moved(block: Block, move: Callable[[float, float], tuple[float, float]]) -> Block:
    lines = tuple(Line(line.text, _around(line.box, move)) for line in block.lines)
    return replace(block, box=_around(block.box, move), lines=lines)


def _around(box: PixelBox, move: Callable[[float, float], tuple[float, float]]) -> PixelBox:
    """Give the box around a turned box."""
    x1, y1, x2, y2 = box
    xs, ys = zip(*(move(x, y) for x in (x1, x2) for y in (y1, y2)), strict=True)
    return min(xs), min(ys), max(xs), max(ys)
