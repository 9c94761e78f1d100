"""Texts that a perfect reader writes, of kinds that look like repetitions and are none."""

# Templates of texts are longer than lines of code.
# ruff: noqa: E501

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Sequence

from tests.recorded.languages import SENTENCES

Block = tuple[str, str]

_TAG = re.compile(r"</?t[a-z]+[^<>]*>")

_ITEMS = (
    "Paper A4 white", "Paper A3 white", "Toner black", "Toner cyan", "Stapler", "Staples 24/6",
    "Envelope C5", "Envelope C4", "Folder grey", "Folder blue", "Pencil HB", "Eraser", "Ruler 30 cm",
    "Desk lamp", "Cable 2 m", "Cable 5 m", "Adapter", "Battery AA", "Battery AAA", "Marker red",
)  # fmt: skip
_NAMES = (
    "Abbott", "Baker", "Castillo", "Dufour", "Eriksen", "Fontana", "Gruber", "Haddad", "Ito", "Jansen",
    "Kowalski", "Lindgren", "Moreau", "Novak", "Okafor", "Petrov", "Quinn", "Rossi", "Silva", "Tanaka",
)  # fmt: skip
_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
    "November", "December",
)  # fmt: skip


def html(rows: Sequence[Sequence[str]]) -> str:
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table>{body}</table>"


def _money(rng: random.Random) -> str:
    return f"{rng.randint(1, 4000) * rng.choice((1, 5, 10)) / 100:,.2f}"


def _sentences(rng: random.Random, language: str, count: int) -> list[str]:
    """Without one twice in a row of fewer than there are."""
    found: list[str] = []
    while len(found) < count:
        found += rng.sample(SENTENCES[language], len(SENTENCES[language]))
    return found[:count]


def invoice(rng: random.Random) -> list[Block]:
    """Many lines that differ in a number and a word."""
    lines = [
        f"{number}. {rng.choice(_ITEMS)}, {rng.randint(1, 40)} pcs at {_money(rng)} EUR: {_money(rng)} EUR"
        for number in range(1, rng.randint(20, 60))
    ]
    return [
        ("title", f"# Invoice {rng.randint(1000, 99999)}"),
        ("text", "\n".join(lines)),
        ("text", f"Total {_money(rng)} EUR, VAT 19 % included"),
    ]


def invoice_table(rng: random.Random) -> list[Block]:
    rows = [["No.", "Item", "Qty", "Unit", "VAT", "Price"]]
    rows += [
        [str(number), rng.choice(_ITEMS), str(rng.randint(1, 9)), "pcs", "19 %", _money(rng)]
        for number in range(1, rng.randint(15, 50))
    ]
    return [("text", f"Order {rng.randint(1000, 9999)}"), ("table", html(rows))]


def subscriptions(rng: random.Random) -> list[Block]:
    """The same service every month."""
    price, year = _money(rng), rng.randint(2015, 2026)
    lines = [f"Hosting service fee for {month} {year}    {price} USD" for month in _MONTHS]
    lines += [f"Backup service fee for {month} {year}    {price} USD" for month in _MONTHS[:6]]
    return [("title", "# Statement"), ("text", "\n".join(lines))]


def zeros(rng: random.Random) -> list[Block]:
    """Most cells of the table say the same."""
    fill = rng.choice(("0.00", "-", "0", "N/A", "no", "", "✓"))
    rows = [["Account", *_MONTHS[:6]]]
    for name in rng.sample(_NAMES, rng.randint(6, 20)):
        rows.append([name, *(fill if rng.random() < 0.85 else _money(rng) for _ in range(6))])
    return [("table", html(rows))]


def empty_form(rng: random.Random) -> list[Block]:
    rows = [["Date", "From", "To", "km", "Driver"], *[["", "", "", "", ""]] * rng.randint(10, 30)]
    return [("title", "# Log book"), ("table", html(rows)), ("text", "Signature: " + "_" * 40)]


def equal_rows(rng: random.Random) -> list[Block]:
    """Rows that are the same because the thing is the same."""
    rows = [["Pos", "Part", "Material", "Finish"]]
    for _ in range(rng.randint(2, 4)):
        rows += [["M8", rng.choice(_ITEMS), "steel", "zinc"]] * rng.randint(2, 6)
    return [("table", html(rows))]


