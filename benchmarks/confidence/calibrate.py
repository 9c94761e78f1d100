"""Confidence of words against their correctness, on generated pages with known text.

    make calibrate                                           # the small checkpoint
    make calibrate MODEL=DIRECTORY MODE=base DEVICE=cuda     # other weights

writes ``figures.json`` and ``reliability.png`` into the output directory and prints the tables of
``docs/measurements/confidence.md``. A word is right if it has an equal partner in the alignment of the page's
words with the true ones that has the fewest insertions, deletions and replacements. Markdown marks do not
count.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from rapidfuzz.distance import Levenshtein

from airflow_deepseek_ocr.engines.in_process.engine import InProcessEngine
from airflow_deepseek_ocr.ocr.confidence.page_confidence import PageConfidence, measure_confidence
from airflow_deepseek_ocr.ocr.confidence.text_tokens import tokens_of
from airflow_deepseek_ocr.ocr.confidence.words import find_words
from airflow_deepseek_ocr.ocr.decoding import Decoding
from airflow_deepseek_ocr.ocr.engine_protocol import PageOutput, PageRequest
from airflow_deepseek_ocr.ocr.markup.grounding import parse, parse_with_places
from airflow_deepseek_ocr.ocr.prompts import get_prompt
from benchmarks.confidence.reliability import (
    Reliability,
    fit_exponent,
    fit_isotonic,
    measure,
    remedied,
)
from tests.conftest import TINY_MODEL
from training.batches import BatchMaker
from training.curriculum import LONGEST_ANSWER
from training.evaluate import EvaluationSet, held_out_pages
from training.page import Page
from training.targets import target


@dataclass
class Words:
    """The words of all pages, as four columns.

    :param page: the number of each word's page.
    :param text: the word.
    :param confidence: its confidence, 0 to 1.
    :param right: whether the page has it there.
    """

    page: list[int] = field(default_factory=list)
    text: list[str] = field(default_factory=list)
    confidence: list[float] = field(default_factory=list)
    right: list[bool] = field(default_factory=list)

    def add(self, page: int, found: PageConfidence, truth: Sequence[str]) -> None:
        """Add the words of a page.

        :param page: its number.
        :param found: its words with their confidence.
        :param truth: the words that it shows, in reading order.
        """
        texts = [word.text for word in found.words]
        equal: set[int] = set()
        for block in Levenshtein.opcodes(texts, list(truth)):
            if block.tag == "equal":
                equal |= set(range(block.src_start, block.src_end))
        for place, word in enumerate(found.words):
            self.page.append(page)
            self.text.append(word.text)
            self.confidence.append(word.confidence)
            self.right.append(place in equal)

    def only(self, keep: Sequence[bool]) -> Words:
        """Return the words for which ``keep`` is true."""
        columns = (
            [value for value, kept in zip(column, keep, strict=True) if kept]
            for column in (self.page, self.text, self.confidence, self.right)
        )
        return Words(*columns)


def confidence_of(output: PageOutput, prompt: str, size: tuple[int, int]) -> PageConfidence:
    """Return the confidence of an output's words.

    :raises ValueError: the engine returned no probabilities of this text.
    """
    tokens = tokens_of(output.text, output.token_probabilities)
    if tokens is None:
        raise ValueError(
            "The engine returns no probabilities of tokens, of which confidence is made."
        )
    in_ref = get_prompt(prompt).text_in_ref
    placed = parse_with_places(output.text, text_in_ref=in_ref, width=size[0], height=size[1])
    return measure_confidence(placed, tokens)


def true_words(page: Page, prompt: str) -> list[str]:
    """Return the words of the right output for a page."""
    in_ref = get_prompt(prompt).text_in_ref
    regions = parse(target(page, prompt), text_in_ref=in_ref, width=1, height=1)
    return [word.text for region in regions for word in find_words(region.text)]


def read_words(engine: InProcessEngine, pages: Sequence[tuple[Page, str]], mode: str) -> Words:
    """Return the words that the engine reads on pages, each with its confidence.

    :param engine: the engine.
    :param pages: pages with their prompts.
    :param mode: the resolution mode.
    """
    words = Words()
    for output in engine.read(_requests(pages, mode)):
        if output.error is not None:
            raise output.error
        number = int(str(output.key))
        page, prompt = pages[number]
        words.add(number, confidence_of(output, prompt, page.image.size), true_words(page, prompt))
    return words


def _requests(pages: Sequence[tuple[Page, str]], mode: str) -> Iterator[PageRequest]:
    for number, (page, prompt) in enumerate(pages):
        image = page.image.convert("RGB")
        yield PageRequest(key=number, image=image, prompt=prompt, resolution=mode)


def figures(words: Words) -> dict[str, Reliability]:
    """Return the reliability of all words, of words with digits, and after each remedy."""
    has_digit = [any(map(str.isdecimal, text)) for text in words.text]
    numbers = words.only(has_digit)
    columns = words.confidence, words.right, words.page
    found = {"all words": measure(words.confidence, words.right)}
    if numbers.text:
        found["words with digits"] = measure(numbers.confidence, numbers.right)
    found["all words, exponent fitted"] = remedied(fit_exponent, *columns)
    found["all words, isotonic steps fitted"] = remedied(fit_isotonic, *columns)
    return found


def tables(found: dict[str, Reliability]) -> str:
    """Return Markdown: one line for each set of words, and the bins of all words."""
    lines = [
        "| words | number | right | mean confidence | ECE | AUROC |",
        "|---|---|---|---|---|---|",
    ]
    for name, each in found.items():
        auroc = "" if each.auroc is None else f"{each.auroc:.3f}"
        shares = f"{each.right:.1%} | {each.confidence:.3f} | {each.error:.3f}"
        lines.append(f"| {name} | {each.words} | {shares} | {auroc} |")
    lines += ["", "| confidence | words | mean confidence | right |", "|---|---|---|---|"]
    lines += [
        f"| {each.low:.1f} to {each.low + 0.1:.1f} | {each.words} | {each.confidence:.3f} "
        f"| {each.right:.1%} |"
        for each in found["all words"].bins
    ]
    return "\n".join(lines)


def draw(found: dict[str, Reliability], title: str, path: Path) -> None:
    """Draw the reliability diagram: share of right words over confidence, and how many words.

    :param found: the reliability of sets of words; the first two are drawn.
    :param title: what was measured.
    :param path: a PNG.
    """
    from matplotlib.figure import Figure

    picture = Figure(figsize=(5.2, 5.6), layout="constrained")
    upper, lower = picture.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    upper.plot([0, 1], [0, 1], color="grey", linewidth=1, linestyle="--")
    for name, each in list(found.items())[:2]:
        auroc = "" if each.auroc is None else f", AUROC {each.auroc:.3f}"
        upper.plot(
            [part.confidence for part in each.bins],
            [part.right for part in each.bins],
            marker="o",
            label=f"{name}: ECE {each.error:.3f}{auroc}",
        )
    upper.set(title=title, ylabel="share of right words", xlim=(0, 1), ylim=(0, 1))
    upper.legend(loc="upper left", fontsize=8)
    bins = next(iter(found.values())).bins
    lower.bar([part.low + 0.05 for part in bins], [part.words for part in bins], width=0.09)
    lower.set(xlabel="confidence", ylabel="words", yscale="log")
    picture.savefig(path, dpi=90)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.confidence.calibrate", description=__doc__
    )
    parser.add_argument("--assets", type=Path, required=True)
    parser.add_argument("--model", type=Path, default=TINY_MODEL, help="directory of the weights")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--mode", default="small", help="resolution mode")
    parser.add_argument("--prompt", default="free", help="free, markdown or ocr")
    parser.add_argument("--pages", type=int, default=300)
    parser.add_argument("--batch", type=int, default=16, help="pages at once")
    parser.add_argument("--out", type=Path, default=Path(".calibration"))
    options = parser.parse_args()
    drawn = EvaluationSet(options.mode, options.prompt, options.pages)
    pages = list(held_out_pages(BatchMaker(options.assets, "heldout"), drawn))
    engine = InProcessEngine(
        options.model,
        device=options.device,
        batch_size=options.batch,
        decoding=Decoding(max_output_length=LONGEST_ANSWER[options.mode] + 200),
    )
    try:
        words = read_words(engine, pages, options.mode)
    finally:
        engine.close()
    found = figures(words)
    options.out.mkdir(parents=True, exist_ok=True)
    report = {name: asdict(each) for name, each in found.items()}
    (options.out / "figures.json").write_text(json.dumps(report, indent=1) + "\n")
    title = f"{options.model.name}, {options.mode}, {options.prompt}, {len(pages)} pages"
    draw(found, title, options.out / "reliability.png")
    print(tables(found))


if __name__ == "__main__":
    main()
