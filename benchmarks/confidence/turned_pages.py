"""Pages on their side or head: how many the step ``turn`` finds, and what it costs on upright pages.

    python -m benchmarks.confidence.turned_pages --assets .training/assets --pages 200

Each page is recognised in four turns: half of the pages as drawn, half as light scans. ``--directions``
measures only the direction of lines, without a model.
"""

from __future__ import annotations

import argparse
import random
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from airflow_deepseek_ocr.engines.in_process.engine import InProcessEngine
from airflow_deepseek_ocr.ocr.decoding import Decoding
from airflow_deepseek_ocr.ocr.documents.base import Page
from airflow_deepseek_ocr.ocr.line_direction import LineDirection, find_line_direction
from airflow_deepseek_ocr.ocr.page_turns import turn
from airflow_deepseek_ocr.ocr.recognition.reader import Reader
from airflow_deepseek_ocr.ocr.recognition.retry_strategy import parse_retry_with
from airflow_deepseek_ocr.ocr.results import PageResult
from tests.conftest import TINY_MODEL
from training.batches import BatchMaker
from training.curriculum import LONGEST_ANSWER
from training.degrade import degrade
from training.evaluate import EvaluationSet, held_out_pages

TURNS = (0, 90, 180, 270)
MODE = "small"
#: Strength of the wear of light scans, of 1: some skew, blur, ink and compression.
LIGHT = 0.6


@dataclass(frozen=True)
class LyingPage:
    """A page as a scanner may have fed it.

    :param number: the page's number.
    :param rotation: degrees by which it has to be turned clockwise.
    :param image: the page as it lies.
    """

    number: int
    rotation: int
    image: Image.Image


def lying_pages(assets: Path, count: int, mode: str) -> Iterator[LyingPage]:
    """Yield each page in four turns; every other page is a light scan."""
    pages = held_out_pages(BatchMaker(assets, "heldout"), EvaluationSet(mode, "free", count))
    for number, (page, _) in enumerate(pages):
        if number % 2:
            page = degrade(random.Random(number), page, LIGHT)
        upright = page.image.convert("RGB")
        for rotation in TURNS:
            yield LyingPage(number, rotation, turn(upright, -rotation % 360))


def directions(pages: Iterator[LyingPage]) -> str:
    """Return a table of the directions of lines, and their time."""
    found: Counter[tuple[bool, LineDirection]] = Counter()
    seconds, count = 0.0, 0
    for page in pages:
        begin = time.thread_time()
        direction = find_line_direction(page.image)
        seconds += time.thread_time() - begin
        found[page.rotation in (90, 270), direction] += 1
        count += 1
    lines = ["| page | lines across | lines down | unclear |", "|---|---|---|---|"]
    for on_its_side, name in ((False, "upright or on its head"), (True, "on its side")):
        cells = [str(found[on_its_side, direction]) for direction in LineDirection]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join([*lines, "", f"{seconds / count * 1000:.1f} ms of CPU time a page"])


def read(
    engine: InProcessEngine, pages: list[LyingPage], steps: str, mode: str
) -> list[PageResult]:
    """Return the results of pages in their order."""
    reader = Reader(lambda: engine, "free", mode, steps=parse_retry_with(steps))
    results = dict(reader.read((place, Page(1, page.image)) for place, page in enumerate(pages)))
    return [results[place] for place in range(len(pages))]


def table(pages: list[LyingPage], results: list[PageResult]) -> str:
    """Return a table: by the turn that a page needs, how many were turned right, and the cost."""
    lines = [
        "| turn needed | pages | found | drawn | light scans | compared | tokens compared | of all |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for rotation in TURNS:
        mine = [(p, r) for p, r in zip(pages, results, strict=True) if p.rotation == rotation]
        right = [p for p, r in mine if r.rotation == rotation]
        clean = sum(p.number % 2 == 0 for p in right)
        compared = [each for _, r in mine for each in r.attempts if each.how == "turn"]
        tokens = sum(each.text_tokens for each in compared)
        written = sum(each.text_tokens for _, r in mine for each in r.attempts)
        lines.append(
            f"| {rotation} | {len(mine)} | {len(right)} ({len(right) / len(mine):.1%}) | {clean} | "
            f"{len(right) - clean} | {len(compared)} | {tokens} | {tokens / max(1, written):.1%} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.confidence.turned_pages", description=__doc__
    )
    parser.add_argument("--assets", type=Path, required=True)
    parser.add_argument("--model", type=Path, default=TINY_MODEL, help="directory of the weights")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--pages", type=int, default=200, help="each in four turns")
    parser.add_argument("--batch", type=int, default=16, help="pages at once")
    parser.add_argument("--directions", action="store_true", help="without a model")
    options = parser.parse_args()
    pages = lying_pages(options.assets, options.pages, MODE)
    if options.directions:
        print(directions(pages))
        return
    everything = list(pages)
    print(directions(iter(everything)), end="\n\n")
    decoding = Decoding(max_output_length=LONGEST_ANSWER[MODE] + 200)
    engine = InProcessEngine(
        options.model, device=options.device, batch_size=options.batch, decoding=decoding
    )
    try:
        started = time.monotonic()
        print(table(everything, read(engine, everything, "turn", MODE)), end="\n\n")
        print(f"{time.monotonic() - started:.0f} s on {engine.device}")
    finally:
        engine.close()


if __name__ == "__main__":
    main()
