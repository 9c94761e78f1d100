"""Pages as people's own programs set them: paper with margins, one typeface, text that fills the page."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from training.layouts import business, documents
from training.layouts.blocks import heading, paragraph, rows, rule
from training.layouts.parts import captioned_table, field_value, framed, random_list
from training.layouts.sheet import Column, Sheet
from training.layouts.tables import draw_table
from training.wording import PeopleWriter

_GREETINGS = (
    "Dear {},",
    "Dear {},",
    "Dear {}:",
    "Hello {},",
    "Dear Sir or Madam,",
    "To whom it may concern:",
)
_CLOSINGS: tuple[str, ...] = (
    *("Yours sincerely,", "Yours faithfully,", "Sincerely,", "Best regards,", "Kind regards,"),
    *("With best wishes,", "Yours truly,", "Regards,", "Many thanks,"),
)
_SUBJECTS = ("Re: ", "Subject: ", "", "RE: ", "Your ref. ")
_ROLES = (
    "Accounts Department",
    "Head of Sales",
    "Secretary",
    "Manager",
    "Customer Service",
    "Director",
)
_NOTES = ("Enclosure", "Encl. 2", "cc: {}", "Page 1 of 1", "P.S. {}")


def letter(sheet: Sheet, column: Column) -> None:
    """Letterhead or sender, recipient, date, subject, paragraphs of all lengths, closing and name."""
    framed(sheet, column, lambda: _letter_body(sheet, column))


def _letter_body(sheet: Sheet, column: Column) -> None:
    rng, writer = sheet.rng, _writer(sheet)
    _sender(sheet, column)
    if sheet.chance(0.9):
        rows(sheet, column, [writer.name(), *writer.address()[1:]])
    if sheet.chance(0.85):
        date = writer.date() if sheet.chance(0.7) else f"{writer.city()}, {writer.date()}"
        paragraph(sheet, column, date, align=rng.choice(("left", "left", "right")))
    if sheet.chance(0.5):
        subject = rng.choice(_SUBJECTS) + writer.heading()
        paragraph(sheet, column, subject, font=sheet.face(bold=sheet.chance(0.8)))
    paragraph(sheet, column, rng.choice(_GREETINGS).format(writer.name()))
    foot = [rng.choice(_CLOSINGS), writer.name()]
    if sheet.chance(0.4):
        foot.append(rng.choice(_ROLES))
    reserved, height = sum(map(len, foot)), 9 * sheet.style.size
    room = sheet.canvas.left > reserved and column.y + 2 * height < column.bottom
    if room:
        sheet.canvas.left -= reserved
        column.bottom -= height
    _paragraphs(sheet, column, rng.choice((1, 1, 2, 2, 3, 4, 5, 8, 20)), opening=True)
    if room:
        sheet.canvas.left += reserved
        column.bottom += height
        paragraph(sheet, column, foot[0])
        column.y += rng.uniform(0.5, 3.0) * sheet.style.size
        rows(sheet, column, foot[1:])
    if sheet.chance(0.15):
        paragraph(sheet, column, rng.choice(_NOTES).format(writer.name()))


def _writer(sheet: Sheet) -> PeopleWriter:
    if not isinstance(sheet.writer, PeopleWriter):
        raise TypeError("people's pages need a PeopleWriter")
    return sheet.writer


def _sender(sheet: Sheet, column: Column) -> None:
    """Set a letterhead, or the sender's address as a block."""
    rng, writer = sheet.rng, _writer(sheet)
    form = rng.random()
    if form < 0.35:
        align = rng.choice(("left", "centre", "right"))
        company = writer.company() if sheet.chance(0.6) else writer.name()
        heading(sheet, column, company, label="title", align=align)
        joint = rng.choice((" · ", ", ", " | ", " - "))
        address = [*writer.address()[1:], writer.phone(), writer.email()]
        kept = rng.randint(2, len(address))
        rows(sheet, column, [joint.join(address[:kept])], align=align)
        if sheet.chance(0.5):
            rule(sheet, column)
            sheet.gap(column)
    elif form < 0.85:
        lines = writer.address()
        if sheet.chance(0.4):
            lines.append(rng.choice((writer.phone, writer.email))())
        rows(sheet, column, lines, align=rng.choice(("left", "right", "right")))


