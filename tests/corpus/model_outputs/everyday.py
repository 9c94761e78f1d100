"""Everyday pages of short lines and numbers, and loops that resemble them.

    python -m tests.corpus.model_outputs.everyday

writes ``everyday.jsonl``; the same file each time.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path

from tests.corpus.model_outputs.answers import Block, answer, html
from tests.corpus.model_outputs.phrases import ITEMS, MONTHS, NAMES, amount_of_money

FILE = Path(__file__).parent / "everyday.jsonl"
PROMPTS = ("free", "markdown", "ocr")
#: Texts of each kind.
GOOD, BAD = 9, 12
_STREETS = ("Garden Street", "Mill Lane", "High Road", "Station Road", "Lindenweg", "Rue du Port")
_CITIES = ("Springfield", "Bergen", "Lyon", "10115 Berlin", "Porto", "Leeds")


def _text(lines: list[str]) -> list[Block]:
    return [("text", "\n".join(lines))]


def _address(rng: random.Random) -> list[str]:
    return [
        f"{rng.choice('ABCDEFG')}. {rng.choice(NAMES)}",
        f"{rng.choice(_STREETS)} {rng.randint(1, 99)}",
        rng.choice(_CITIES),
        rng.choice(("Norway", "France", "Germany")),
    ]


def receipt(rng: random.Random) -> list[Block]:
    lines = ["Corner Shop", "Receipt"]
    for _ in range(rng.randint(8, 25)):
        item, count = rng.choice(ITEMS[:6]), rng.randint(1, 3)
        lines += [item, f"{count} x {amount_of_money(rng)}"]
    return _text([*lines, "Total", amount_of_money(rng), "Cash", "Change 0.00"])


def receipt_of_one_item(rng: random.Random) -> list[Block]:
    return _text(["Bakery", *["Roll 0.45"] * rng.randint(5, 11), "Total", "4.95"])


def addresses(rng: random.Random) -> list[Block]:
    return _text([line for _ in range(rng.randint(10, 30)) for line in _address(rng)])


def labels(rng: random.Random) -> list[Block]:
    """A few labels with the sender's own address."""
    return [("text", "\n".join(_address(random.Random(rng.random()))))] * rng.randint(2, 6)


def phone_book(rng: random.Random) -> list[Block]:
    return _text(
        [f"{name} {rng.choice('ABCDEFGHJK')}  0{rng.randint(20, 99)} {rng.randint(100000, 999999)}"
         for name in sorted(rng.choices(NAMES, k=rng.randint(30, 90)))]
    )  # fmt: skip


def phone_numbers(rng: random.Random) -> list[Block]:
    return _text([f"0{rng.randint(100, 999)}-{rng.randint(10**6, 10**7)}" for _ in range(80)])


def prices(rng: random.Random) -> list[Block]:
    price = rng.choice(("9.99", "4.50", "12.00"))
    return _text([f"{item} .......... {price}" for item in ITEMS[: rng.randint(12, 20)]])


def numbers(rng: random.Random) -> list[Block]:
    """A table of numbers set with spaces."""
    most = rng.choice((9, 99, 9999))
    columns = rng.randint(6, 14)
    return _text(
        [" ".join(str(rng.randint(0, most)) for _ in range(columns)) for _ in range(rng.randint(10, 40))]
    )  # fmt: skip


def numbers_in_html(rng: random.Random) -> list[Block]:
    columns = rng.randint(4, 12)
    rows = [
        [f"{rng.uniform(-3, 3):.2f}" for _ in range(columns)] for _ in range(rng.randint(8, 30))
    ]
    return [("table", html([[f"x{n}" for n in range(columns)], *rows]))]


def zeros(rng: random.Random) -> list[Block]:
    lines = rng.randint(8, 32)
    return _text([" ".join(rng.choice("0001") for _ in range(16)) for _ in range(lines)])


def calendar(rng: random.Random) -> list[Block]:
    lines = []
    for month in MONTHS:
        days = [str(day) for day in range(1, 32)]
        lines += [month, "Mo Tu We Th Fr Sa Su"]
        lines += [" ".join(days[start : start + 7]) for start in range(0, 31, 7)]
    return _text(lines[: rng.randint(14, len(lines))])


def days_in_lines(rng: random.Random) -> list[Block]:
    """A planner: all days of a month on one line."""
    return _text([f"{month} " + " ".join(map(str, range(1, 32))) for month in MONTHS])


def hundred(rng: random.Random) -> list[Block]:
    columns = rng.choice((10, 20, 25))
    return _text([" ".join(map(str, range(n, n + columns))) for n in range(1, 101, columns)])


def line_numbers(rng: random.Random) -> list[Block]:
    return _text([str(number) for number in range(1, rng.randint(20, 80))])


def scale(rng: random.Random) -> list[Block]:
    step = rng.choice((1, 5, 10))
    return _text([" ".join(str(n * step) for n in range(rng.randint(11, 51)))])


def marks(rng: random.Random) -> list[Block]:
    """The same five choices below each other, as a questionnaire has them."""
    return _text(["1", "2", "3", "4", "5"] * rng.randint(5, 20))


def yes_or_no(rng: random.Random) -> list[Block]:
    return _text(["Yes", "No"] * rng.randint(5, 18))


def signatures(rng: random.Random) -> list[Block]:
    return _text(["Name:", "Date:", "Signature:"] * rng.randint(2, 7))


