"""The blocks that layouts are built of: headings, paragraphs, lines, lists and fields."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from training.canvas import Face, joined
from training.layouts.sheet import DESCENT, Column, Sheet
from training.page import Line, PixelBox


def shorten(text: str, characters: int) -> str:
    """Cut a text at a space.

    :param text: the text.
    :param characters: its most characters afterwards.
    """
    if len(text) <= characters:
        return text
    end = text.rfind(" ", 0, characters + 1)
    return text[:end].rstrip() if end > 0 else ""


def wrap(text: str, font: Face, width: float) -> list[str]:
    """Break a text into lines; words wider than a line are left out.

    :param text: the text.
    :param font: its font.
    :param width: the lines' width in pixels.
    """
    lines: list[str] = []
    line: list[str] = []
    used = 0.0
    for word in text.split():
        size = font.width(word)
        if size > width:
            continue
        if line and used + font.space + size > width:
            lines.append(" ".join(line))
            line, used = [], 0.0
        used += size if not line else font.space + size
        line.append(word)
    if line:
        lines.append(" ".join(line))
    return lines


def fitted(sheet: Sheet, column: Column, lines: Sequence[str], font: Face, pitch: int) -> list[str]:
    """Keep the first lines that the column and the budget have room for.

    :param sheet: the page.
    :param column: the column.
    :param lines: the lines.
    :param font: their font.
    :param pitch: from baseline to baseline in pixels.
    """
    room = column.bottom - column.y - (1 + DESCENT) * font.size
    kept: list[str] = []
    budget = sheet.canvas.left
    for line in lines[: int(room // pitch) + 1 if room >= 0 else 0]:
        budget -= len(line)
        if budget < 0:
            break
        kept.append(line)
    return kept


def _start(column: Column, width: float, align: str) -> float:
    if align in ("left", "justified"):
        return column.left
    return column.right - width if align == "right" else (column.left + column.right - width) / 2


def print_lines(
    sheet: Sheet,
    column: Column,
    lines: Sequence[str],
    font: Face,
    *,
    align: str = "left",
    ink: int | None = None,
    indents: Sequence[float] = (),
    pitch: int | None = None,
) -> list[Line]:
    """Print lines that fit, and move down by them.

    :param sheet: the page.
    :param column: the column.
    :param lines: the lines.
    :param font: their font.
    :param align: ``left``, ``centre``, ``right`` or ``justified``, which leaves the last line at the left.
    :param ink: their grey; without one, the page's.
    :param indents: how far each starts from the left edge, in pixels.
    :param pitch: from baseline to baseline in pixels.
    """
    grey = sheet.style.ink if ink is None else ink
    pitch = pitch or pitch_of(sheet, font)
    printed = []
    for number, line in enumerate(lines):
        width = font.width(line)
        x = _start(column, width, align) + (indents[number] if indents else 0)
        spread = 0.0
        if align == "justified" and number < len(lines) - 1 and " " in line:
            spread = (column.width - width) / line.count(" ")
            # Programs leave a line that would have holes as it is.
            spread = spread if spread < 1.5 * font.space else 0.0
        printed.append(sheet.canvas.print(line, font, x, column.y + font.size, grey, spread))
        column.y += pitch
    return printed


def pitch_of(sheet: Sheet, font: Face) -> int:
    """Give the distance of a font's baselines in pixels."""
    return math.ceil(sheet.style.pitch * font.size)


def paragraph(
    sheet: Sheet,
    column: Column,
    text: str,
    *,
    label: str = "text",
    font: Face | None = None,
    align: str = "left",
    ink: int | None = None,
    most_lines: int = 99,
    behind: Callable[[PixelBox], None] | None = None,
) -> bool:
    """Set a paragraph, shortened to what fits.

    :param sheet: the page.
    :param column: the column.
    :param text: the paragraph.
    :param label: the block's label.
    :param font: its font; without one, the body's.
    :param align: ``left``, ``centre`` or ``right``.
    :param ink: its grey; without one, the page's.
    :param most_lines: how many lines it may have.
    :param behind: draws what lies behind the print, given the place that the print fills.
    :return: whether anything fitted.
    """
    font = font or sheet.face()
    lines = wrap(shorten(text, sheet.canvas.left), font, column.width)[:most_lines]
    return _block(sheet, column, lines, font, " ", label, align, ink, behind)


