"""Generate the texts that were not recorded: right output for pages, and the same corrupted.

    python -m tests.corpus.model_outputs.make tests/corpus/model_outputs --assets .training/assets

writes ``good.jsonl`` and ``bad.jsonl`` into the directory, in the form of ``recorded.jsonl``; the same
assets give the same files. Every second text of a kind is of the half with which the thresholds of the
quality checks were chosen (``tuning``); the others (``held_out``), and all of the kinds ``UNSEEN``, were made
afterwards.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Iterator
from pathlib import Path

from airflow_deepseek_ocr.ocr.edge_density import measure_edge_density
from airflow_deepseek_ocr.ocr.families.deepseek_ocr import DEEPSEEK_OCR
from tests.corpus.model_outputs.answers import answer
from tests.corpus.model_outputs.bad import FAULTS, Line
from tests.corpus.model_outputs.good import PAGES
from tests.corpus.model_outputs.unseen import UNSEEN, UNSEEN_AGAIN
from training.assets import load_fonts, load_texts
from training.layouts import KINDS, PageAssets, draw_page
from training.targets import target

PROMPTS = ("free", "markdown", "ocr")
#: Pages of each kind.
DRAWN, WRITTEN, CORRUPTED = 12, 8, 16
#: Characters to a token of the published tokenizer, roughly; of scripts without spaces one.
_CHARACTERS_A_TOKEN = 4
#: Sizes of drawn pages in pixels, with the smallest and the largest text and the most characters.
_SHEETS = (
    (640, 640, (16.0, 30.0), 500),
    (850, 1100, (11.0, 18.0), 2500),
    (850, 1100, (10.0, 12.0), 5000),
)


def _half(number: int) -> str:
    return "tuning" if number % 2 else "held_out"


def _rng(kind: str, number: int) -> random.Random:
    # The seeds are part of the files: other names would give other texts.
    return random.Random(f"judge/{_half(number)}/{kind}/{number}")


def _tokens(text: str) -> int:
    narrow = sum(ord(character) < 0x2E80 for character in text)
    return narrow // _CHARACTERS_A_TOKEN + len(text) - narrow


def _line(source: str, prompt: str, text: str, text_edges: int | None, number: int) -> Line:
    tokens = _tokens(text)
    modes = {
        mode: DEEPSEEK_OCR.resolutions[mode].vision_tokens() for mode in ("small", "base", "large")
    }
    # As a reader would choose it: the cheapest mode within the knee, or near it.
    mode = next((mode for mode, vision in modes.items() if tokens <= 12 * vision), "large")
    return {
        "source": source,
        "half": _half(number),
        "mode": mode,
        "prompt": prompt,
        "finish_reason": "stop",
        "vision_tokens": modes[mode],
        "text_tokens": tokens,
        "strokes": text_edges,
        "text": text,
        "faults": [],
    }


def drawn(assets: Path) -> Iterator[Line]:
    texts = load_texts(assets)
    supply = PageAssets(
        load_fonts(assets, "heldout"), texts.words, texts.accented, texts.heldout_sentences
    )
    for kind in KINDS:
        for number in range(DRAWN):
            width, height, sizes, most = _SHEETS[number % 4 % 3]
            page = draw_page(
                _rng(kind, number),
                supply,
                width=width,
                height=height,
                text_size=sizes,
                max_characters=most,
                kind=kind,
            )
            prompt = PROMPTS[number % 3]
            edge_density = measure_edge_density(page.image)
            text_edges = edge_density.text_edges if edge_density else None
            yield _line(
                f"drawn: {kind}, {number}", prompt, target(page, prompt), text_edges, number
            )


def written() -> Iterator[Line]:
    for kind, make in PAGES.items():
        for number in range(WRITTEN):
            rng = _rng(kind, number)
            prompt = PROMPTS[number % 3]
            text = answer(rng, make(rng), prompt)
            yield _line(f"written: {kind}, {number}", prompt, text, None, number)
    for kind, make in (UNSEEN | UNSEEN_AGAIN).items():
        for number in range(WRITTEN):
            rng = _rng(kind, number)
            prompt = PROMPTS[number % 3]
            text = answer(rng, make(rng), prompt)
            yield _line(f"unseen: {kind}, {number}", prompt, text, None, 0)


def corrupted(good: list[Line]) -> Iterator[Line]:
    for fault, (corrupt, fits) in FAULTS.items():
        fitting = [line for line in good if fits(line)]
        for number in range(CORRUPTED):
            rng = _rng(fault, number)
            line = corrupt(rng, rng.choice(fitting))
            # What was changed in the text changes how long it is.
            tokens = line["text_tokens"] if fault == "too_much_text" else _tokens(str(line["text"]))
            yield line | {
                "source": f"{fault}, {number}, of {line['source']}",
                "half": _half(number),
                "text_tokens": tokens,
                "faults": [fault],
            }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--assets", type=Path, required=True)
    options = parser.parse_args()
    good = [*drawn(options.assets), *written()]
    for name, lines in (("good.jsonl", good), ("bad.jsonl", list(corrupted(good)))):
        with (options.directory / name).open("w", encoding="utf-8") as file:
            for line in lines:
                file.write(json.dumps(line, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