def spans(rng: random.Random) -> list[Block]:
    """Cells over several columns and rows."""
    body = '<tr><td rowspan="2">Region</td><td colspan="2">2024</td><td colspan="2">2025</td></tr>'
    body += "<tr><td>Q1</td><td>Q2</td><td>Q1</td><td>Q2</td></tr>"
    for name in rng.sample(_NAMES, 6):
        body += (
            f"<tr><td>{name}</td>" + "".join(f"<td>{_money(rng)}</td>" for _ in range(4)) + "</tr>"
        )
    body += f"<tr><td colspan='4'>Total</td><td>{_money(rng)}</td></tr>"
    if rng.random() < 0.5:
        body = f"<tbody>{body}</tbody>"
    return [("table", f"<table>{body}</table>")]


def contents(rng: random.Random) -> list[Block]:
    """Leaders of dots."""
    page, lines = 1, []
    for chapter in range(1, rng.randint(8, 25)):
        title = " ".join(rng.choice(SENTENCES["english"]).split()[: rng.randint(2, 5)])
        leader = rng.choice((".", ". ", " .", "·", "…")) * rng.randint(20, 90)
        lines.append(f"{chapter}.{rng.randint(1, 4)} {title} {leader} {page}")
        page += rng.randint(1, 12)
    return [("title", "# Contents"), ("text", "\n".join(lines))]


def legal(rng: random.Random) -> list[Block]:
    """Clauses that begin and end alike."""
    party = rng.choice(("The Supplier", "The Contractor", "The Licensee", "The Tenant"))
    things = (
        "deliver the goods named in Annex {}", "keep the records named in section {}",
        "pay the fees named in section {}", "insure the premises against the risks of section {}",
        "appoint a person in charge of the duties of section {}", "give access to the rooms of Annex {}",
        "return the documents listed in Annex {}", "report the incidents described in section {}",
        "observe the standards named in Annex {}", "bear the costs of the repairs of section {}",
        "store the samples as described in Annex {}", "replace the parts listed in section {}",
    )  # fmt: skip
    lines = [
        f"({letter}) {party} shall {thing.format(rng.randint(1, 30))} within {rng.choice((7, 14, 30))} days of "
        f"receipt of a written notice;"
        for letter, thing in zip("abcdefghijkl", rng.sample(things, len(things)), strict=True)
    ]
    return [
        ("sub_title", f"## {rng.randint(2, 30)}. Obligations"),
        *[("text", line) for line in lines[: rng.randint(6, 12)]],
    ]


def timetable(rng: random.Random) -> list[Block]:
    stops = rng.sample(("Market", "Station", "Harbour", "Museum", "School", "Hospital", "Park"), 5)
    rows = [["Stop", *["daily"] * 6]]
    for number, stop in enumerate(stops):
        rows.append([stop, *(f"{hour:02}:{7 * number:02}" for hour in range(6, 12))])
    return [("title", "# Line 7"), ("table", html(rows)), ("text", "Not on public holidays.")]


def attendance(rng: random.Random) -> list[Block]:
    lines = [
        f"{name}, {rng.choice('ABCDEFG')}. {rng.choice(('present', 'present', 'present', 'excused'))}"
        for name in rng.sample(_NAMES, rng.randint(12, 20))
    ]
    return [("title", "# Attendance"), ("text", "\n".join(lines))]


def receipt(rng: random.Random) -> list[Block]:
    """The same drink several times."""
    lines = [
        f"1 x {rng.choice(('Espresso', 'Tea', 'Water 0.5 l'))}   2.80"
        for _ in range(rng.randint(6, 14))
    ]
    return [("text", "\n".join([*lines, f"TOTAL   {_money(rng)}", "Thank you, come again!"]))]


def form(rng: random.Random) -> list[Block]:
    fields = rng.sample(
        ("Name", "First name", "Street", "City", "Phone", "Date of birth", "Passport no.", "Signature",
         "E-mail", "Account", "Bank", "Place", "Employer", "Nationality"), rng.randint(6, 14)
    )  # fmt: skip
    fill = rng.choice(("_", ".", "_ ", "…"))
    return [
        ("title", "# Application"),
        *[("text", f"{each}: {fill * rng.randint(20, 60)}") for each in fields],
    ]


def checklist(rng: random.Random) -> list[Block]:
    lines = [
        f"{rng.choice('☐☑')} {item}: ☐ yes ☐ no ☐ n/a"
        for item in rng.sample(_ITEMS, rng.randint(8, 20))
    ]
    return [("text", "\n".join(lines))]