def _paragraphs(sheet: Sheet, column: Column, count: int, *, opening: bool = False) -> None:
    """Set paragraphs from one sentence to half a page, all in the page's alignment."""
    rng, writer = sheet.rng, _writer(sheet)
    align = "justified" if sheet.style.justified else "left"
    font = sheet.face()
    for number in range(count):
        if sheet.full(column):
            return
        text = writer.prose(round(10 ** rng.uniform(1.5, 3.0)))
        if opening and number == 0 and sheet.chance(0.6):
            text = f"{writer.opening()} {text}" if sheet.chance(0.8) else writer.opening()
        if not paragraph(sheet, column, text, font=font, align=align):
            return


def article(sheet: Sheet, column: Column) -> None:
    """A title, paragraphs that fill the page, headings and at times a list or a table among them."""
    framed(sheet, column, lambda: _article_body(sheet, column))


def _article_body(sheet: Sheet, column: Column) -> None:
    rng = sheet.rng
    if sheet.chance(0.6):
        align = rng.choice(("left", "centre"))
        heading(sheet, column, sheet.writer.heading(), label="title", align=align)
        if sheet.chance(0.3):
            paragraph(sheet, column, sheet.writer.name(), align=align)
    for _ in range(20):
        if sheet.full(column):
            return
        chance = rng.random()
        if chance < 0.2:
            heading(sheet, column, _section_title(sheet))
        elif chance < 0.28:
            random_list(sheet, column)
        elif chance < 0.34:
            captioned_table(sheet, column)
        else:
            _paragraphs(sheet, column, 1)


def _section_title(sheet: Sheet) -> str:
    title = sheet.writer.heading()
    return f"{sheet.rng.randint(1, 9)}. {title}" if sheet.chance(0.3) else title


def two_columns(sheet: Sheet, column: Column) -> None:
    """A title over two columns of paragraphs, as newsletters and papers have them."""
    framed(sheet, column, lambda: _two_columns_body(sheet, column))


def _two_columns_body(sheet: Sheet, column: Column) -> None:
    if sheet.chance(0.7):
        heading(sheet, column, sheet.writer.heading(), label="title", align="centre")
    halves = column.split(2, gutter=sheet.rng.uniform(1.2, 2.6) * sheet.style.size)
    for number, half in enumerate(halves):
        kept = sheet.canvas.left // 2 if number == 0 else 0
        sheet.canvas.left -= kept
        while not sheet.full(half):
            before = half.y
            if sheet.chance(0.2):
                heading(sheet, half, _section_title(sheet))
            _paragraphs(sheet, half, 1)
            if half.y == before:
                break
        sheet.canvas.left += kept


def invoice(sheet: Sheet, column: Column) -> None:
    """The seller, a title, short lines of details, the customer, a table over the whole width, totals."""
    rng, writer = sheet.rng, _writer(sheet)
    _sender(sheet, column)
    title = rng.choice(
        ("INVOICE", "Invoice", "Invoice " + writer.code(), "Quotation", "Delivery note")
    )
    heading(sheet, column, title, label="title", align=rng.choice(("left", "left", "right")))
    rows(sheet, column, _details(sheet), align=rng.choice(("left", "left", "right")))
    if sheet.chance(0.85):
        bill_to = [rng.choice(("Bill to:", "To:", "Customer:", "Invoice to"))]
        rows(sheet, column, [*bill_to[: rng.randint(0, 1)], writer.name(), *writer.address()[1:]])
    heads = rng.choice(
        (
            ("Description", "Qty", "Unit price", "Amount"),
            ("Item", "Quantity", "Price", "Total"),
            ("Pos.", "Description", "Qty", "Price", "Total"),
            ("Date", "Description", "Hours", "Rate", "Amount"),
            ("Description", "Amount"),
        )
    )
    table = [
        list(heads),
        *([_cell(sheet, head) for head in heads] for _ in range(rng.randint(1, 14))),
    ]
    _wide_table(sheet, column, table, words=("Description", "Item"))
    totals = [
        f"{name}: {writer.amount()}"
        for name in ("Subtotal", "VAT 20%", "Total")[rng.randint(0, 2) :]
    ]
    rows(sheet, column, totals, align=rng.choice(("right", "right", "left")))
    for _ in range(rng.randint(0, 2)):
        paragraph(sheet, column, writer.prose(rng.randint(30, 200)))
    if sheet.chance(0.4):
        rows(sheet, column, [f"Bank: {writer.company()}", f"IBAN {writer.code()} {writer.code()}"])