def rows(
    sheet: Sheet,
    column: Column,
    texts: Sequence[str],
    *,
    label: str = "text",
    font: Face | None = None,
    align: str = "left",
    ink: int | None = None,
) -> bool:
    """Set lines that stay lines, such as an address, shortened to what fits.

    :param sheet: the page.
    :param column: the column.
    :param texts: the lines.
    :param label: the block's label.
    :param font: its font; without one, the body's.
    :param align: ``left``, ``centre`` or ``right``.
    :param ink: its grey; without one, the page's.
    :return: whether anything fitted.
    """
    font = font or sheet.face()
    firsts = (wrap(text, font, column.width)[:1] for text in texts)
    lines = [line for first in firsts for line in first]
    return _block(sheet, column, lines, font, "\n", label, align, ink, None)


def _block(
    sheet: Sheet,
    column: Column,
    lines: Sequence[str],
    font: Face,
    joint: str,
    label: str,
    align: str,
    ink: int | None,
    behind: Callable[[PixelBox], None] | None,
) -> bool:
    pitch = pitch_of(sheet, font)
    kept = fitted(sheet, column, lines, font, pitch)
    if not kept:
        return False
    if behind is not None:
        bottom = column.y + (len(kept) - 1) * pitch + (1 + DESCENT) * font.size
        behind((column.left, column.y, column.right, bottom))
    printed = print_lines(sheet, column, kept, font, align=align, ink=ink, pitch=pitch)
    sheet.canvas.add(label, printed, joint.join(kept))
    sheet.gap(column)
    return True


def heading(
    sheet: Sheet, column: Column, text: str, *, label: str = "sub_title", align: str = "left"
) -> bool:
    """Set a heading, at times underlined or white on a dark band.

    :param sheet: the page.
    :param column: the column.
    :param text: the heading.
    :param label: ``title`` or ``sub_title``.
    :param align: ``left``, ``centre`` or ``right``.
    :return: whether it fitted.
    """
    rng, style = sheet.rng, sheet.style
    factor = rng.uniform(1.45, 2.0) if label == "title" else rng.uniform(1.15, 1.4)
    bold, italic = sheet.chance(0.8), sheet.chance(0.1)
    font = sheet.face(factor, bold=bold, italic=italic)
    wide = max(map(font.width, text.split())) / column.width
    if wide > 1:
        factor /= wide
        if factor < (1.4 if label == "title" else 1.1):
            return False
        font = sheet.face(factor * 0.97, bold=bold, italic=italic)
    # A heading at the foot of a column would have nothing below it, and one is never cut.
    if column.y + 3 * font.size > column.bottom or len(text) > sheet.canvas.left:
        return False
    dark = sheet.chance(0.07)
    pad = 0.25 * font.size

    def band(box: PixelBox) -> None:
        x1, y1, x2, y2 = box
        sheet.canvas.draw.rectangle((x1 - pad, y1, x2 + pad, y2 + pad / 2), fill=style.ink)

    done = paragraph(
        sheet,
        column,
        text,
        label=label,
        font=font,
        align=align,
        ink=style.paper if dark else None,
        most_lines=3,
        behind=band if dark else None,
    )
    if done and dark:
        column.y += pad
    elif done and sheet.chance(0.15):
        y = round(column.y - style.gap * style.size + DESCENT * font.size * 0.6)
        sheet.canvas.draw.line((column.left, y, column.right, y), style.ink, style.stroke)
        column.y += DESCENT * font.size
    return done