def song(rng: random.Random) -> list[Block]:
    """A refrain after each verse."""
    refrain = "\n".join(_sentences(rng, "english", 2))
    verses = _sentences(rng, "english", 12)
    return [("text", "\n".join(verses[i : i + 3]) + "\n" + refrain) for i in range(0, 12, 3)]


def log_file(rng: random.Random) -> list[Block]:
    lines = [
        f"2026-0{rng.randint(1, 9)}-{rng.randint(10, 28)} {rng.randint(10, 23)}:{rng.randint(10, 59)} "
        f"{rng.choice(('INFO', 'INFO', 'WARNING'))} {rng.choice(('pump', 'valve', 'fan', 'heater'))} "
        f"{rng.randint(1, 9)} {rng.choice(('started', 'stopped', 'reports', 'restarted'))} at {rng.randint(10, 99)} °C"
        for _ in range(rng.randint(15, 40))
    ]
    return [("text", "\n".join(lines))]


def code(rng: random.Random) -> list[Block]:
    names = rng.sample(("width", "height", "depth", "mass", "speed", "force", "angle"), 5)
    lines = [
        f"    if {name} is None:\n        raise ValueError('{name} is missing')" for name in names
    ]
    lines += [
        f"    total[{n}] = a[{n}] < b[{n}] and a[{n}] > {rng.randint(1, 9)}" for n in range(6)
    ]
    return [("text", f"def check({', '.join(names)}):\n" + "\n".join(lines) + "\n    return total")]


def phone_list(rng: random.Random) -> list[Block]:
    lines = [
        f"{name} ........ +49 30 {rng.randint(100000, 999999)}" for name in rng.sample(_NAMES, 18)
    ]
    return [("text", "\n".join(lines))]


def bibliography(rng: random.Random) -> list[Block]:
    lines = [
        f"[{n}] {rng.choice(_NAMES)}, {rng.choice('ABCDE')}., {rng.choice(_NAMES)}, {rng.choice('ABCDE')}.: "
        f"{rng.choice(SENTENCES['english'])[:50].rsplit(' ', 1)[0]}. In: Proc. {rng.randint(2, 40)}th Conf., "
        f"pp. {rng.randint(1, 400)}-{rng.randint(401, 800)} ({rng.randint(1980, 2025)})"
        for n in range(1, rng.randint(10, 25))
    ]
    return [("sub_title", "## References"), *[("text", line) for line in lines]]


def formulas(rng: random.Random) -> list[Block]:
    n = rng.randint(2, 9)
    pieces = (
        rf"\[ \sum_{{k=1}}^{{{n}}} k = \frac{{{n}({n}+1)}}{{2}} \]",
        r"\[ \begin{pmatrix} a & b \\ c & d \end{pmatrix} \begin{pmatrix} x \\ y \end{pmatrix} = \begin{pmatrix} u \\ v \end{pmatrix} \]",
        rf"\[ \int_0^{{{n}}} e^{{-x^2}} \, dx \leq \sqrt{{\pi}} \]",
        r"\[ \begin{cases} x + y = 1 \\[2pt] x - y = 3 \end{cases} \]",
        rf"\[ f(x) = a_0 + a_1 x + a_2 x^2 + \dots + a_{{{n}}} x^{{{n}}} \]",
        r"\[ \begin{bmatrix} 1 & 0 & 0 & 0 \\ 0 & 1 & 0 & 0 \\ 0 & 0 & 1 & 0 \\ 0 & 0 & 0 & 1 \end{bmatrix} \]",
        rf"Let \( \alpha > 0 \) and \( \beta = {n}\alpha \); then \( \alpha + \beta = {n + 1}\alpha \).",
        "The angle α and the angle β add up to π/2, and Δt is at most 5 μs.",
    )  # fmt: skip
    blocks: list[Block] = []
    for formula, sentence in zip(rng.sample(pieces, 6), _sentences(rng, "english", 6), strict=True):
        blocks += [
            ("text", sentence),
            ("equation" if formula.startswith("\\[") else "text", formula),
        ]
    return blocks