def accounts(rng: random.Random) -> list[Block]:
    lines = []
    for _ in range(rng.randint(10, 50)):
        groups = (rng.randint(1000, 9999) for _ in range(3))
        lines.append(f"NO{rng.randint(10, 99)} {' '.join(map(str, groups))}")
    return _text(lines)


def meter(rng: random.Random) -> list[Block]:
    value, lines = rng.randint(1000, 9000), []
    for day in range(1, rng.randint(20, 32)):
        value += rng.randint(1, 20)
        lines.append(f"{day:02}.05.2026 {value}")
    return _text(lines)


def parts_list(rng: random.Random) -> list[Block]:
    return _text(
        [f"{n}. {item}, {rng.randint(1, 9)} pcs" for n, item in enumerate(rng.sample(ITEMS, 20), 1)]
    )


#: Right pages.
PAGES: dict[str, Callable[[random.Random], list[Block]]] = {
    each.__name__: each
    for each in (
        receipt, receipt_of_one_item, addresses, labels, phone_book, phone_numbers, prices, numbers,
        numbers_in_html, zeros, calendar, days_in_lines, hundred, line_numbers, scale, marks, yes_or_no,
        signatures, accounts, meter, parts_list,
    )
}  # fmt: skip


def loop_of_addresses(rng: random.Random) -> list[Block]:
    return _text([*_address(rng), *_address(rng) * rng.randint(15, 40)])


def loop_of_address_blocks(rng: random.Random) -> list[Block]:
    """Each address is a block of its own."""
    return [("text", "\n".join(_address(random.Random(7))))] * rng.randint(15, 40)


def loop_of_fields(rng: random.Random) -> list[Block]:
    fields = ["Invoice no.", str(rng.randint(100, 999)), "Due", f"{rng.randint(1, 28)} May", "Paid"]
    return _text(fields * rng.randint(12, 40))


def loop_of_address_rows(rng: random.Random) -> list[Block]:
    rows = [[line] for line in _address(rng)] * rng.randint(15, 40)
    return [("table", html(rows))]


def few_numbers(rng: random.Random) -> list[Block]:
    """Few numbers in no order, on one line."""
    digit = rng.choice("123456789")
    kinds = [f"-{digit}", f"-{digit * 2}", f"{digit}-{digit}", rng.choice((f"{digit}.0", digit))]
    return _text([" ".join(rng.choices(kinds, k=rng.randint(150, 400)))])


def few_numbers_in_lines(rng: random.Random) -> list[Block]:
    digit = rng.choice("123456789")
    return _text(rng.choices([f"-{digit}", f"-{digit * 2}", f"{digit}-{digit}"], k=250))


def loop_of_amounts(rng: random.Random) -> list[Block]:
    """A block of numbers below each other."""
    block = [amount_of_money(rng), f"-{rng.randint(10, 99)}", f"{rng.randint(1000, 9999)}"]
    return _text(block * rng.randint(25, 80))


def counting(rng: random.Random) -> list[Block]:
    first, step = rng.choice((0, 1, 1, 1900)), rng.choice((1, 1, 2, 10))
    separator = rng.choice((" ", ", ", ". ", "; "))
    last = first + step * rng.randint(150, 500)
    return _text(["Days", separator.join(map(str, range(first, last, step)))])


def counting_dates(rng: random.Random) -> list[Block]:
    days = [f"{day:02}.{month:02}.2026" for month in range(1, 13) for day in range(1, 29)]
    return _text([" ".join(days[: rng.randint(100, len(days))])])


def counting_down_the_page(rng: random.Random) -> list[Block]:
    return _text([str(n) for n in range(1, rng.randint(200, 500))])


def counting_in_a_cell(rng: random.Random) -> list[Block]:
    run = " ".join(map(str, range(1, rng.randint(150, 400))))
    return [("table", html([["No.", "Name"], [run, "x"]]))]


#: Degenerate pages.
LOOPS: dict[str, Callable[[random.Random], list[Block]]] = {
    each.__name__: each
    for each in (
        loop_of_addresses, loop_of_address_blocks, loop_of_fields, loop_of_address_rows, few_numbers,
        few_numbers_in_lines, loop_of_amounts, counting, counting_dates, counting_down_the_page,
        counting_in_a_cell,
    )
}  # fmt: skip


def _line(kind: str, number: int, prompt: str, blocks: list[Block], faults: list[str]) -> str:
    text = answer(random.Random(f"boxes/{kind}/{number}"), blocks, prompt)
    line = {
        "source": f"everyday: {kind}, {number}",
        "half": "everyday",
        "mode": "base",
        "prompt": prompt,
        "finish_reason": "stop",
        # Unknown: the flags of the length and of boxes are not what these texts test.
        "vision_tokens": 0,
        "text_tokens": len(text) // 4,
        "strokes": None,
        "text": text,
        "faults": faults,
    }
    return json.dumps(line, ensure_ascii=False)


def lines() -> list[str]:
    found = []
    for kind, make in PAGES.items():
        for number in range(GOOD):
            blocks = make(random.Random(f"everyday/{kind}/{number}"))
            found.append(_line(kind, number, PROMPTS[number % 3], blocks, []))
    for kind, make in LOOPS.items():
        # A prompt that asks for lines gives each cell a box, and no table.
        prompts = PROMPTS[:2]
        for number in range(BAD):
            blocks = make(random.Random(f"everyday/{kind}/{number}"))
            found.append(_line(kind, number, prompts[number % 2], blocks, [kind]))
    return found


if __name__ == "__main__":
    FILE.write_text("\n".join(lines()) + "\n", encoding="utf-8")