def _details(sheet: Sheet) -> list[str]:
    rng, writer = sheet.rng, _writer(sheet)
    lines = [
        f"{rng.choice(('Invoice no.', 'Invoice number:', 'No.'))} {writer.code()}",
        f"{rng.choice(('Date:', 'Invoice date:', 'Issued'))} {writer.date()}",
        f"{rng.choice(('Due date:', 'Due', 'Payable by'))} {writer.date()}",
        f"Customer no. {rng.randint(1000, 99999)}",
        f"Your order: {writer.code()}",
    ]
    return lines[: rng.randint(2, 5)]


def _cell(sheet: Sheet, head: str) -> str:
    rng, writer = sheet.rng, _writer(sheet)
    cells: dict[str, Callable[[], str]] = {
        "Description": writer.item,
        "Item": writer.item,
        "Date": lambda: (
            writer.date()
            if sheet.chance(0.6)
            else f"{rng.randint(1, 28):02d}/{rng.randint(1, 12):02d}"
        ),
        "Pos.": lambda: str(rng.randint(1, 40)),
        "Qty": lambda: str(rng.choice((1, 1, 2, 3, rng.randint(1, 400)))),
        "Quantity": lambda: str(rng.choice((1, 1, 2, 3, rng.randint(1, 400)))),
        "Hours": lambda: f"{rng.uniform(0.25, 40):.2f}",
        "Reference": writer.code,
    }
    return cells[head]() if head in cells else f"{10 ** rng.uniform(0, 4):,.2f}"


def _wide_table(
    sheet: Sheet, column: Column, table: Sequence[Sequence[str]], words: Sequence[str]
) -> bool:
    """Draw a table over most of the width: words at the left, numbers at the right of their columns."""
    aligns = ["left" if head in words or head == "Date" else "right" for head in table[0]]
    if sheet.chance(0.15):
        aligns = ["left"] * len(aligns)
    spread = 1.0 if sheet.chance(0.75) else sheet.rng.random()
    return draw_table(sheet, column, table, aligns=aligns, spread=spread)


def statement(sheet: Sheet, column: Column) -> None:
    """An account's lines with several columns of numbers, or a price list."""
    rng, writer = sheet.rng, _writer(sheet)
    if sheet.chance(0.5):
        _sender(sheet, column)
    title = rng.choice(("Statement of account", "Account statement", "Balance sheet", "Price list"))
    heading(sheet, column, writer.strange(title), label="title")
    rows(
        sheet, column, [f"{writer.label()}: {field_value(sheet)}" for _ in range(rng.randint(1, 4))]
    )
    heads = rng.choice(
        (
            ("Date", "Description", "Debit", "Credit", "Balance"),
            ("Date", "Description", "Reference", "Amount"),
            ("Description", "2022", "2023", "2024"),
            ("Item", "Jan", "Feb", "Mar", "Total"),
            ("Date", "Opening", "High", "Low", "Closing"),
        )
    )
    table = [
        list(heads),
        *([_cell(sheet, head) for head in heads] for _ in range(rng.randint(4, 40))),
    ]
    _wide_table(sheet, column, table, words=("Description", "Item", "Reference"))
    if sheet.chance(0.5):
        rows(sheet, column, [f"Balance: {writer.amount()}"], align=rng.choice(("left", "right")))


#: How people's pages of a kind are drawn, and how often each comes.
KINDS: dict[str, tuple[float, Callable[[Sheet, Column], None]]] = {
    "letter": (26.0, letter),
    "report": (20.0, article),
    "invoice": (15.0, invoice),
    "table": (12.0, statement),
    "two_columns": (8.0, two_columns),
    "form": (7.0, business.form),
    "receipt": (6.0, business.receipt),
    "list": (6.0, documents.list_page),
}