def prose(language: str, most: int) -> Callable[[random.Random], list[Block]]:
    def page(rng: random.Random) -> list[Block]:
        have = len(SENTENCES[language])
        sentences = _sentences(rng, language, rng.randint(3, min(most, have)))
        joined = "" if language in ("chinese", "japanese", "thai") else " "
        cut = rng.randint(1, len(sentences))
        parts = [sentences[:cut], sentences[cut:]]
        return [("text", joined.join(part)) for part in parts if part]

    return page


def language_table(language: str) -> Callable[[random.Random], list[Block]]:
    def page(rng: random.Random) -> list[Block]:
        rows = [[sentence, _money(rng)] for sentence in _sentences(rng, language, 6)]
        return [("text", _sentences(rng, language, 1)[0]), ("table", html(rows))]

    return page


def bilingual(rng: random.Random) -> list[Block]:
    one, other = rng.sample(sorted(SENTENCES), 2)
    pairs = zip(_sentences(rng, one, 5), _sentences(rng, other, 5), strict=True)
    return [("text", sentence) for pair in pairs for sentence in pair]


def product_label(rng: random.Random) -> list[Block]:
    """One sentence in many languages, as on a package."""
    languages = rng.sample(("english", "german", "russian", "greek", "chinese", "arabic"), 3)
    return [("text", rng.choice(SENTENCES[language])) for language in languages]


def short(rng: random.Random) -> list[Block]:
    return [
        (
            "text",
            rng.choice(
                ("Page 3", "CONFIDENTIAL", "Annex B", "12", "Notes", "P.T.O.", "III", "42 km")
            ),
        )
    ]


def figure(rng: random.Random) -> list[Block]:
    return [
        ("image", ""),
        ("image_caption", f"Figure {rng.randint(1, 30)}: {rng.choice(SENTENCES['english'])}"),
    ]


def serial_numbers(rng: random.Random) -> list[Block]:
    lines = [
        f"SN {rng.randint(0, 16**8):08X}-000000-{rng.randint(0, 9999):04}"
        for _ in range(rng.randint(10, 40))
    ]
    return [("text", "\n".join(lines))]


def headings(rng: random.Random) -> list[Block]:
    """A questionnaire: the same scale under each question."""
    scale = "never   seldom   sometimes   often   always"
    return [
        ("text", f"{n}. {sentence}\n{scale}")
        for n, sentence in enumerate(_sentences(rng, "english", 9), 1)
    ]


def calendar(rng: random.Random) -> list[Block]:
    rows = [["Mo", "Tu", "We", "Th", "Fr", "Sa", "Su"]]
    days = [""] * rng.randint(0, 6) + [str(day) for day in range(1, 32)]
    days += [""] * (-len(days) % 7)
    rows += [days[i : i + 7] for i in range(0, len(days), 7)]
    return [("title", f"# {rng.choice(_MONTHS)}"), ("table", html(rows))]


PAGES: dict[str, Callable[[random.Random], list[Block]]] = {
    "invoice": invoice,
    "invoice table": invoice_table,
    "subscriptions": subscriptions,
    "table of equal cells": zeros,
    "empty form": empty_form,
    "equal rows": equal_rows,
    "spans": spans,
    "contents": contents,
    "legal": legal,
    "timetable": timetable,
    "attendance": attendance,
    "receipt": receipt,
    "form": form,
    "checklist": checklist,
    "song": song,
    "log file": log_file,
    "code": code,
    "phone list": phone_list,
    "bibliography": bibliography,
    "formulas": formulas,
    "bilingual": bilingual,
    "label": product_label,
    "short": short,
    "figure": figure,
    "serial numbers": serial_numbers,
    "questionnaire": headings,
    "calendar": calendar,
    **{f"prose, {language}": prose(language, 40) for language in SENTENCES},
    **{
        f"table, {language}": language_table(language)
        for language in ("chinese", "russian", "arabic", "greek")
    },
}


# The following kinds were written after the thresholds had been chosen, and are only measured.


def menu(rng: random.Random) -> list[Block]:
    dishes = (
        "soup",
        "salad",
        "pasta",
        "fish of the day",
        "cheese",
        "cake",
        "ice cream",
        "omelette",
    )
    lines = [f"{dish.capitalize()} with {side}    {rng.randint(5, 30)},{rng.choice(('00', '50'))} €"
             for dish in dishes for side in rng.sample(("bread", "lemon", "cream", "herbs", "nuts"), 2)]  # fmt: skip
    return [("title", "# Menu"), ("text", "\n".join(lines))]


