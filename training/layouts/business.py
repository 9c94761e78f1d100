"""Letters, invoices, receipts and forms."""

from __future__ import annotations

from collections.abc import Sequence

from training.layouts.blocks import (
    field,
    fitted,
    heading,
    paragraph,
    pitch_of,
    print_lines,
    rows,
    rule,
    wrap,
)
from training.layouts.parts import (
    field_value,
    fill,
    framed,
    label_rows,
    prose,
)
from training.layouts.sheet import Column, Sheet
from training.layouts.tables import draw_table

_TERMS = ("Subtotal", "Discount", "Shipping", "Tax 19%", "VAT", "TOTAL", "Total", "Amount due")
_TITLES = ("INVOICE", "Invoice", "Receipt", "Order", "Quotation", "Delivery note", "Credit note")
_GREETINGS = ("Dear {},", "Dear Sir or Madam,", "Hello {},", "To whom it may concern,", "Hi {},")
_CLOSINGS = ("Sincerely,", "Best regards,", "Yours faithfully,", "Kind regards", "With thanks,")


def letter(sheet: Sheet, column: Column) -> None:
    """Sender, recipient, date, subject, paragraphs and a signature."""
    framed(sheet, column, lambda: _letter_body(sheet, column))


def _letter_body(sheet: Sheet, column: Column) -> None:
    rng, writer = sheet.rng, sheet.writer
    if sheet.chance(0.7):
        align = rng.choice(("left", "right", "centre"))
        rows(sheet, column, writer.address(), align=align)
    rows(sheet, column, writer.address())
    if sheet.chance(0.8):
        paragraph(sheet, column, writer.date(), align=rng.choice(("left", "right")))
    if sheet.chance(0.5):
        heading(sheet, column, writer.heading())
    paragraph(sheet, column, rng.choice(_GREETINGS).format(writer.name()))
    closing = rng.choice(_CLOSINGS)
    name = writer.name()
    reserved = len(closing) + len(name)
    foot = 6 * sheet.style.size
    room = sheet.canvas.left > reserved and column.y + 2 * foot < column.bottom
    if room:
        sheet.canvas.left -= reserved
        column.bottom -= foot
    for _ in range(rng.randint(1, 6)):
        if sheet.full(column) or not prose(sheet, column):
            break
    if room:
        sheet.canvas.left += reserved
        column.bottom += foot
        paragraph(sheet, column, closing)
        if sheet.chance(0.7):
            _signature(sheet, column)
        paragraph(sheet, column, name)


def _signature(sheet: Sheet, column: Column) -> None:
    """Scribble a signature."""
    rng, style = sheet.rng, sheet.style
    x, y = column.left, column.y + style.size
    points = []
    for step in range(rng.randint(12, 30)):
        x += rng.uniform(-0.1, 0.45) * style.size
        points.append((x, y + rng.uniform(-0.9, 0.9) * style.size * (0.3 + (step % 3) / 3)))
    sheet.canvas.draw.line(points, style.ink, style.stroke, joint="curve")
    column.y += 2.4 * style.size


def invoice(sheet: Sheet, column: Column) -> None:
    """A title, addresses beside each other, the items' table and the totals."""
    rng, writer = sheet.rng, sheet.writer
    _logo(sheet, column)
    title = rng.choice(_TITLES) if sheet.chance(0.8) else writer.heading()
    heading(sheet, column, title, label="title", align=rng.choice(("left", "right", "centre")))
    if sheet.chance(0.6):
        rows(sheet, column, label_rows(sheet, rng.randint(1, 4)))
    ends = [column.y]
    for side in column.split(2, gutter=2.5 * sheet.style.size)[: rng.randint(1, 2)]:
        lines = writer.address()
        if sheet.chance(0.6):
            lines.insert(0, rng.choice(("Bill to:", "Ship to:", "From:", "To:", "Customer")))
        rows(sheet, side, lines)
        ends.append(side.y)
    column.y = max(ends)
    totals = _totals(sheet)
    reserved = sum(map(len, totals))
    height = len(totals) * 3 * sheet.style.size
    room = sheet.canvas.left > 3 * reserved and column.y + 2 * height < column.bottom
    if room:
        sheet.canvas.left -= reserved
        column.bottom -= height
    draw_table(
        sheet,
        column,
        _items(sheet, rng.randint(2, 10)),
        aligns=("left", *rng.choice((("right",), ("left",), ("centre",))) * 5),
        spread=1.0,
    )
    if room:
        sheet.canvas.left += reserved
        column.bottom += height
        _print_totals(sheet, column, totals)
    if sheet.chance(0.5):
        if sheet.chance(0.4):
            rule(sheet, column)
        paragraph(sheet, column, writer.prose(rng.randint(20, 150)))


