"""Record what the small checkpoint writes about pages that it reads well, badly, or not at all.

    python -m tests.corpus.model_outputs.record recorded.jsonl --assets .training/assets

Each line is one output. A person decides which of them are kept, and which faults they have.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TextIO

from PIL import Image

from airflow_deepseek_ocr.engines.in_process.engine import InProcessEngine
from airflow_deepseek_ocr.ocr.decoding import Decoding
from airflow_deepseek_ocr.ocr.documents.open import open_document
from airflow_deepseek_ocr.ocr.engine_protocol import PageRequest
from tests.conftest import ROOT, TINY_MODEL
from training.assets import load_fonts, load_texts
from training.layouts import PageAssets, draw_page

MODES = ("small", "base")
PROMPTS = ("free", "markdown", "ocr")
MAX_OUTPUT_LENGTH = 800
PAGES_AT_ONCE = 16
#: Kinds of drawn pages, with smallest and largest text in pixels and the most characters.
DRAWN = {
    "readable": (("letter", "report", "table", "receipt", "list", "card"), (20.0, 30.0), 300),
    "too small": (("report", "invoice", "table", "form", "two_columns"), (6.0, 7.0), 1500),
    "too dense": (("report", "table", "list", "two_columns"), (10.0, 11.0), 3500),
    "without text": (("blank", "blank", "picture", "picture", "picture"), (20.0, 30.0), 300),
}


def files() -> Iterator[tuple[str, Image.Image]]:
    for directory in (ROOT / "demo" / "documents", ROOT / "tests" / "corpus" / "golden" / "images"):
        for path in sorted(directory.iterdir()):
            with open_document(path) as document:
                for number in document.page_numbers:
                    name = f"{path.relative_to(ROOT)}, page {number}"
                    yield name, document.page(number).image


def drawn(assets: Path) -> Iterator[tuple[str, Image.Image]]:
    texts = load_texts(assets)
    supply = PageAssets(
        load_fonts(assets, "heldout"), texts.words, texts.accented, texts.heldout_sentences
    )
    for name, (kinds, text_size, most) in DRAWN.items():
        for seed, kind in enumerate(kinds):
            page = draw_page(
                random.Random(f"{name}/{seed}"),
                supply,
                width=640,
                height=640,
                text_size=text_size,
                max_characters=most,
                kind=kind,
            )
            yield f"drawn, {name}: {kind}, seed {seed}", page.image.convert("RGB")


def guarded(assets: Path) -> Iterator[PageRequest]:
    """Files are read in all ways, drawn pages each in two that differ in mode."""
    for source, image in files():
        for mode, prompt in itertools.product(MODES, PROMPTS):
            yield PageRequest(
                key=(source, mode, prompt), image=image, prompt=prompt, resolution=mode
            )
    for number, (source, image) in enumerate(drawn(assets)):
        for mode, turn in zip(MODES, (number, number + 1), strict=True):
            prompt = PROMPTS[turn % len(PROMPTS)]
            yield PageRequest(
                key=(source, mode, prompt), image=image, prompt=prompt, resolution=mode
            )


def unguarded() -> Iterator[PageRequest]:
    for source, image in files():
        name = f"{source}, without the no-repeat-n-gram constraint"
        for prompt in PROMPTS:
            yield PageRequest(
                key=(name, "small", prompt), image=image, prompt=prompt, resolution="small"
            )


def record(requests: Iterable[PageRequest], decoding: Decoding, file: TextIO) -> None:
    engine = InProcessEngine(TINY_MODEL, device="cpu", batch_size=PAGES_AT_ONCE, decoding=decoding)
    for output in engine.read(requests):
        source, mode, prompt = output.key
        line = {
            "source": source,
            "mode": mode,
            "prompt": prompt,
            "finish_reason": output.finish_reason,
            "vision_tokens": output.vision_tokens,
            "text_tokens": output.text_tokens,
            "text": output.text,
        }
        file.write(json.dumps(line, ensure_ascii=False) + "\n")
        file.flush()
    engine.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, help="JSON lines")
    parser.add_argument("--assets", type=Path, required=True)
    options = parser.parse_args()
    with options.out.open("w", encoding="utf-8") as file:
        record(guarded(options.assets), Decoding(MAX_OUTPUT_LENGTH), file)
        record(unguarded(), Decoding(MAX_OUTPUT_LENGTH, ngram_size=0), file)


if __name__ == "__main__":
    main()