def multiple_choice(rng: random.Random) -> list[Block]:
    blocks: list[Block] = []
    for number, sentence in enumerate(_sentences(rng, "english", rng.randint(5, 12)), 1):
        options = "\n".join(f"{letter}) all of the above but {letter.upper()}" for letter in "abcd")
        blocks.append(
            ("text", f"Question {number}. {sentence} Which of the following is true?\n{options}")
        )
    return blocks


def multiplication(rng: random.Random) -> list[Block]:
    n = rng.randint(2, 19)
    rows = [[str(a * b) for b in range(1, 11)] for a in range(1, n + 1)]
    lines = "\n".join(f"{a} x {n} = {a * n}" for a in range(1, 21))
    return [("table", html(rows)), ("text", lines)]


def address_labels(rng: random.Random) -> list[Block]:
    return [
        ("text", f"{name}\n{rng.randint(1, 99)} Garden Street\n{rng.randint(10000, 99999)} Springfield\nUnited States of America")
        for name in rng.sample(_NAMES, rng.randint(8, 16))
    ]  # fmt: skip


def sequence(rng: random.Random) -> list[Block]:
    """Bases of a gene."""
    lines = [
        f"{start:>5} " + " ".join("".join(rng.choices("acgt", k=10)) for _ in range(6))
        for start in range(1, 60 * rng.randint(6, 20), 60)
    ]
    return [("text", "\n".join(lines))]


def chess(rng: random.Random) -> list[Block]:
    moves = [f"{n}. {rng.choice(('e4', 'Nf3', 'Bb5', 'O-O', 'Qd2'))} {rng.choice(('e5', 'Nc6', 'a6', 'Rd8'))}"
             for n in range(1, rng.randint(20, 60))]  # fmt: skip
    return [("text", " ".join(moves))]


def interrogatories(rng: random.Random) -> list[Block]:
    blocks: list[Block] = []
    for number, thing in enumerate(rng.sample(_ITEMS, rng.randint(5, 10)), 1):
        blocks.append(
            (
                "text",
                f"REQUEST FOR ADMISSION NO. {number}: Admit that you ordered the item {thing}.",
            )
        )
        blocks.append(
            (
                "text",
                "RESPONSE: The defendant objects to this request on the ground that it is vague.",
            )
        )
    return blocks


def dictionary(rng: random.Random) -> list[Block]:
    lines = [f"{word.lower()}, n. (pl. {word.lower()}s): see {rng.choice(_NAMES)}, p. {rng.randint(1, 400)}."
             for word in sorted(rng.sample(_NAMES, 18))]  # fmt: skip
    return [("text", "\n".join(lines))]


def litany(rng: random.Random) -> list[Block]:
    """Each line answered alike."""
    lines = [
        f"{sentence}\nWe thank you." for sentence in _sentences(rng, "english", rng.randint(8, 18))
    ]
    return [("text", "\n".join(lines))]


def plain_columns(rng: random.Random) -> list[Block]:
    """A table set with spaces, many of its numbers the same."""
    lines = [
        "  ".join(rng.choice(("0.00", "0.00", "1.50", "n/a")) for _ in range(8))
        for _ in range(rng.randint(10, 40))
    ]
    return [("text", "\n".join(lines))]


def recipe(rng: random.Random) -> list[Block]:
    lines = [
        f"- {rng.randint(1, 9) * 50} g {item}"
        for item in rng.sample(("flour", "butter", "sugar", "rice", "beans", "oats", "nuts"), 6)
    ]
    return [
        ("title", "# Bread"),
        ("text", "\n".join(lines)),
        ("text", " ".join(_sentences(rng, "english", 5))),
    ]


def dialogue(rng: random.Random) -> list[Block]:
    lines = [f"{rng.choice(('ANNA', 'THE OTHER'))}. {rng.choice(('Yes.', 'No.', 'Why not?', sentence))}"
             for sentence in _sentences(rng, "english", rng.randint(15, 40))]  # fmt: skip
    return [("text", "\n".join(lines))]


def seats(rng: random.Random) -> list[Block]:
    rows = [["Row", *"ABCDEF"]]
    rows += [
        [str(n), *(rng.choice(("free", "free", "taken")) for _ in range(6))]
        for n in range(1, rng.randint(10, 31))
    ]
    return [("table", html(rows))]


