"""How well a checkpoint reads the ordinary documents: by kind, size of print, density and program."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from statistics import mean, median
from typing import Any

import pypdfium2
from PIL import Image
from rapidfuzz.distance import Levenshtein

from airflow_deepseek_ocr.engines.in_process.engine import InProcessEngine
from airflow_deepseek_ocr.model.checkpoint_family import smallest_print
from airflow_deepseek_ocr.ocr.decoding import Decoding
from airflow_deepseek_ocr.ocr.edge_density import measure_edge_density
from airflow_deepseek_ocr.ocr.engine_protocol import FinishReason, PageRequest
from airflow_deepseek_ocr.ocr.families.deepseek_ocr import DEEPSEEK_OCR
from airflow_deepseek_ocr.ocr.recognition.plan import RecognitionPlan
from airflow_deepseek_ocr.ocr.recognition.retry_strategy import AUTO
from training.curriculum import LONGEST_ANSWER
from training.degrade import light_scan
from training.density import characters_per_token
from training.ordinary.documents import Document, ordinary_documents
from training.ordinary.typeset import typeset
from training.page import Glyph, Page

#: As operators render pages by default.
_DPI = 200
#: Prompt that the documents are read with.
_PROMPT = "free"
#: Tokens of an answer beyond the longest that is trained, before it counts as one without an end.
_SPARE_TOKENS = 200
_TAGS = re.compile(r"</?(?:table|tr|td)>")
_BANDS = (3.0, 4.0, 5.0, 6.0, 8.0, 11.0, float("inf"))


@dataclass(frozen=True)
class Reading:
    """A document that was read.

    :param density: printed characters per vision token that sees any, in ``mode``.
    :param pixels: height of the body's em in pixels of the view.
    :param measured: height of the print in pixels of the view, as ``auto`` measures it.
    :param error: edit distance over the length of the true text; white space counts as one space, tags of
        tables as none.
    :param ended: whether the output ended by itself.
    :param seconds: the page's share of the engine's working time.
    """

    name: str
    kind: str
    program: str
    family: str
    points: int
    mode: str
    density: float
    pixels: float
    measured: float
    characters: int
    edits: int
    error: float
    ended: bool
    seconds: float
    text: str


def pixels_of_print(points: float, size: tuple[int, int], mode: str) -> float:
    """The height of an em in pixels of the view that shows it largest.

    :param points: size of the print.
    :param size: width and height of the page's image in pixels.
    :param mode: resolution mode.
    """
    return points * _DPI / 72 * DEEPSEEK_OCR.resolution(mode).print_scale(*size)


def print_height(image: Image.Image) -> float | None:
    """The height of a page's print in its own pixels, as the renderer measures it; None without print."""
    density = measure_edge_density(image)
    return None if density is None else density.print_height


def chosen_mode(image: Image.Image, smallest: float) -> str:
    """The mode in which a task with the resolution ``auto`` reads a page first.

    :param image: the page.
    :param smallest: height of the smallest print that the checkpoint reads, in pixels of a view.
    """
    plan = RecognitionPlan(prompt=_PROMPT, resolution=AUTO, smallest_print=smallest)
    return plan.mode_for_print(image.size, print_height(image))


def read_documents(
    checkpoint: Path,
    directory: Path,
    *,
    mode: str = AUTO,
    scans: bool = False,
    documents: Sequence[Document] | None = None,
    device: str = "auto",
    batch_size: int | None = None,
) -> list[Reading]:
    """Typeset the documents where that is still to be done, and read them with the engine that users have.

    :param checkpoint: a checkpoint in the published layout.
    :param directory: of the PDF files.
    :param mode: a resolution mode, or ``auto``: for each page the mode of :func:`chosen_mode`.
    :param scans: read light scans of the pages, the same each time.
    :param documents: which; None for all.
    :param device: a torch device, or ``auto``.
    :param batch_size: pages written at once; None for the engine's choice.
    :raises RuntimeError: if a program is missing or fails.
    """
    documents = ordinary_documents() if documents is None else documents
    files = typeset(documents, directory)
    smallest = smallest_print(checkpoint, DEEPSEEK_OCR)
    pages = {each.number: page_of(each, files[each.number], scans) for each in documents}
    modes = {
        number: chosen_mode(page.image, smallest) if mode == AUTO else mode
        for number, page in pages.items()
    }
    engine = InProcessEngine(
        checkpoint,
        device=device,
        batch_size=batch_size,
        decoding=Decoding(max_output_length=max(map(_longest_answer, modes.values()), default=1)),
    )
    try:
        return sorted(_read(engine, documents, pages, modes), key=lambda reading: reading.name)
    finally:
        engine.close()


