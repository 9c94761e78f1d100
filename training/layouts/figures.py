"""Pictures and charts of synthetic pages."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from PIL import Image

from training.layouts.sheet import DESCENT, Column, Sheet
from training.page import Line, PixelBox


def _photo(sheet: Sheet, width: int, height: int) -> Image.Image:
    """Make something like a photograph: clouds of noise of several sizes."""
    rng = sheet.rng
    noise = np.random.default_rng(rng.getrandbits(32))
    picture = None
    for cells in (rng.randint(2, 5), rng.randint(8, 40)):
        field = noise.integers(0, 256, (cells, cells), dtype=np.uint8)
        layer = Image.fromarray(field).resize((width, height), Image.Resampling.BILINEAR)
        picture = layer if picture is None else Image.blend(picture, layer, rng.uniform(0.1, 0.5))
    assert picture is not None
    return picture


def _gradient(sheet: Sheet, width: int, height: int) -> Image.Image:
    source = Image.radial_gradient("L") if sheet.chance(0.4) else Image.linear_gradient("L")
    if sheet.chance(0.5):
        source = source.transpose(Image.Transpose.ROTATE_90)
    return source.resize((width, height), Image.Resampling.BILINEAR)


def draw_picture(sheet: Sheet, box: PixelBox) -> None:
    """Draw a picture without text, and record it.

    :param sheet: the page.
    :param box: its place in pixels.
    """
    rng, canvas = sheet.rng, sheet.canvas
    x1, y1, x2, y2 = map(round, box)
    kind = rng.randrange(3)
    if kind < 2:
        make = _photo if kind == 0 else _gradient
        canvas.image.paste(make(sheet, x2 - x1, y2 - y1), (x1, y1))
    else:
        canvas.draw.rectangle((x1, y1, x2 - 1, y2 - 1), fill=rng.randint(90, 240))
    if kind > 0 or sheet.chance(0.3):
        _shapes(sheet, (x1, y1, x2, y2))
    canvas.add("image", (), box=(x1, y1, x2, y2))


def _shapes(sheet: Sheet, box: tuple[int, int, int, int]) -> None:
    """Draw ellipses, boxes and polygons within a box."""
    rng, draw = sheet.rng, sheet.canvas.draw
    x1, y1, x2, y2 = box
    for _ in range(rng.randint(2, 8)):
        xs = sorted(rng.randint(x1, x2 - 1) for _ in range(2))
        ys = sorted(rng.randint(y1, y2 - 1) for _ in range(2))
        place = (xs[0], ys[0], xs[1], ys[1])
        grey = rng.randint(0, 255)
        shape = rng.randrange(4)
        if shape == 0:
            draw.ellipse(place, fill=grey)
        elif shape == 1:
            draw.rectangle(place, fill=grey)
        elif shape == 2:
            draw.ellipse(place, outline=grey, width=2)
        else:
            points = [(rng.randint(x1, x2 - 1), rng.randint(y1, y2 - 1)) for _ in range(3)]
            draw.polygon(points, fill=grey)


def figure(sheet: Sheet, column: Column, height: float) -> bool:
    """Draw a picture in a column.

    :param sheet: the page.
    :param column: the column.
    :param height: the picture's height in pixels.
    :return: whether it fitted.
    """
    if column.y + height > column.bottom:
        return False
    width = column.width * sheet.rng.choice((1.0, 1.0, sheet.rng.uniform(0.5, 1.0)))
    left = column.left + sheet.rng.choice((0.0, 0.5)) * (column.width - width)
    draw_picture(sheet, (left, column.y, left + width, column.y + height))
    column.y += height
    sheet.gap(column)
    return True


def draw_chart(sheet: Sheet, column: Column) -> bool:
    """Draw a bar or line chart over the rest of a column, every value printed.

    :param sheet: the page; gets the chart's rows.
    :param column: the column.
    :return: whether it fitted.
    """
    rng, style = sheet.rng, sheet.style
    font = sheet.face()
    names, labels, values = _data(sheet, column.width)
    needed = sum(map(len, (*names, *labels, *values)))
    size = font.size
    bottom = min(column.bottom, column.y + rng.uniform(0.6, 1.0) * column.width)
    if len(labels) < 2 or needed > sheet.canvas.left or bottom - column.y < 9 * size:
        return False
    top = column.y
    lines = [sheet.canvas.print(names[1], font, column.left, top + size, style.ink)]
    base = round(bottom - 3.4 * size)
    plot = (round(column.left), round(top + 3.0 * size), round(column.right), base)
    lines += _plot(sheet, plot, labels, values)
    x = (column.left + column.right - font.width(names[0])) / 2
    lines.append(sheet.canvas.print(names[0], font, x, bottom - DESCENT * size, style.ink))
    box = (
        round(column.left),
        round(top),
        round(column.right),
        min(sheet.canvas.height, math.ceil(bottom)),
    )
    sheet.canvas.add("image", lines, box=box)
    sheet.chart = (names, *zip(labels, values, strict=True))
    column.y = bottom
    sheet.gap(column)
    return True


def _data(sheet: Sheet, width: float) -> tuple[tuple[str, str], list[str], list[str]]:
    """Write a chart's names, labels and values, as many as its width has room for."""
    rng, writer = sheet.rng, sheet.writer
    font = sheet.face()
    count = rng.randint(3, 8)
    form = rng.randrange(4)
    year = rng.randint(1980, 2025)
    if form == 0:
        labels = [str(year + i) for i in range(count)]
    elif form == 1:
        start = rng.randrange(12)
        months = (
            "Jan",
            "Feb",
            "Mar",
            "Apr",
            "May",
            "Jun",
            "Jul",
            "Aug",
            "Sep",
            "Oct",
            "Nov",
            "Dec",
        )
        labels = [months[(start + i) % 12] for i in range(count)]
    elif form == 2:
        labels = [f"Q{i % 4 + 1}" for i in range(count)][:4]
    else:
        labels = list(dict.fromkeys(writer.capital() for _ in range(count)))
    most = rng.choice((10, 100, 1000))
    places = rng.choice((0, 0, 1))
    values = [f"{rng.uniform(0.1, 1) * most:.{places}f}" for _ in labels]
    names = (writer.label(), writer.label())
    room = width / (max(map(font.width, (*labels, *values))) + 0.6 * font.size)
    kept = min(len(labels), int(room))
    if max(map(font.width, names)) > width:
        kept = 0
    return names, labels[:kept], values[:kept]