def _items(sheet: Sheet, count: int) -> list[list[str]]:
    """Write an invoice's table of items."""
    rng, writer = sheet.rng, sheet.writer
    coin = rng.choice(("", "", "$", "€", "£"))
    heads = rng.choice(
        (
            ["Item", "Qty", "Price", "Total"],
            ["Description", "Quantity", "Unit price", "Amount"],
            ["Description", "Amount"],
            ["Product", "No.", "Qty", "Price"],
            ["Article", "Units", "Rate", "VAT", "Sum"],
        )
    )
    table = [list(heads)]
    for _ in range(count):
        row = [writer.phrase(rng.randint(1, 3))]
        for head in heads[1:]:
            if head in ("Qty", "Quantity", "Units"):
                row.append(str(rng.choice((1, 1, 2, 5, rng.randint(1, 200)))))
            elif head == "No.":
                row.append(writer.code())
            elif head == "VAT":
                row.append(f"{rng.choice((0, 5, 7, 19, 20))}%")
            else:
                row.append(f"{coin}{10 ** rng.uniform(0, 4):,.2f}")
        table.append(row)
    return table


def _totals(sheet: Sheet) -> list[str]:
    """Write lines such as ``Total: $12.00``."""
    names = sorted(sheet.rng.sample(range(len(_TERMS)), sheet.rng.randint(1, 3)))
    return [f"{_TERMS[i]}: {sheet.writer.amount()}" for i in names]


def _print_totals(sheet: Sheet, column: Column, totals: Sequence[str]) -> None:
    """Print the totals as lines or, label and amount apart, as a table without rules."""
    if len(totals) > 1 and sheet.chance(0.5):
        cells = [total.split(": ", 1) for total in totals]
        right = column.part(0.5, 1.0)
        if draw_table(
            sheet, right, cells, look="none", aligns=("left", "right"), header=False, spread=1.0
        ):
            column.y = right.y
            return
    rows(sheet, column, totals, align=sheet.rng.choice(("left", "right")))


def _logo(sheet: Sheet, column: Column) -> None:
    """Draw a mark without text at the top, at times."""
    if not sheet.chance(0.25):
        return
    size = sheet.rng.uniform(1.5, 3.5) * sheet.style.size
    left = sheet.rng.choice((column.left, column.right - size))
    place = (left, column.y, left + size, column.y + size)
    grey = sheet.rng.randint(sheet.style.ink, 170)
    draw = sheet.canvas.draw
    if sheet.chance(0.5):
        draw.ellipse(place, fill=grey)
    else:
        draw.rectangle(place, outline=grey, width=2 * sheet.style.stroke)
    column.y += size + 0.6 * sheet.style.size


def receipt(sheet: Sheet, column: Column) -> None:
    """A narrow strip: the shop, items with prices, totals, thanks."""
    rng, writer = sheet.rng, sheet.writer
    strip = column
    width = min(column.width, max(column.width * rng.uniform(0.4, 0.8), 18 * sheet.style.size))
    strip.left += (column.width - width) * rng.choice((0.0, 0.5, 0.5, 1.0))
    strip.right = strip.left + width
    if sheet.chance(0.6):
        heading(sheet, strip, writer.company(), label="title", align="centre")
    rows(sheet, strip, writer.address()[1:], align="centre")
    if sheet.chance(0.6):
        rows(sheet, strip, [f"{writer.date()} {writer.time()}", *label_rows(sheet, 1)])
    count = rng.randint(2, 14)
    if sheet.chance(0.5):
        items = _receipt_items(sheet, count, strip)
        rows(sheet, strip, items)
    else:
        cells = [[writer.phrase(rng.choice((1, 1, 2))), _price(sheet)] for _ in range(count)]
        look = rng.choice(("none", "none", "rows"))
        draw_table(
            sheet, strip, cells, look=look, aligns=("left", "right"), header=False, spread=1.0
        )
    if sheet.chance(0.4):
        rule(sheet, strip)
    _print_totals(sheet, strip, _totals(sheet))
    if sheet.chance(0.6):
        thanks = rng.choice(("Thank you!", "THANK YOU", "Please come again", "*** END ***"))
        paragraph(sheet, strip, thanks, align="centre")