def _longest_answer(mode: str) -> int:
    return LONGEST_ANSWER[mode] + _SPARE_TOKENS


def _read(
    engine: InProcessEngine,
    documents: Sequence[Document],
    pages: dict[int, Page],
    modes: dict[int, str],
) -> Iterable[Reading]:
    by_number = {each.number: each for each in documents}
    requests = (
        PageRequest(
            key=number,
            image=pages[number].image.convert("RGB"),
            prompt=_PROMPT,
            resolution=modes[number],
            max_output_length=_longest_answer(modes[number]),
        )
        # Pages of one mode go through the vision tower together.
        for number in sorted(by_number, key=lambda number: modes[number])
    )
    for output in engine.read(requests):
        if output.error is not None:
            raise output.error
        number = int(str(output.key))
        document, page, mode = by_number[number], pages[number], modes[number]
        truth, read = plain(document.text), plain(output.text)
        edits = Levenshtein.distance(truth, read)
        resolution = DEEPSEEK_OCR.resolution(mode)
        measured = (print_height(page.image) or 0.0) * resolution.print_scale(*page.image.size)
        yield Reading(
            name=document.name,
            kind=document.kind,
            program=document.program,
            family=document.family,
            points=document.points,
            mode=mode,
            density=characters_per_token(page, resolution),
            pixels=pixels_of_print(document.points, page.image.size, mode),
            measured=measured,
            characters=len(truth),
            edits=edits,
            error=edits / len(truth),
            ended=output.finish_reason is FinishReason.STOP,
            seconds=output.seconds,
            text=output.text,
        )


def plain(text: str) -> str:
    """A text without tags of tables, white space as one space."""
    return " ".join(_TAGS.sub(" ", text).split())


def page_of(document: Document, path: Path, scans: bool) -> Page:
    """The page as the renderer gives it, with the places of its characters.

    :raises RuntimeError: if the document has more pages than one.
    """
    with pypdfium2.PdfDocument(path) as pdf:
        if len(pdf) != 1:
            raise RuntimeError(f"{path} has {len(pdf)} pages instead of one")
        scale = _DPI / 72
        image: Image.Image = pdf[0].render(scale=scale, grayscale=True).to_pil().convert("L")
        text, height = pdf[0].get_textpage(), pdf[0].get_height()
        glyphs = []
        for number in range(text.count_chars()):
            character = text.get_text_range(number, 1)
            if character.strip():
                left, bottom, right, top = text.get_charbox(number)
                middle = (left + right) / 2 * scale, (height - (top + bottom) / 2) * scale
                glyphs.append(Glyph(character[0], *middle))
    page = Page(image, document.kind, glyphs=glyphs)
    return light_scan(Random(f"scan {document.number}"), page) if scans else page


def as_tables(readings: Sequence[Reading]) -> str:
    """The errors as tables in Markdown: over all, and by each property."""
    tables = [_table("documents", {"all": list(readings)})]
    return "\n\n".join([*tables, *(_table(name, each) for name, each in groups_of(readings))])


def groups_of(readings: Sequence[Reading]) -> Iterable[tuple[str, dict[str, list[Reading]]]]:
    """The readings by the values of each property, in ascending order."""
    by: dict[str, Callable[[Reading], Any]] = {
        "mode": lambda each: each.mode,
        "kind": lambda each: each.kind,
        "points": lambda each: each.points,
        "program": lambda each: each.program,
        "characters per vision token, below": lambda each: next(
            band for band in _BANDS if each.density < band
        ),
    }
    for name, key in by.items():
        groups: dict[str, list[Reading]] = {}
        for each in sorted(readings, key=key):
            value = key(each)
            shown = f"{value:g}" if isinstance(value, float) else str(value)
            groups.setdefault(shown, []).append(each)
        yield name, groups


def _table(name: str, groups: dict[str, list[Reading]]) -> str:
    lines = [
        f"| {name} | pages | mean error | median | all characters | no end |",
        "|---|---|---|---|---|---|",
    ]
    for value, group in groups.items():
        errors = [each.error for each in group]
        whole = sum(each.edits for each in group) / sum(each.characters for each in group)
        endless = mean(not each.ended for each in group)
        cells = (f"{share:.1%}" for share in (mean(errors), median(errors), whole, endless))
        lines.append(f"| {value} | {len(group)} | {' | '.join(cells)} |")
    return "\n".join(lines)


def as_json(readings: Sequence[Reading]) -> list[dict[str, Any]]:
    """The readings as rows, figures rounded to four digits."""
    return [
        {
            name: round(value, 4) if isinstance(value, float) else value
            for name, value in asdict(reading).items()
        }
        for reading in readings
    ]
