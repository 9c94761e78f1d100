"""Pages of kinds that look like repetitions and are none."""

# Templates of texts are longer than lines of code.
# ruff: noqa: E501

from __future__ import annotations

import random
from collections.abc import Callable

from tests.corpus.model_outputs.answers import Block, html
from tests.corpus.model_outputs.languages import SENTENCES
from tests.corpus.model_outputs.phrases import ITEMS, MONTHS, NAMES, amount_of_money, sentences_of


def invoice(rng: random.Random) -> list[Block]:
    """Many lines that differ in a number and a word."""
    lines = [
        f"{number}. {rng.choice(ITEMS)}, {rng.randint(1, 40)} pcs at {amount_of_money(rng)} EUR: {amount_of_money(rng)} EUR"
        for number in range(1, rng.randint(20, 60))
    ]
    return [
        ("title", f"# Invoice {rng.randint(1000, 99999)}"),
        ("text", "\n".join(lines)),
        ("text", f"Total {amount_of_money(rng)} EUR, VAT 19 % included"),
    ]


def invoice_table(rng: random.Random) -> list[Block]:
    rows = [["No.", "Item", "Qty", "Unit", "VAT", "Price"]]
    rows += [
        [
            str(number),
            rng.choice(ITEMS),
            str(rng.randint(1, 9)),
            "pcs",
            "19 %",
            amount_of_money(rng),
        ]
        for number in range(1, rng.randint(15, 50))
    ]
    return [("text", f"Order {rng.randint(1000, 9999)}"), ("table", html(rows))]


def subscriptions(rng: random.Random) -> list[Block]:
    """The same service every month."""
    price, year = amount_of_money(rng), rng.randint(2015, 2026)
    lines = [f"Hosting service fee for {month} {year}    {price} USD" for month in MONTHS]
    lines += [f"Backup service fee for {month} {year}    {price} USD" for month in MONTHS[:6]]
    return [("title", "# Statement"), ("text", "\n".join(lines))]


def zeros(rng: random.Random) -> list[Block]:
    """Most cells of the table say the same."""
    fill = rng.choice(("0.00", "-", "0", "N/A", "no", "", "✓"))
    rows = [["Account", *MONTHS[:6]]]
    for name in rng.sample(NAMES, rng.randint(6, 20)):
        rows.append(
            [name, *(fill if rng.random() < 0.85 else amount_of_money(rng) for _ in range(6))]
        )
    return [("table", html(rows))]


def empty_form(rng: random.Random) -> list[Block]:
    rows = [["Date", "From", "To", "km", "Driver"], *[["", "", "", "", ""]] * rng.randint(10, 30)]
    return [("title", "# Log book"), ("table", html(rows)), ("text", "Signature: " + "_" * 40)]


def equal_rows(rng: random.Random) -> list[Block]:
    """Rows that are the same because the thing is the same."""
    rows = [["Pos", "Part", "Material", "Finish"]]
    for _ in range(rng.randint(2, 4)):
        rows += [["M8", rng.choice(ITEMS), "steel", "zinc"]] * rng.randint(2, 6)
    return [("table", html(rows))]


def spans(rng: random.Random) -> list[Block]:
    """Cells over several columns and rows."""
    body = '<tr><td rowspan="2">Region</td><td colspan="2">2024</td><td colspan="2">2025</td></tr>'
    body += "<tr><td>Q1</td><td>Q2</td><td>Q1</td><td>Q2</td></tr>"
    for name in rng.sample(NAMES, 6):
        body += (
            f"<tr><td>{name}</td>"
            + "".join(f"<td>{amount_of_money(rng)}</td>" for _ in range(4))
            + "</tr>"
        )
    body += f"<tr><td colspan='4'>Total</td><td>{amount_of_money(rng)}</td></tr>"
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
        for name in rng.sample(NAMES, rng.randint(12, 20))
    ]
    return [("title", "# Attendance"), ("text", "\n".join(lines))]


def receipt(rng: random.Random) -> list[Block]:
    """The same drink several times."""
    lines = [
        f"1 x {rng.choice(('Espresso', 'Tea', 'Water 0.5 l'))}   2.80"
        for _ in range(rng.randint(6, 14))
    ]
    return [
        ("text", "\n".join([*lines, f"TOTAL   {amount_of_money(rng)}", "Thank you, come again!"]))
    ]


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
        for item in rng.sample(ITEMS, rng.randint(8, 20))
    ]
    return [("text", "\n".join(lines))]


def song(rng: random.Random) -> list[Block]:
    """A refrain after each verse."""
    refrain = "\n".join(sentences_of(rng, "english", 2))
    verses = sentences_of(rng, "english", 12)
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
        f"{name} ........ +49 30 {rng.randint(100000, 999999)}" for name in rng.sample(NAMES, 18)
    ]
    return [("text", "\n".join(lines))]


def bibliography(rng: random.Random) -> list[Block]:
    lines = [
        f"[{n}] {rng.choice(NAMES)}, {rng.choice('ABCDE')}., {rng.choice(NAMES)}, {rng.choice('ABCDE')}.: "
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
    for formula, sentence in zip(
        rng.sample(pieces, 6), sentences_of(rng, "english", 6), strict=True
    ):
        blocks += [
            ("text", sentence),
            ("equation" if formula.startswith("\\[") else "text", formula),
        ]
    return blocks


def prose(language: str, most: int) -> Callable[[random.Random], list[Block]]:
    def page(rng: random.Random) -> list[Block]:
        have = len(SENTENCES[language])
        sentences = sentences_of(rng, language, rng.randint(3, min(most, have)))
        joined = "" if language in ("chinese", "japanese", "thai") else " "
        cut = rng.randint(1, len(sentences))
        parts = [sentences[:cut], sentences[cut:]]
        return [("text", joined.join(part)) for part in parts if part]

    return page


def language_table(language: str) -> Callable[[random.Random], list[Block]]:
    def page(rng: random.Random) -> list[Block]:
        rows = [[sentence, amount_of_money(rng)] for sentence in sentences_of(rng, language, 6)]
        return [("text", sentences_of(rng, language, 1)[0]), ("table", html(rows))]

    return page


def bilingual(rng: random.Random) -> list[Block]:
    one, other = rng.sample(sorted(SENTENCES), 2)
    pairs = zip(sentences_of(rng, one, 5), sentences_of(rng, other, 5), strict=True)
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
        for n, sentence in enumerate(sentences_of(rng, "english", 9), 1)
    ]


def calendar(rng: random.Random) -> list[Block]:
    rows = [["Mo", "Tu", "We", "Th", "Fr", "Sa", "Su"]]
    days = [""] * rng.randint(0, 6) + [str(day) for day in range(1, 32)]
    days += [""] * (-len(days) % 7)
    rows += [days[i : i + 7] for i in range(0, len(days), 7)]
    return [("title", f"# {rng.choice(MONTHS)}"), ("table", html(rows))]


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
