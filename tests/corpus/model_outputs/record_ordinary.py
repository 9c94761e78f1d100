"""Record what the small checkpoint writes about ordinary pages, with the probability of each token.

    python -m tests.corpus.model_outputs.record_ordinary

writes ``ordinary.jsonl``. Each line has the character error, so that no person has to label it: an output
with an error of 30 % and more is gibberish, one with less than 1 % is good.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from rapidfuzz.distance import Levenshtein

from airflow_deepseek_ocr.engines.in_process.engine import InProcessEngine
from airflow_deepseek_ocr.ocr.decoding import Decoding
from airflow_deepseek_ocr.ocr.edge_density import measure_edge_density
from airflow_deepseek_ocr.ocr.engine_protocol import PageRequest
from airflow_deepseek_ocr.ocr.markup.grounding import parse
from airflow_deepseek_ocr.ocr.markup.markdown import to_markdown
from tests.conftest import TINY_MODEL
from tests.corpus.model_outputs.measure import ORDINARY
from tests.corpus.model_outputs.ordinary import (
    OrdinaryPage,
    large_pages,
    medium_pages,
    ordinary_pages,
)
from tests.corpus.model_outputs.probabilities import pack

MODE = "small"
#: Prompts by turns: text alone, and text with boxes.
PROMPTS = ("free", "free", "markdown")
MAX_OUTPUT_LENGTH = 700
_MARKUP = re.compile(r"</?[a-z]+>|#+ ")
PARTS = ("tuning", "held_out")


def character_error(text: str, truth: str) -> float:
    """Return the edit distance to the page's text over its length; boxes, tags and line ends do not count."""
    read = to_markdown(parse(text, text_in_ref=False, width=1, height=1), text_in_ref=False)
    read = " ".join(_MARKUP.sub(" ", read).split())
    truth = " ".join(truth.split())
    return Levenshtein.distance(read, truth) / max(1, len(truth))


def record(
    engine: InProcessEngine, pages: Sequence[OrdinaryPage], start: int = 0
) -> Iterator[dict[str, object]]:
    """Yield a line for each page, in the order in which the engine finishes them.

    :param engine: the engine with the small checkpoint.
    :param pages: the pages.
    :param start: the first page to record.
    """
    requests = (
        PageRequest(
            key=number,
            image=page.image.convert("RGB"),
            prompt=PROMPTS[number // 3 % len(PROMPTS)],
            resolution=MODE,
        )
        for number, page in enumerate(pages)
        if number >= start
    )
    for output in engine.read(requests):
        if output.error is not None:
            raise output.error
        number = int(str(output.key))
        page, probabilities = pages[number], output.token_probabilities
        if probabilities is None:
            raise ValueError("the engine returned no probabilities")
        if b"".join(probabilities.pieces) != output.text.encode():
            print(f"left out, for its characters are broken: {page.name}")
            continue
        density = measure_edge_density(page.image)
        yield {
            "source": page.name,
            "half": PARTS[number // 6 % 2],
            "mode": MODE,
            "prompt": PROMPTS[number // 3 % len(PROMPTS)],
            "finish_reason": output.finish_reason,
            "vision_tokens": output.vision_tokens,
            "text_tokens": output.text_tokens,
            "strokes": density.text_edges if density else None,
            "error": round(character_error(output.text, page.text), 4),
            "text": output.text,
            **pack(probabilities),
        }


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tests.corpus.model_outputs.record_ordinary", description=__doc__
    )
    parser.add_argument("--out", type=Path, default=ORDINARY)
    parser.add_argument("--small-print", type=int, default=48, help="pages of 9 to 12 points")
    parser.add_argument("--medium-print", type=int, default=36, help="pages of 14 to 24 points")
    parser.add_argument("--large-print", type=int, default=48, help="pages of 28 to 40 points")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--start", type=int, default=0, help="first page; those before are kept")
    options = parser.parse_args()
    pages = [
        *ordinary_pages(options.small_print, options.seed),
        *large_pages(options.large_print, options.seed),
        *medium_pages(options.medium_print, options.seed),
    ]
    engine = InProcessEngine(
        TINY_MODEL, device="cpu", batch_size=16, decoding=Decoding(MAX_OUTPUT_LENGTH)
    )
    try:
        with options.out.open("a" if options.start else "w", encoding="utf-8") as file:
            for line in record(engine, pages, options.start):
                file.write(json.dumps(line, ensure_ascii=False) + "\n")
                file.flush()
    finally:
        engine.close()


if __name__ == "__main__":
    main()
