"""How well a checkpoint reads pages of seeds and fonts that it never saw in training."""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from rapidfuzz.distance import Levenshtein

from airflow_deepseek_ocr.engines.in_process.engine import InProcessEngine
from airflow_deepseek_ocr.ocr.decoding import Decoding
from airflow_deepseek_ocr.ocr.engine_protocol import FinishReason, PageOutput, PageRequest
from airflow_deepseek_ocr.ocr.families.deepseek_ocr import DEEPSEEK_OCR
from airflow_deepseek_ocr.ocr.markup.grounding import parse
from airflow_deepseek_ocr.ocr.markup.markdown import to_markdown
from airflow_deepseek_ocr.ocr.prompts import get_prompt
from airflow_deepseek_ocr.ocr.results import Region
from training.batches import BatchMaker
from training.curriculum import HELD_OUT, LONGEST_ANSWER
from training.density import Band, ReadPage, bands, characters_per_token
from training.page import Page
from training.targets import choose_prompt, target

#: Seeds of held-out pages; those of the training are smaller.
_FIRST_SEED = 10**15
#: Pages written at once on a CPU, by mode; more than the engine's own choice, for this model is
#: small. On a GPU the free memory decides.
_PAGES_ON_CPU = {"tiny": 16, "small": 16, "base": 8, "large": 4, "gundam": 4}
#: The kinds of documents that people have, and how often, relative to each other. The other kinds are there
#: for the training alone (random strings), are read with a prompt of their own, or hold nothing to read.
_DOCUMENTS = {
    "report": 14.0,
    "invoice": 9.0,
    "table": 9.0,
    "receipt": 6.0,
    "letter": 6.0,
    "form": 6.0,
    "two_columns": 5.0,
    "list": 5.0,
    "card": 4.0,
}
#: Name of the set of pages without text, which a reader must refuse.
REFUSE = "refuse"
#: Sets without text to get wrong: there is none on the page, or it stands in the question.
_NO_TEXT_TO_READ = {REFUSE, "locate"}


@dataclass(frozen=True)
class EvaluationSet:
    """Held-out pages read in one way.

    :param mode: resolution mode.
    :param prompt: prompt's name; or ``refuse``: blank pages and pictures, read with Free OCR.
    :param pages: how many pages.
    """

    mode: str
    prompt: str
    pages: int = 300


@dataclass(frozen=True)
class Figures:
    """How one set was read.

    :param character_error: edit distance over the text's length, all pages together; text without
        boxes, white space counted as one space; None where there is none to read (``refuse``) or the
        question holds it (``locate``).
    :param median_error: the median page's.
    :param box_overlap: mean intersection over union of the boxes, a missing one counting 0; None
        where the prompt has none.
    :param tables_right: share of tables with the right number of rows and of cells in each row;
        None where there are none.
    :param without_end: share of pages without an end token.
    :param refused: share of pages without text that were answered with nothing; None where there
        are none.
    :param by_density: the character error of pages that are printed more and more densely; empty where
        ``character_error`` is None.
    """

    mode: str
    prompt: str
    pages: int
    character_error: float | None
    median_error: float | None
    box_overlap: float | None
    tables_right: float | None
    without_end: float
    refused: float | None = None
    by_density: tuple[Band, ...] = ()

    def as_dict(self) -> dict[str, object]:
        """For a log or a report; figures rounded to four digits."""
        return {
            name: round(value, 4) if isinstance(value, float) else value
            for name, value in asdict(self).items()
        }


@dataclass(frozen=True)
class _Answer:
    text: str
    regions: tuple[Region, ...]


def evaluate(
    directory: Path, assets: Path, sets: Sequence[EvaluationSet], *, device: str = "auto"
) -> list[Figures]:
    """Read each set with the engine that users have.

    :param directory: a checkpoint in the published layout.
    :param assets: fonts and texts, see :mod:`training.assets`.
    :param device: a torch device, or ``auto``.
    """
    maker = BatchMaker(assets, "heldout")
    figures = []
    for each in sets:
        engine = InProcessEngine(
            directory,
            device=device,
            batch_size=None if _has_gpu(device) else _PAGES_ON_CPU[each.mode],
            decoding=Decoding(max_output_length=LONGEST_ANSWER[each.mode] + 200),
        )
        try:
            figures.append(_measure(each, engine, list(held_out_pages(maker, each))))
        finally:
            engine.close()
    return figures


def _has_gpu(device: str) -> bool:
    return device.startswith("cuda") or (device == "auto" and torch.cuda.is_available())


def held_out_pages(maker: BatchMaker, each: EvaluationSet) -> Iterator[tuple[Page, str]]:
    """Clean pages of the kinds that people have, each with the prompt that it is read with.

    :param maker: of the split ``heldout``.
    """
    for number in range(each.pages):
        rng = random.Random(f"{_FIRST_SEED + number}/{each.mode}")
        while True:
            kind = _kind(rng, each.prompt)
            page = maker.draw(rng, each.mode, HELD_OUT, kind=kind, clean=True)
            prompt = "free" if each.prompt == REFUSE else each.prompt
            if prompt == "locate":
                prompt = choose_prompt(rng, page, ("locate",))
            # A chart may have been too large for its page, and a page may hold no line to ask for.
            if (prompt != "figure" or page.chart) and (each.prompt != "locate" or ":" in prompt):
                break
        yield page, prompt