def _plot(
    sheet: Sheet, plot: tuple[int, int, int, int], labels: Sequence[str], values: Sequence[str]
) -> list[Line]:
    """Draw axes, bars or a line, and print the values above and the labels below."""
    rng, style, draw = sheet.rng, sheet.style, sheet.canvas.draw
    x1, y1, x2, y2 = plot
    font = sheet.face()
    step = (x2 - x1) / len(labels)
    most = max(map(float, values)) or 1.0
    if sheet.chance(0.4):
        for i in range(1, 5):
            y = y2 + (y1 - y2) * i // 4
            draw.line((x1, y, x2, y), style.paper - 35, 1)
    draw.line((x1, y2, x2, y2), style.ink, style.stroke)
    draw.line((x1, y1, x1, y2), style.ink, style.stroke)
    bars = sheet.chance(0.6)
    fill = rng.randint(style.ink, 190)
    width = rng.uniform(0.3, 0.8) * step
    tops = [round(y2 - (y2 - y1) * float(value) / most) for value in values]
    centres = [x1 + (i + 0.5) * step for i in range(len(labels))]
    if bars:
        for x, y in zip(centres, tops, strict=True):
            draw.rectangle((x - width / 2, min(y, y2 - 1), x + width / 2, y2 - 1), fill=fill)
    else:
        draw.line(list(zip(centres, tops, strict=True)), fill, 2 * style.stroke)
        dot = 2 * style.stroke
        for x, y in zip(centres, tops, strict=True):
            draw.ellipse((x - dot, y - dot, x + dot, y + dot), fill=style.ink)
    lines = []
    for x, y, value in zip(centres, tops, values, strict=True):
        start = x - font.width(value) / 2
        above = y - 0.4 * font.size
        if not bars:
            # A line passes beside its points, so paper is left around the value.
            place = (start - 1, above - 0.85 * font.size, start + font.width(value), above + 1)
            draw.rectangle(place, fill=style.paper)
        lines.append(sheet.canvas.print(value, font, start, above, style.ink))
    for x, label in zip(centres, labels, strict=True):
        start = x - font.width(label) / 2
        lines.append(sheet.canvas.print(label, font, start, y2 + 1.3 * font.size, style.ink))
    return lines