def hymn_numbers(rng: random.Random) -> list[Block]:
    return [("text", "\n".join(f"Hymn {n}" for n in range(1, rng.randint(10, 40))))]


def chinese_invoice(rng: random.Random) -> list[Block]:
    rows = [["序号", "品名", "单位", "数量", "金额"]]
    rows += [[str(n), rng.choice(("打印纸", "墨盒", "文件夹", "信封")), "个", str(rng.randint(1, 9)), _money(rng)]
             for n in range(1, rng.randint(8, 30))]  # fmt: skip
    return [("title", "# 发票"), ("table", html(rows)), ("text", "合计人民币大写：零元整")]


#: Not looked at when the thresholds were chosen.
UNSEEN: dict[str, Callable[[random.Random], list[Block]]] = {
    "menu": menu,
    "multiple choice": multiple_choice,
    "multiplication": multiplication,
    "address labels": address_labels,
    "sequence": sequence,
    "chess": chess,
    "interrogatories": interrogatories,
    "dictionary": dictionary,
    "litany": litany,
    "plain columns": plain_columns,
    "recipe": recipe,
    "dialogue": dialogue,
    "seats": seats,
    "hymn numbers": hymn_numbers,
    "chinese invoice": chinese_invoice,
}


# The following kinds were written after a first look at those above, and are only measured.


def minutes(rng: random.Random) -> list[Block]:
    lines = [f"{n}. {sentence} Resolved unanimously, with {rng.randint(5, 30)} votes in favour and none against."
             for n, sentence in enumerate(_sentences(rng, "english", rng.randint(6, 15)), 1)]  # fmt: skip
    return [("title", "# Minutes"), *[("text", line) for line in lines]]


def laboratory(rng: random.Random) -> list[Block]:
    names = (
        "Sodium",
        "Potassium",
        "Calcium",
        "Glucose",
        "Urea",
        "Iron",
        "Zinc",
        "Folate",
        "Albumin",
    )
    rows = [["Test", "Result", "Unit", "Range", "Flag"]]
    rows += [[name, str(rng.randint(1, 200)), "mmol/l", f"{rng.randint(1, 50)}-{rng.randint(51, 200)}", rng.choice(("normal", "normal", "high"))]
             for name in names]  # fmt: skip
    return [
        ("title", "# Report"),
        ("table", html(rows)),
        ("text", "End of report"),
        ("text", "End of report"),
    ]


def glossary(rng: random.Random) -> list[Block]:
    lines = [
        f"“{item}” means the {item.lower()} described in Schedule {rng.randint(1, 9)} to this Agreement;"
        for item in _ITEMS
    ]
    return [("sub_title", "## 1. Definitions"), ("text", "In this Agreement:\n" + "\n".join(lines))]


def warning_label(rng: random.Random) -> list[Block]:
    word = rng.choice(("DANGER", "CAUTION", "WARNING"))
    return [
        ("text", f"{word}! {word}! {word}!"),
        *[("text", f"{word}: {s}") for s in _sentences(rng, "english", 4)],
    ]


def bank_statement(rng: random.Random) -> list[Block]:
    lines = [f"{rng.randint(1, 28):02}.{rng.randint(1, 12):02}. CARD PAYMENT {rng.choice(('GROCER', 'FUEL', 'RAIL'))} 4711 REF {rng.randint(0, 10**9):09} -{_money(rng)}"
             for _ in range(rng.randint(15, 50))]  # fmt: skip
    return [("text", "\n".join(lines))]


def stamps(rng: random.Random) -> list[Block]:
    return [
        ("text", "COPY"),
        ("text", "COPY"),
        *[("text", s) for s in _sentences(rng, "german", 4)],
        ("text", "COPY"),
    ]


def poem(rng: random.Random) -> list[Block]:
    lines = [
        f"When {sentence[0].lower()}{sentence[1:-1]}, then come, oh come,"
        for sentence in _sentences(rng, "english", 10)
    ]
    return [("text", "\n".join(lines)), ("text", "oh come, oh come, oh come, oh come to me.")]


def subtitles(rng: random.Random) -> list[Block]:
    lines = [
        f"{n}\n00:{n:02}:01,000 --> 00:{n:02}:04,500\n{sentence}"
        for n, sentence in enumerate(_sentences(rng, "english", 14), 1)
    ]
    return [("text", "\n\n".join(lines))]