def _price(sheet: Sheet) -> str:
    return f"{10 ** sheet.rng.uniform(0, 2.3):.2f}"


def _receipt_items(sheet: Sheet, count: int, column: Column) -> list[str]:
    """Write items with their prices, with leading dots between them at times."""
    dots = sheet.chance(0.4)
    font = sheet.face()
    room = int(column.width / font.width("0"))
    lines = []
    for _ in range(count):
        name, price = sheet.writer.phrase(sheet.rng.choice((1, 1, 2))), _price(sheet)
        free = min(room - len(name) - len(price) - 2, 12)
        middle = f" {'.' * free} " if dots and free >= 3 else " "
        lines.append(f"{name}{middle}{price}")
    return lines


def form(sheet: Sheet, column: Column) -> None:
    """Labels with lines and boxes for their values, and check boxes."""
    heading(sheet, column, sheet.writer.heading(), label="title")
    if sheet.chance(0.3):
        prose(sheet, column, most=150)
    halves = [column]
    if sheet.chance(0.4) and column.width > 30 * sheet.style.size:
        halves = column.split(2, gutter=2.5 * sheet.style.size)
    fill(sheet, halves, ((_fields, 3), (_entry, 2), (_checks, 1.5), (_group, 0.4)))


def _group(sheet: Sheet, column: Column) -> bool:
    """Set the heading of a group of fields."""
    return heading(sheet, column, sheet.writer.heading())


def _fields(sheet: Sheet, column: Column) -> bool:
    """Set lines of labels with values beside them, as one block."""
    underline = sheet.chance(0.6)
    colon = ":" if sheet.chance(0.8) else ""
    lines = []
    for _ in range(sheet.rng.randint(1, 5)):
        line = field(
            sheet, column, sheet.writer.label() + colon, field_value(sheet), underline=underline
        )
        if line is None:
            break
        lines.append(line)
    if not lines:
        return False
    sheet.canvas.add("text", lines, "\n".join(line.text for line in lines))
    sheet.gap(column)
    return True


def _entry(sheet: Sheet, column: Column) -> bool:
    """Set a label above a frame with its value: two lines of one block."""
    style = sheet.style
    label, value = sheet.writer.label(), field_value(sheet)
    font = sheet.face(italic=sheet.chance(0.3))
    pad = 0.5 * style.size
    height = (2 * 1.6 + 0.6) * style.size
    inner = Column(column.left + pad, column.right - pad, column.y, column.bottom)
    if (
        column.y + height > column.bottom
        or font.width(value) > inner.width
        or len(label) + len(value) > sheet.canvas.left
        or sheet.face().width(label) > column.width
    ):
        return False
    lines = print_lines(sheet, column, [label], sheet.face())
    top = column.y + 0.1 * style.size
    bottom = top + 1.8 * style.size
    draw = sheet.canvas.draw
    draw.rectangle((column.left, top, column.right, bottom), outline=style.ink, width=style.stroke)
    inner.y = top + 0.25 * style.size
    lines += print_lines(sheet, inner, [value], font)
    sheet.canvas.add("text", lines, f"{label}\n{value}")
    column.y = bottom
    sheet.gap(column)
    return True


def _checks(sheet: Sheet, column: Column) -> bool:
    """Set options with check boxes before them, some checked."""
    rng, style, writer = sheet.rng, sheet.style, sheet.writer
    font = sheet.face()
    options = [writer.phrase(rng.randint(1, 3)) for _ in range(rng.randint(2, 4))]
    inner = Column(column.left + 1.6 * style.size, column.right, column.y, column.bottom)
    texts = [line for text in options for line in wrap(text, font, inner.width)[:1]]
    kept = fitted(sheet, inner, texts, font, pitch_of(sheet, font))
    if not kept:
        return False
    side = 0.75 * style.size
    lines = []
    for text in kept:
        top = inner.y + 0.25 * style.size
        place = (column.left, top, column.left + side, top + side)
        sheet.canvas.draw.rectangle(place, outline=style.ink, width=style.stroke)
        if sheet.chance(0.4):
            x1, y1, x2, y2 = place
            sheet.canvas.draw.line((x1, y1, x2, y2), style.ink, style.stroke)
            sheet.canvas.draw.line((x1, y2, x2, y1), style.ink, style.stroke)
        lines += print_lines(sheet, inner, [text], font)
    sheet.canvas.add("text", lines, "\n".join(kept))
    column.y = inner.y
    sheet.gap(column)
    return True
