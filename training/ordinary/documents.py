"""The sixty ordinary documents: what each says, in which print, and by which program it is typeset."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from random import Random

from training.ordinary import texts

#: Families that are never trained on, by program.
FAMILIES = {
    "writer": (
        *("Carlito", "Caladea", "Linux Libertine O", "Linux Biolinum O", "Cabin", "PT Serif"),
        "Inconsolata",
    ),
    "latex": ("charter", "utopia"),
    "chromium": ("Cabin", "Karla", "Clear Sans", "PT Serif", "Carlito", "JetBrains Mono", "Yrsa"),
}
#: Debian's packages of the programs and of those families.
PACKAGES = (
    *(
        "libreoffice-writer-nogui",
        "texlive-latex-recommended",
        "texlive-fonts-recommended",
        "chromium",
    ),
    *(
        "fonts-crosextra-carlito",
        "fonts-crosextra-caladea",
        "fonts-linuxlibertine",
    ),
    *("fonts-paratype", "fonts-inconsolata", "fonts-cabin", "fonts-karla", "fonts-clear-sans"),
    *("fonts-jetbrains-mono", "fonts-yrsa-rasa"),
)
#: Width and height in points; ``roll`` is what a till prints on, 80 mm wide.
_PAPERS = {
    **{"a4": (595.3, 841.9), "letter": (612.0, 792.0), "a5": (419.5, 595.3)},
    **{"slide": (720.0, 405.0), "roll": (226.8, 370.0)},
}
_COUNT = 60
#: Kinds of the documents of one program, over and over.
_KINDS = (
    *("letter", "invoice", "article", "letter", "statement", "letter", "article", "invoice"),
    *("receipt", "letter", "two_columns", "invoice", "article", "form", "letter", "list"),
    *("statement", "article", "receipt", "invoice"),
)
#: Those of them with print that base and small show large enough: kind, paper and size with each program.
_LARGE: dict[int, tuple[str, str, tuple[int, int, int]]] = {
    6: ("slide", "slide", (16, 20, 24)),
    8: ("receipt", "roll", (8, 9, 12)),
    9: ("letter", "a4", (16, 17, 18)),
    17: ("notice", "a4", (24, 30, 34)),
    18: ("receipt", "roll", (11, 8, 9)),
    19: ("invoice", "a5", (10, 11, 12)),
}


@dataclass(frozen=True)
class Part:
    """A part of a document.

    :param kind: ``title``, ``heading``, ``paragraph``, ``lines`` or ``table``.
    :param lines: its lines; of a title, a heading or a paragraph the only one.
    :param rows: of a table; the first is its heading.
    :param align: ``left`` or ``right``.
    """

    kind: str
    lines: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    align: str = "left"

    @property
    def text(self) -> str:
        """What it says, cells and lines one after the other."""
        return "\n".join((*self.lines, *(" ".join(row) for row in self.rows)))


@dataclass(frozen=True)
class Document:
    """A document of one page.

    :param number: from 0.
    :param kind: such as ``letter``.
    :param program: ``writer`` (LibreOffice), ``latex`` or ``chromium``.
    :param family: font, as the program calls it.
    :param points: size of its body text.
    :param paper: ``a4``, ``letter``, ``a5``, ``slide`` or ``roll``.
    :param justified: whether paragraphs reach both edges.
    :param columns: 1 or 2.
    :param parts: in reading order.
    """

    number: int
    kind: str
    program: str
    family: str
    points: int
    paper: str
    justified: bool
    columns: int
    parts: tuple[Part, ...]

    @property
    def name(self) -> str:
        """A name for its files."""
        return f"{self.number:02d}-{self.kind}-{self.program}"

    @property
    def size(self) -> tuple[float, float]:
        """Width and height of the paper in points."""
        return _PAPERS[self.paper]

    @property
    def text(self) -> str:
        """All that it says, in reading order."""
        return "\n".join(part.text for part in self.parts)


def ordinary_documents() -> list[Document]:
    """The documents, the same each time."""
    return [_document(number) for number in range(_COUNT)]


def _document(number: int) -> Document:
    rng = Random(f"ordinary {number}")
    program = tuple(FAMILIES)[number % 3]
    turn = number // 3
    kind, families = _KINDS[turn], FAMILIES[program]
    points = (9, 10, 11, 12, 13, 14)[(turn + number) % 6]
    paper = "letter" if rng.random() < 0.35 else "a4"
    if turn in _LARGE:
        kind, paper, sizes = _LARGE[turn]
        points = sizes[number % 3]
    monospaced = [family for family in families if "Mono" in family or "consolata" in family]
    family = families[turn % len(families)]
    if kind == "receipt" and monospaced:
        family = monospaced[0]
    write: dict[str, Callable[[Random, int], list[Part]]] = {
        "letter": _letter,
        "invoice": partial(_invoice, most=4 if paper == "a5" else 10),
        "article": _article,
        "two_columns": _article,
        "statement": _statement,
        "receipt": partial(_receipt, most=5),
        "form": _form,
        "list": _list,
        "notice": _notice,
        "slide": _slide,
    }
    return Document(
        number,
        kind,
        program,
        family,
        points,
        paper,
        rng.random() < 0.4,
        2 if kind == "two_columns" else 1,
        tuple(write[kind](rng, points)),
    )


def _title(text: str) -> Part:
    return Part("title", (text,))


def _paragraph(text: str, align: str = "left") -> Part:
    return Part("paragraph", (text,), align=align)


def _address(rng: Random, *, firm: bool = False) -> list[str]:
    name = rng.choice(texts.FIRMS if firm else texts.PEOPLE)
    return [name, rng.choice(texts.STREETS), rng.choice(texts.TOWNS)]


def _mail(rng: Random) -> str:
    return rng.choice(texts.ROADS_OF_MAIL) + rng.choice(texts.HOSTS)


def _date(rng: Random) -> str:
    day, month, year = rng.randint(1, 28), rng.randint(1, 12), rng.randint(2015, 2026)
    names = ("January", "March", "April", "June", "August", "October", "November")
    name = names[month % len(names)]
    return rng.choice(
        (f"{day} {name} {year}", f"{name} {day}, {year}", f"{day:02d}/{month:02d}/{year}")
    )


def _number(rng: Random) -> str:
    return rng.choice(("TW", "QS-", "No. ", "2024/", "R")) + str(rng.randint(1000, 99999))


def _money(rng: Random, most: float = 3.3) -> str:
    return f"{10 ** rng.uniform(0.3, most):,.2f}"


def _letter(rng: Random, points: int) -> list[Part]:
    counts = (1, 2) if points > 14 else (1, 2, 3, 4, 5) if points > 11 else (1, 3, 4, 6, 7)
    count = rng.choice(counts)
    to = _address(rng)
    parts = [
        Part(
            "lines",
            (*_address(rng, firm=True), _mail(rng)),
            align=rng.choice(("left", "right")),
        ),
        Part("lines", tuple(to)),
        _paragraph(_date(rng)),
    ]
    if rng.random() < 0.5:
        parts.append(Part("heading", (f"Your reference {_number(rng)}",)))
    parts.append(
        _paragraph(
            rng.choice((f"Dear {to[0]},", "Dear Sir or Madam,", f"Dear {to[0].split()[0]},"))
        )
    )
    parts += [_paragraph(text) for text in rng.sample(texts.LETTERS, count)]
    parts.append(
        _paragraph(rng.choice(("Yours sincerely,", "Yours faithfully,", "With kind regards,")))
    )
    parts.append(
        Part(
            "lines",
            (rng.choice(texts.PEOPLE), rng.choice(("Treasurer", "Practice Manager", "Partner"))),
        )
    )
    return parts


def _article(rng: Random, points: int) -> list[Part]:
    parts = [_title(rng.choice(texts.TITLES))]
    for number, text in enumerate(
        rng.sample(texts.ARTICLES, 4 if points > 12 else 6 if points > 10 else 8)
    ):
        if number and number % 3 == 0:
            parts.append(Part("heading", (f"{number // 3}. {rng.choice(texts.SECTIONS)}",)))
        parts.append(_paragraph(text))
    return parts


def _invoice(rng: Random, points: int, most: int) -> list[Part]:
    rows: list[tuple[str, ...]] = [("Description", "Qty", "Unit price", "Amount")]
    total = 0.0
    for goods in rng.sample(texts.GOODS, rng.randint(2, most)):
        count, price = rng.randint(1, 12), round(10 ** rng.uniform(0.4, 2.6), 2)
        total += count * price
        rows.append((goods, str(count), f"{price:,.2f}", f"{count * price:,.2f}"))
    return [
        Part("lines", (*_address(rng, firm=True), _mail(rng))),
        _title(f"Invoice {_number(rng)}"),
        Part(
            "lines",
            (f"Date: {_date(rng)}", f"Account: {rng.randint(10000, 99999)}", f"Due: {_date(rng)}"),
        ),
        Part("lines", tuple(_address(rng))),
        Part("table", rows=tuple(rows)),
        Part(
            "lines",
            (
                f"Subtotal: £{total:,.2f}",
                f"VAT 20%: £{total * 0.2:,.2f}",
                f"Total: £{total * 1.2:,.2f}",
            ),
            align="right",
        ),
        _paragraph(
            "Payment by bank transfer within thirty days, please, quoting the number above."
        ),
    ]


def _statement(rng: Random, points: int) -> list[Part]:
    rows: list[tuple[str, ...]] = [("Date", "Details", "Paid out", "Balance")]
    balance = rng.uniform(2000, 9000)
    for _ in range(rng.randint(8, 22 if points < 12 else 14)):
        paid = 10 ** rng.uniform(0.5, 2.7)
        balance -= paid
        day = f"{rng.randint(1, 28):02d}/{rng.randint(1, 12):02d}"
        rows.append((day, rng.choice(texts.GOODS), f"{paid:,.2f}", f"{balance:,.2f}"))
    return [
        _title("Statement of account"),
        Part(
            "lines",
            (*_address(rng), f"Account {rng.randint(10**7, 10**8)}", f"Printed {_date(rng)}"),
        ),
        Part("table", rows=tuple(rows)),
        _paragraph("Interest is calculated daily and added on the last working day of each month."),
    ]


def _receipt(rng: Random, points: int, most: int) -> list[Part]:
    rows = [("Item", "Price")]
    rows += [
        (name, f"{rng.uniform(0.4, 12):.2f}")
        for name in rng.sample(texts.GROCERIES, rng.randint(3, most))
    ]
    return [
        Part("lines", tuple(_address(rng, firm=True))),
        Part("lines", (f"Till 3   {_date(rng)}".replace("   ", " "), f"Receipt {_number(rng)}")),
        Part("table", rows=tuple(rows)),
        Part(
            "lines",
            (
                f"TOTAL {_money(rng, 2.0)}",
                f"CARD **** {rng.randint(1000, 9999)}",
                "Thank you for calling",
            ),
        ),
    ]


def _form(rng: Random, points: int) -> list[Part]:
    fields = rng.sample(texts.FIELDS, 8)
    return [
        _title("Application for a mooring"),
        _paragraph("Complete every line in capitals or on a typewriter and sign overleaf."),
        Part("lines", tuple(f"{name}: {value}" for name, value in fields[:4])),
        Part("heading", ("Particulars",)),
        Part("lines", tuple(f"{name}: {value}" for name, value in fields[4:])),
        _paragraph(rng.choice(texts.LETTERS)),
    ]


def _list(rng: Random, points: int) -> list[Part]:
    duties = rng.sample(texts.DUTIES, 7)
    return [
        _title("While we are away"),
        Part("lines", tuple(f"{number}. {duty}" for number, duty in enumerate(duties[:4], 1))),
        Part("heading", ("In an emergency",)),
        Part("lines", tuple(f"– {duty}" for duty in duties[4:])),
        _paragraph(
            f"You can reach {rng.choice(texts.PEOPLE)} on 07700 900{rng.randint(100, 999)}."
        ),
    ]


def _notice(rng: Random, points: int) -> list[Part]:
    duties = rng.sample(texts.DUTIES, 3)
    return [
        _title(rng.choice(texts.NOTICES)),
        *map(_paragraph, duties),
        _paragraph(f"{rng.choice(texts.PEOPLE)}, {rng.choice(texts.STREETS)}"),
    ]


def _slide(rng: Random, points: int) -> list[Part]:
    points_made = rng.sample(texts.REMARKS, 4 if points > 18 else 5)
    return [
        _title(rng.choice(texts.SECTIONS)),
        Part("lines", tuple(f"– {remark}" for remark in points_made)),
        _paragraph(f"{rng.choice(texts.FIRMS)}, {_date(rng)}"),
    ]