def tax_form(rng: random.Random) -> list[Block]:
    blocks: list[Block] = [("title", "# Form 7")]
    for n in range(1, rng.randint(10, 30)):
        blocks.append(
            (
                "text",
                f"{n}. Enter the amount from line {n + 1} of Schedule {rng.choice('ABC')} ....... {n} | {rng.choice(('', '0', _money(rng)))}",
            )
        )
    return blocks


def patent_claims(rng: random.Random) -> list[Block]:
    parts = ("the housing is made of steel", "the lid closes by itself", "the spring is a leaf spring", "the seal is of rubber",
             "the valve opens at 2 bar", "the handle folds", "the sensor is capacitive", "the motor is brushless")  # fmt: skip
    claims = [
        f"{n}. The device according to any one of claims 1 to {n - 1}, characterised in that {part}."
        for n, part in enumerate(rng.sample(parts, 8), 2)
    ]
    return [
        ("text", f"1. A device comprising {', '.join(_ITEMS[:5]).lower()}."),
        *[("text", claim) for claim in claims],
    ]


def russian_act(rng: random.Random) -> list[Block]:
    rows = [["№", "Наименование", "Ед.", "Кол-во", "Цена"]]
    rows += [
        [
            str(n),
            rng.choice(("Бумага", "Папка", "Лампа", "Кабель")),
            "шт.",
            str(rng.randint(1, 9)),
            _money(rng),
        ]
        for n in range(1, rng.randint(5, 25))
    ]
    return [
        ("title", "# Акт"),
        ("table", html(rows)),
        ("text", "Подпись ______________   Подпись ______________"),
    ]


def questionnaire_words(rng: random.Random) -> list[Block]:
    rows = [
        ["Question", "agree", "partly", "disagree"],
        *[[s, "☐", "☐", "☐"] for s in _sentences(rng, "english", rng.randint(5, 18))],
    ]
    return [("table", html(rows))]


UNSEEN_AGAIN: dict[str, Callable[[random.Random], list[Block]]] = {
    "minutes": minutes,
    "laboratory": laboratory,
    "glossary": glossary,
    "warning label": warning_label,
    "bank statement": bank_statement,
    "stamps": stamps,
    "poem": poem,
    "subtitles": subtitles,
    "tax form": tax_form,
    "patent claims": patent_claims,
    "act": russian_act,
    "questionnaire in a table": questionnaire_words,
}


def answer(rng: random.Random, blocks: Sequence[Block], prompt: str) -> str:
    """The blocks in the published output format, one below the other."""
    if prompt == "free":
        return "\n".join(text for _, text in blocks if text)
    top, pieces = rng.randint(10, 60), []
    room = (980 - top) / max(1, sum(_height(text) for _, text in blocks))
    for label, text in blocks:
        bottom = top + max(3, round(_height(text) * room))
        left, right = rng.randint(20, 120), rng.randint(700, 980)
        if prompt == "markdown":
            pieces.append(f"{_grounded(label, (left, top, right, min(999, bottom - 2)))}\n{text}\n")
        else:
            pieces += _lines_of(text, left, top, right, bottom)
        top = bottom
    return "\n".join(pieces)


def _lines_of(text: str, left: int, top: int, right: int, bottom: int) -> Iterator[str]:
    rows = [
        [cell for cell in row.split("\t") if cell]
        for row in text.replace("</td>", "\t").replace("</tr>", "\n").splitlines()
    ]
    rows = [[_without_tags(cell) for cell in row] for row in rows]
    rows = [[cell for cell in row if cell.strip()] for row in rows]
    step = (bottom - top) / max(1, len(rows))
    for number, row in enumerate(rows):
        y1, width = round(top + number * step), (right - left) / max(1, len(row))
        for column, cell in enumerate(row):
            x1 = round(left + column * width)
            box = (x1, y1, round(x1 + 0.9 * width), max(y1 + 1, round(y1 + 0.8 * step)))
            yield _grounded(cell.lstrip("# "), tuple(min(999, each) for each in box))


def _without_tags(cell: str) -> str:
    return _TAG.sub("", cell)


def _height(text: str) -> int:
    return 2 + max(text.count("\n") + len(text) // 90, text.count("<tr>") * 2)


def _grounded(reference: str, box: tuple[int, ...]) -> str:
    return f"<|ref|>{reference}<|/ref|><|det|>[{list(box)}]<|/det|>"
