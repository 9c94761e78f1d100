"""More such kinds, written after the thresholds had been chosen: they are only measured."""

# Templates of texts are longer than lines of code.
# ruff: noqa: E501

from __future__ import annotations

import random
from collections.abc import Callable

from tests.corpus.model_outputs.answers import Block, html
from tests.corpus.model_outputs.phrases import ITEMS, NAMES, amount_of_money, sentences_of


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
    for number, sentence in enumerate(sentences_of(rng, "english", rng.randint(5, 12)), 1):
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
        for name in rng.sample(NAMES, rng.randint(8, 16))
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
    for number, thing in enumerate(rng.sample(ITEMS, rng.randint(5, 10)), 1):
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
    lines = [f"{word.lower()}, n. (pl. {word.lower()}s): see {rng.choice(NAMES)}, p. {rng.randint(1, 400)}."
             for word in sorted(rng.sample(NAMES, 18))]  # fmt: skip
    return [("text", "\n".join(lines))]


def litany(rng: random.Random) -> list[Block]:
    """Each line answered alike."""
    lines = [
        f"{sentence}\nWe thank you."
        for sentence in sentences_of(rng, "english", rng.randint(8, 18))
    ]
    return [("text", "\n".join(lines))]


def plain_columns(rng: random.Random) -> list[Block]:
    """A table set with spaces, many of its numbers the same."""
    lines = [
        "  ".join(rng.choice(("0.00", "0.00", "1.50", "n/a")) for _ in range(8))
        for _ in range(rng.randint(10, 40))
    ]
    return [("text", "\n".join(lines))]


def config(rng: random.Random) -> list[Block]:
    lines = [
        f"- {rng.randint(1, 9) * 50} g {item}"
        for item in rng.sample(("flour", "butter", "sugar", "rice", "beans", "oats", "nuts"), 6)
    ]
    return [
        ("title", "# Bread"),
        ("text", "\n".join(lines)),
        ("text", " ".join(sentences_of(rng, "english", 5))),
    ]


def dialogue(rng: random.Random) -> list[Block]:
    lines = [f"{rng.choice(('ANNA', 'THE OTHER'))}. {rng.choice(('Yes.', 'No.', 'Why not?', sentence))}"
             for sentence in sentences_of(rng, "english", rng.randint(15, 40))]  # fmt: skip
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
    rows += [[str(n), rng.choice(("打印纸", "墨盒", "文件夹", "信封")), "个", str(rng.randint(1, 9)), amount_of_money(rng)]
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
    "config": config,
    "dialogue": dialogue,
    "seats": seats,
    "hymn numbers": hymn_numbers,
    "chinese invoice": chinese_invoice,
}


# The following kinds were written after a first look at those above, and are only measured.


def minutes(rng: random.Random) -> list[Block]:
    lines = [f"{n}. {sentence} Resolved unanimously, with {rng.randint(5, 30)} votes in favour and none against."
             for n, sentence in enumerate(sentences_of(rng, "english", rng.randint(6, 15)), 1)]  # fmt: skip
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
        for item in ITEMS
    ]
    return [("sub_title", "## 1. Definitions"), ("text", "In this Agreement:\n" + "\n".join(lines))]


def warning_label(rng: random.Random) -> list[Block]:
    word = rng.choice(("DANGER", "CAUTION", "WARNING"))
    return [
        ("text", f"{word}! {word}! {word}!"),
        *[("text", f"{word}: {s}") for s in sentences_of(rng, "english", 4)],
    ]


def bank_statement(rng: random.Random) -> list[Block]:
    lines = [f"{rng.randint(1, 28):02}.{rng.randint(1, 12):02}. CARD PAYMENT {rng.choice(('GROCER', 'FUEL', 'RAIL'))} 4711 REF {rng.randint(0, 10**9):09} -{amount_of_money(rng)}"
             for _ in range(rng.randint(15, 50))]  # fmt: skip
    return [("text", "\n".join(lines))]


def stamps(rng: random.Random) -> list[Block]:
    return [
        ("text", "COPY"),
        ("text", "COPY"),
        *[("text", s) for s in sentences_of(rng, "german", 4)],
        ("text", "COPY"),
    ]


def poem(rng: random.Random) -> list[Block]:
    lines = [
        f"When {sentence[0].lower()}{sentence[1:-1]}, then come, oh come,"
        for sentence in sentences_of(rng, "english", 10)
    ]
    return [("text", "\n".join(lines)), ("text", "oh come, oh come, oh come, oh come to me.")]


def subtitles(rng: random.Random) -> list[Block]:
    lines = [
        f"{n}\n00:{n:02}:01,000 --> 00:{n:02}:04,500\n{sentence}"
        for n, sentence in enumerate(sentences_of(rng, "english", 14), 1)
    ]
    return [("text", "\n\n".join(lines))]


def tax_form(rng: random.Random) -> list[Block]:
    blocks: list[Block] = [("title", "# Form 7")]
    for n in range(1, rng.randint(10, 30)):
        blocks.append(
            (
                "text",
                f"{n}. Enter the amount from line {n + 1} of Schedule {rng.choice('ABC')} ....... {n} | {rng.choice(('', '0', amount_of_money(rng)))}",
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
        ("text", f"1. A device comprising {', '.join(ITEMS[:5]).lower()}."),
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
            amount_of_money(rng),
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
        *[[s, "☐", "☐", "☐"] for s in sentences_of(rng, "english", rng.randint(5, 18))],
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