def _kind(rng: random.Random, prompt: str) -> str:
    if prompt == REFUSE:
        return rng.choice(("blank", "picture"))
    if prompt == "figure":
        return "chart"
    return rng.choices(list(_DOCUMENTS), list(_DOCUMENTS.values()))[0]


def _measure(
    each: EvaluationSet, engine: InProcessEngine, pages: list[tuple[Page, str]]
) -> Figures:
    resolution = DEEPSEEK_OCR.resolution(each.mode)
    requests = (
        PageRequest(
            key=number, image=page.image.convert("RGB"), prompt=prompt, resolution=each.mode
        )
        for number, (page, prompt) in enumerate(pages)
    )
    pages_read: list[ReadPage] = []
    overlaps, tables, endless, refused = [], [], 0, 0
    for reading in engine.read(requests):
        page, prompt = pages[int(str(reading.key))]
        _raise_failure(reading)
        endless += reading.finish_reason is not FinishReason.STOP
        truth, read = (
            _answer(target(page, prompt), page, prompt),
            _answer(reading.text, page, prompt),
        )
        refused += not reading.text.strip()
        pages_read.append(
            ReadPage(
                characters_per_token(page, resolution),
                Levenshtein.distance(truth.text, read.text),
                max(1, len(truth.text)),
            )
        )
        overlaps += _overlaps(truth.regions, read.regions)
        tables += _tables_right(truth.text, read.text)
    shares = sorted(page.errors / page.characters for page in pages_read)
    error = sum(page.errors for page in pages_read) / sum(page.characters for page in pages_read)
    reads_text = each.prompt not in _NO_TEXT_TO_READ
    return Figures(
        mode=each.mode,
        prompt=each.prompt,
        pages=len(pages),
        character_error=error if reads_text else None,
        median_error=shares[len(shares) // 2] if reads_text else None,
        box_overlap=_mean(overlaps),
        tables_right=_mean([float(right) for right in tables]),
        without_end=endless / len(pages),
        refused=refused / len(pages) if each.prompt == REFUSE else None,
        by_density=bands(pages_read) if reads_text else (),
    )


def as_table(figures: Sequence[Figures]) -> str:
    """The figures as a table in Markdown."""
    lines = [
        "| mode | prompt | pages | character error | median page | boxes (IoU) | tables right | "
        "no end | empty |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for each in figures:
        shares = (
            each.character_error,
            each.median_error,
            each.box_overlap,
            each.tables_right,
            each.without_end,
            each.refused,
        )
        cells = ["" if share is None else f"{share:.1%}" for share in shares]
        if each.box_overlap is not None:
            cells[2] = f"{each.box_overlap:.2f}"
        lines.append(f"| {each.mode} | {each.prompt} | {each.pages} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _raise_failure(reading: PageOutput) -> None:
    if reading.error is not None:
        raise reading.error


def _answer(text: str, page: Page, prompt: str) -> _Answer:
    in_ref = get_prompt(prompt).text_in_ref
    regions = parse(text, text_in_ref=in_ref, width=page.image.width, height=page.image.height)
    plain = to_markdown(regions, text_in_ref=in_ref)
    return _Answer(" ".join(plain.split()), regions)


def _overlaps(truth: Iterable[Region], read: Iterable[Region]) -> list[float]:
    """For each true box the best overlap with a box that no other took."""
    left = [box.normalized for region in read for box in region.boxes]
    overlaps = []
    for region in truth:
        for box in region.boxes:
            best = max(left, key=lambda other: _overlap(box.normalized, other), default=None)
            overlaps.append(_overlap(box.normalized, best) if best else 0.0)
            if best and overlaps[-1] > 0:
                left.remove(best)
    return overlaps


def _overlap(one: tuple[int, int, int, int], other: tuple[int, int, int, int]) -> float:
    """Intersection over union; each coordinate stands for a bin of width one."""
    width = min(one[2], other[2]) + 1 - max(one[0], other[0])
    height = min(one[3], other[3]) + 1 - max(one[1], other[1])
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    areas = sum((box[2] + 1 - box[0]) * (box[3] + 1 - box[1]) for box in (one, other))
    return shared / (areas - shared)


def _tables_right(truth: str, read: str) -> list[bool]:
    expected, found = _table_shapes(truth), _table_shapes(read)
    found += [()] * (len(expected) - len(found))
    return [shape == found[index] for index, shape in enumerate(expected)]


def _table_shapes(text: str) -> list[tuple[int, ...]]:
    """Of each table the number of cells in each row."""
    return [
        tuple(row.count("<td>") for row in re.findall(r"<tr>(.*?)</tr>", table, re.DOTALL))
        for table in re.findall(r"<table>(.*?)</table>", text, re.DOTALL)
    ]


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None
