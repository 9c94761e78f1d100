"""Good texts corrupted in the ways in which model output goes wrong."""

# Templates of texts are longer than lines of code.
# ruff: noqa: E501

from __future__ import annotations

import random
import re
from collections.abc import Callable

from tests.corpus.model_outputs.answers import html
from tests.corpus.model_outputs.languages import SENTENCES

Line = dict[str, object]

_BOX = re.compile(r"\[\[(\d+), (\d+), (\d+), (\d+)\]\]")


def _cut(rng: random.Random, text: str) -> str:
    """The first part of a text, to the end of a word."""
    at = text.find(" ", rng.randint(0, max(0, len(text) // 2)))
    return text[:at] if at > 0 else text


def _phrase(rng: random.Random, text: str) -> str:
    words = re.sub(r"<[^<>]*>|\[\[[^\]]*\]\]", " ", text).split()
    words = [word for word in words if any(map(str.isalpha, word))] or ["the", "page"]
    start = rng.randrange(len(words))
    return " ".join(words[start : start + rng.randint(1, 9)])


def loop(rng: random.Random, line: Line) -> Line:
    """A phrase over and over until the limit."""
    text = str(line["text"])
    phrase = _phrase(rng, text)
    return line | {
        "text": _cut(rng, text) + f" {phrase}" * rng.randint(40, 100),
        "finish_reason": "length",
    }


def loop_that_ends(rng: random.Random, line: Line) -> Line:
    """A phrase over and over, as long as n-gram blocking permits, and an end token."""
    text = str(line["text"])
    phrase = _phrase(rng, text)
    rounds = max(6, 40 // len(phrase.split()))
    return line | {"text": _cut(rng, text) + f" {phrase}" * rng.randint(rounds, 4 * rounds) + "."}


def loop_in_the_middle(rng: random.Random, line: Line) -> Line:
    """N-gram blocking ended the loop, and the model continued with proper text."""
    text = str(line["text"])
    phrase = _phrase(rng, text)
    rounds = max(6, 40 // len(phrase.split()))
    looped = " ".join([phrase] * rng.randint(rounds, 2 * rounds))
    return line | {"text": f"{_cut(rng, text)} {looped}\n{rng.choice(SENTENCES['english'])}"}


def loop_of_lines(rng: random.Random, line: Line) -> Line:
    """Two or three lines over and over."""
    lines = rng.sample(SENTENCES["english"], rng.randint(2, 3))
    return line | {
        "prompt": "free",
        "text": "\n".join([*rng.sample(SENTENCES["english"], 3), *lines * rng.randint(8, 30)]),
    }


def loop_of_regions(rng: random.Random, line: Line) -> Line:
    """The same line in box after box."""
    text = " ".join(rng.choice(SENTENCES["german"]).split()[:6])
    regions = [
        f"<|ref|>{text}<|/ref|><|det|>[[50, {y}, 900, {y + 8}]]<|/det|>"
        for y in range(40, 40 + 11 * rng.randint(20, 80), 11)
    ]
    return line | {"prompt": "ocr", "text": "\n".join(regions)}


def loop_of_characters(rng: random.Random, line: Line) -> Line:
    """A few letters over and over, without a space."""
    piece = "".join(rng.choices("abcdefghijklmnoprstuvw", k=rng.randint(1, 4)))
    return line | {"text": _cut(rng, str(line["text"])) + " " + piece * rng.randint(20, 150)}


def loop_of_signs(rng: random.Random, line: Line) -> Line:
    """A phrase over and over in a script without spaces."""
    language = rng.choice(("chinese", "japanese", "thai"))
    sentence = rng.choice(SENTENCES[language])
    phrase = sentence[: rng.randint(2, 9)]
    return line | {"prompt": "free", "text": sentence + phrase * rng.randint(15, 120)}


def loop_of_rows(rng: random.Random, line: Line) -> Line:
    """A table whose last row comes again and again."""
    row = [rng.choice(SENTENCES["english"])[:12], str(rng.randint(1, 99)), "pcs"]
    rows = [["Item", "Qty", "Unit"], ["Paper", "4", "pcs"], *[row] * rng.randint(20, 80)]
    return line | {"prompt": "free", "text": html(rows)}


def counting_loop(rng: random.Random, line: Line) -> Line:
    """Numbers go on where the page has ended."""
    text = f"{_phrase(rng, str(line['text']))} "
    numbered = "\n".join(f"{number}. {text}" for number in range(1, rng.randint(60, 150)))
    return line | {"prompt": "free", "text": numbered}


def few_words(rng: random.Random, line: Line) -> Line:
    """Endless letters, in no order."""
    return line | {
        "prompt": "free",
        "text": "\n".join(rng.choices("ABCDEFGHIJ", k=rng.randint(400, 800))),
    }


def stammer(rng: random.Random, line: Line) -> Line:
    """Phrases out of a few words, never quite the same: the remains of a loop under n-gram blocking."""
    parts = [_phrase(rng, rng.choice(SENTENCES["english"])) for _ in range(3)]
    parts = [part if len(part.split()) > 2 else f"{part} of the same kind" for part in parts]
    return line | {
        "prompt": "free",
        "text": " ".join(rng.choice(parts) for _ in range(rng.randint(60, 150))),
    }


def cut_off(rng: random.Random, line: Line) -> Line:
    """The limit came before the end."""
    text = str(line["text"])
    return line | {
        "text": text[: rng.randint(len(text) // 4, max(1, 3 * len(text) // 4))],
        "finish_reason": "length",
    }


def cut_markup(rng: random.Random, line: Line) -> Line:
    """An end token in the middle of a reference or a box."""
    text = str(line["text"])
    starts = [match.start() for match in re.finditer(r"<\|ref\|>", text)]
    start = rng.choice(starts)
    end = text.find("<|/det|>", start)
    return line | {"text": text[: rng.randint(start + 8, end)]}


def cut_table(rng: random.Random, line: Line) -> Line:
    """An end token within a table."""
    text = str(line["text"])
    start, end = text.index("<tr>"), text.rindex("</table>")
    return line | {"text": text[: rng.randint(start + 4, end - 5)]}


def cut_formula(rng: random.Random, line: Line) -> Line:
    """An end token within a formula."""
    text = str(line["text"])
    start = rng.choice([match.start() for match in re.finditer(r"\\\[", text)])
    return line | {"text": text[: text.find(r"\]", start)]}


def stray_references(rng: random.Random, line: Line) -> Line:
    """References where the prompt asks for none."""
    return line | {"prompt": "free"}


def text_on_blank(rng: random.Random, line: Line) -> Line:
    """Text that is read from an empty page."""
    return line | {"strokes": rng.choice((0, 0, 0, rng.randint(0, 30)))}


def no_text(rng: random.Random, line: Line) -> Line:
    """Nothing is read from a full page."""
    return line | {
        "text": rng.choice(("", "", "\n", ".", "...")),
        "strokes": rng.randint(1200, 90000),
        "text_tokens": 0,
    }


def ragged_table(rng: random.Random, line: Line) -> Line:
    """Cells are missing, or there are too many."""
    text = str(line["text"])
    rows = [(row.start(), row[0]) for row in re.finditer(r"<tr>.*?</tr>", text)]
    corrupted = rng.sample(rows[1:], rng.randint(1, max(1, len(rows) // 3)))
    for start, row in sorted(corrupted, reverse=True):
        cell = rng.choice([*re.compile(r"<td>[^<]*</td>").finditer(text, start, start + len(row))])
        kept = "" if rng.random() < 0.6 else cell[0] * 2
        text = text[: cell.start()] + kept + text[cell.end() :]
    return line | {"text": text}


def broken_table(rng: random.Random, line: Line) -> Line:
    """A tag is missing."""
    text = str(line["text"])
    tags = list(re.finditer(r"</?(?:table|tr|td)>", text))
    tag = rng.choice(tags)
    return line | {"text": text[: tag.start()] + text[tag.end() :]}


def boxes_outside(rng: random.Random, line: Line) -> Line:
    def wrong(match: re.Match[str]) -> str:
        x1, y1, x2, y2 = map(int, match.groups())
        if rng.random() < 0.5:
            x2 += 1000
        else:
            y2 += rng.randint(1000, 9000)
        return (
            f"[[{x1}, {y1}, {x2}, {y2}]]"
            if rng.random() < 0.7
            else f"[[-{x1 + 1}, {y1}, {x2}, {y2}]]"
        )

    return line | {"text": _BOX.sub(wrong, str(line["text"]))}


def boxes_inverted(rng: random.Random, line: Line) -> Line:
    share = rng.uniform(0.3, 1.0)

    def wrong(match: re.Match[str]) -> str:
        x1, y1, x2, y2 = match.groups()
        return f"[[{x2}, {y2}, {x1}, {y1}]]" if rng.random() < share else match[0]

    text = _BOX.sub(wrong, str(line["text"]))
    return line | {
        "text": _BOX.sub(lambda m: f"[[{m[3]}, {m[4]}, {m[1]}, {m[2]}]]", text, count=1)
        if text == line["text"]
        else text
    }


def boxes_alike(rng: random.Random, line: Line) -> Line:
    box = f"[[{rng.randint(0, 400)}, {rng.randint(0, 400)}, {rng.randint(500, 999)}, {rng.randint(500, 999)}]]"
    return line | {"text": _BOX.sub(box, str(line["text"]))}


def broken_characters(rng: random.Random, line: Line) -> Line:
    """Characters that nothing could decode."""
    letters = list(str(line["text"]))
    for at in rng.sample(range(len(letters)), max(3, len(letters) // rng.randint(8, 40))):
        letters[at] = rng.choice("\ufffd\ufffd\ue001\uf0b7\x01\x07\U000f1234")
    return line | {"prompt": "free", "text": "".join(letters)}


def script_soup(rng: random.Random, line: Line) -> Line:
    """Pieces of other alphabets within the words."""
    letters = list(str(line["text"]))
    soup = [
        "".join(SENTENCES[language])
        for language in ("russian", "greek", "arabic", "hindi", "thai", "hebrew")
    ]
    for at in rng.sample(range(len(letters)), max(6, len(letters) // rng.randint(6, 20))):
        piece = rng.choice(soup)
        start = rng.randrange(len(piece) - 3)
        letters[at] += piece[start : start + 3].replace(" ", "")
    return line | {"prompt": "free", "text": "".join(letters)}


def too_much_text(rng: random.Random, line: Line) -> Line:
    """More text than so few vision tokens can hold."""
    tokens = 73
    return line | {
        "mode": "tiny",
        "vision_tokens": tokens,
        "text_tokens": rng.randint(21 * tokens, 60 * tokens),
    }


def _long(line: Line) -> bool:
    return len(str(line["text"])) > 200


def _grounded(line: Line) -> bool:
    return line["prompt"] in ("markdown", "ocr") and str(line["text"]).count("[[") >= 4


def _english_free(line: Line) -> bool:
    return _long(line) and line["prompt"] == "free" and "<t" not in str(line["text"])


def _has_table(line: Line) -> bool:
    text = str(line["text"])
    return (
        "<table>" in text
        and text.count("<tr>") > 3
        and "span" not in text
        and "rowspan" not in text
    )


#: Fault: (how it is made, which good texts it is made of).
FAULTS: dict[str, tuple[Callable[[random.Random, Line], Line], Callable[[Line], bool]]] = {
    "loop": (loop, _english_free),
    "loop_that_ends": (loop_that_ends, _english_free),
    "loop_in_the_middle": (loop_in_the_middle, _english_free),
    "loop_of_lines": (loop_of_lines, _long),
    "loop_of_regions": (loop_of_regions, _long),
    "loop_of_characters": (loop_of_characters, _english_free),
    "loop_of_signs": (loop_of_signs, _long),
    "loop_of_rows": (loop_of_rows, _long),
    "counting_loop": (counting_loop, _english_free),
    "few_words": (few_words, _long),
    "stammer": (stammer, _long),
    "cut_off": (cut_off, _long),
    "cut_markup": (cut_markup, _grounded),
    "cut_table": (cut_table, _has_table),
    "cut_formula": (
        cut_formula,
        lambda line: r"\[" in str(line["text"]) and line["prompt"] != "ocr",
    ),
    "stray_references": (stray_references, _grounded),
    "text_on_blank": (text_on_blank, _long),
    "no_text": (no_text, _english_free),
    "ragged_table": (ragged_table, _has_table),
    "broken_table": (broken_table, _has_table),
    "boxes_outside": (boxes_outside, _grounded),
    "boxes_inverted": (boxes_inverted, _grounded),
    "boxes_alike": (boxes_alike, _grounded),
    "broken_characters": (broken_characters, _english_free),
    "script_soup": (script_soup, _english_free),
    "too_much_text": (too_much_text, _long),
}