def boxed_paragraph(sheet: Sheet, column: Column, text: str) -> bool:
    """Set a paragraph in a frame or on a shade.

    :param sheet: the page.
    :param column: the column.
    :param text: the paragraph.
    :return: whether anything fitted.
    """
    style = sheet.style
    pad = sheet.rng.uniform(0.4, 0.9) * style.size
    inner = Column(column.left + pad, column.right - pad, column.y + pad, column.bottom - 1.5 * pad)
    form = sheet.rng.randrange(3)
    ink = style.paper if form == 2 else None

    def back(box: PixelBox) -> None:
        x1, y1, x2, y2 = box
        place = (x1 - pad, y1 - pad, x2 + pad, y2 + pad)
        if form == 0:
            sheet.canvas.draw.rectangle(place, outline=style.ink, width=style.stroke)
        else:
            shade = style.paper - 25 if form == 1 else style.ink
            sheet.canvas.draw.rectangle(place, fill=shade)

    if not paragraph(sheet, inner, text, ink=ink, behind=back):
        return False
    column.y = inner.y + pad + DESCENT * style.size
    return True


def bullets(sheet: Sheet, column: Column, items: Sequence[str]) -> bool:
    """Set a list with bullets or numbers, shortened to what fits.

    :param sheet: the page.
    :param column: the column.
    :param items: what its items say.
    :return: whether anything fitted.
    """
    rng = sheet.rng
    font = sheet.face()
    pitch = pitch_of(sheet, font)
    mark = rng.choice(("•", "•", "-", "–", "1.", "1.", "1)"))
    first = rng.choice((1, 1, 1, rng.randint(2, 40)))
    indent = rng.choice((0.0, 0.0, 1.0, 2.0)) * font.size
    lines: list[str] = []
    indents: list[float] = []
    texts: list[str] = []
    room = len(fitted(sheet, column, ["-"] * 99, font, pitch))
    budget = sheet.canvas.left
    for number, item in enumerate(items, first):
        printed = mark.replace("1", str(number))
        hanging = font.width(printed + " ")
        space = room - len(lines)
        item_lines = wrap(item, font, column.width - indent - hanging)[:space]
        if not item_lines:
            break
        shown = " ".join(item_lines)
        budget -= len(printed) + 1 + len(shown)
        if budget < 0:
            break
        lines += [f"{printed} {item_lines[0]}", *item_lines[1:]]
        indents += [indent] + [indent + hanging] * (len(item_lines) - 1)
        texts.append(f"{printed if mark[0] == '1' else '-'} {shown}")
    if not texts:
        return False
    lined = print_lines(sheet, column, lines, font, indents=indents, pitch=pitch)
    sheet.canvas.add("text", lined, "\n".join(texts))
    sheet.gap(column)
    return True


def field(sheet: Sheet, column: Column, label: str, value: str, *, underline: bool) -> Line | None:
    """Print a label and, in another face, its value beside it: one line.

    :param sheet: the page.
    :param column: the column.
    :param label: the label.
    :param value: the value.
    :param underline: whether a line for filling in is drawn below the value.
    :return: the line, or nothing where it does not fit.
    """
    style = sheet.style
    plain, other = sheet.face(), sheet.face(bold=sheet.chance(0.4), italic=sheet.chance(0.4))
    start = column.left + plain.width(label) + sheet.rng.uniform(0.4, 1.2) * style.size
    if (
        start + other.width(value) > column.right
        or column.y + (1 + DESCENT) * style.size > column.bottom
        or len(label) + len(value) + 1 > sheet.canvas.left
    ):
        return None
    base = column.y + style.size
    parts = [
        sheet.canvas.print(label, plain, column.left, base, style.ink),
        sheet.canvas.print(value, other, start, base, style.ink),
    ]
    if underline:
        y = base + math.ceil(0.3 * style.size)
        sheet.canvas.draw.line((start, y, column.right, y), style.ink, style.stroke)
    column.y += pitch_of(sheet, plain) + (math.ceil(0.2 * style.size) if underline else 0)
    # The space between the two is not printed, but it is read.
    sheet.canvas.left -= 1
    return joined(parts)


def rule(sheet: Sheet, column: Column) -> None:
    """Draw a rule across a column, between two blocks.

    :param sheet: the page.
    :param column: the column.
    """
    style = sheet.style
    y = round(column.y)
    if y + 2 * style.stroke < column.bottom:
        sheet.canvas.draw.line((column.left, y, column.right, y), style.ink, style.stroke)
        column.y += 0.5 * style.size
