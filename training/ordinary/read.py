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
from airflow_deepseek_ocr.ocr.decoding import Decoding
from airflow_deepseek_ocr.ocr.engine_protocol import FinishReason, PageRequest
from airflow_deepseek_ocr.ocr.families.deepseek_ocr import DEEPSEEK_OCR, TILE_SIZE
from training.curriculum import LONGEST_ANSWER
from training.degrade import light_scan
from training.density import characters_per_token
from training.ordinary.documents import Document, ordinary_documents
from training.ordinary.typeset import typeset
from training.page import Glyph, Page

#: As operators render pages by default.
_DPI = 200
#: Mode that is chosen by the size of a document's print.
CHOSEN = "chosen"
#: Modes that may be chosen, the cheapest first, and the height of an em that the checkpoint needs, in pixels
#: of the view (model card).
_MODES, _LEAST_PIXELS = ("small", "base", "gundam"), 18.5
_TAGS = re.compile(r"</?(?:table|tr|td)>")
_BANDS = (3.0, 4.0, 5.0, 6.0, 8.0, 11.0, float("inf"))


@dataclass(frozen=True)
class Reading:
    """A document that was read.

    :param density: printed characters per vision token that sees any, in ``mode``.
    :param pixels: height of the body's em in pixels of the view.
    :param error: edit distance over the length of the true text; white space counts as one space, tags of
        tables as none.
    :param ended: whether the output ended by itself.
    """

    name: str
    kind: str
    program: str
    family: str
    points: int
    mode: str
    density: float
    pixels: float
    characters: int
    edits: int
    error: float
    ended: bool
    text: str


def pixels_of_print(points: float, size: tuple[float, float], mode: str) -> float:
    """The height of an em in pixels of the view that shows it largest.

    :param points: size of the print.
    :param size: width and height of the paper in points.
    :param mode: resolution mode.
    """
    resolution, (width, height) = DEEPSEEK_OCR.resolution(mode), size
    if resolution.tiles:
        columns, rows = resolution.grid(round(width), round(height))
        return points * TILE_SIZE * min(columns / width, rows / height)
    return points * resolution.size / max(width, height)


def chosen_mode(document: Document) -> str:
    """The cheapest mode that shows a document's print large enough, or the finest."""
    for mode in _MODES:
        if pixels_of_print(document.points, document.size, mode) >= _LEAST_PIXELS:
            return mode
    return _MODES[-1]


def read_documents(
    checkpoint: Path,
    directory: Path,
    *,
    mode: str,
    scans: bool = False,
    documents: Sequence[Document] | None = None,
    device: str = "auto",
    batch_size: int | None = None,
) -> list[Reading]:
    """Typeset the documents where that is still to be done, and read them with the engine that users have.

    :param checkpoint: a checkpoint in the published layout.
    :param directory: of the PDF files.
    :param mode: a resolution mode, or ``chosen``.
    :param scans: read light scans of the pages, the same each time.
    :param documents: which; None for all.
    :param device: a torch device, or ``auto``.
    :param batch_size: pages written at once; None for the engine's choice.
    :raises RuntimeError: if a program is missing or fails.
    """
    documents = ordinary_documents() if documents is None else documents
    files = typeset(documents, directory)
    by_mode: dict[str, list[Document]] = {}
    for each in documents:
        by_mode.setdefault(chosen_mode(each) if mode == CHOSEN else mode, []).append(each)
    readings: list[Reading] = []
    for own_mode, own in by_mode.items():
        pages = {each.number: _page(each, files[each.number], scans) for each in own}
        engine = InProcessEngine(
            checkpoint,
            device=device,
            batch_size=batch_size,
            decoding=Decoding(max_output_length=LONGEST_ANSWER[own_mode] + 200),
        )
        try:
            readings += _read(engine, own_mode, own, pages)
        finally:
            engine.close()
    return sorted(readings, key=lambda reading: reading.name)


def _read(
    engine: InProcessEngine, mode: str, documents: list[Document], pages: dict[int, Page]
) -> Iterable[Reading]:
    by_number = {each.number: each for each in documents}
    requests = (
        PageRequest(
            key=each.number,
            image=pages[each.number].image.convert("RGB"),
            prompt="free",
            resolution=mode,
        )
        for each in documents
    )
    for output in engine.read(requests):
        if output.error is not None:
            raise output.error
        document = by_number[int(str(output.key))]
        truth, read = plain(document.text), plain(output.text)
        edits = Levenshtein.distance(truth, read)
        yield Reading(
            name=document.name,
            kind=document.kind,
            program=document.program,
            family=document.family,
            points=document.points,
            mode=mode,
            density=characters_per_token(pages[document.number], DEEPSEEK_OCR.resolution(mode)),
            pixels=pixels_of_print(document.points, document.size, mode),
            characters=len(truth),
            edits=edits,
            error=edits / len(truth),
            ended=output.finish_reason is FinishReason.STOP,
            text=output.text,
        )


def plain(text: str) -> str:
    """A text without tags of tables, white space as one space."""
    return " ".join(_TAGS.sub(" ", text).split())


def _page(document: Document, path: Path, scans: bool) -> Page:
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
    by: dict[str, Callable[[Reading], Any]] = {
        "mode": lambda each: each.mode,
        "kind": lambda each: each.kind,
        "points": lambda each: each.points,
        "program": lambda each: each.program,
        "characters per vision token, below": lambda each: next(
            band for band in _BANDS if each.density < band
        ),
    }
    tables = [_table("documents", {"all": list(readings)})]
    for name, key in by.items():
        groups: dict[str, list[Reading]] = {}
        for each in sorted(readings, key=key):
            value = key(each)
            groups.setdefault(f"{value:g}" if isinstance(value, float) else str(value), []).append(
                each
            )
        tables.append(_table(name, groups))
    return "\n\n".join(tables)


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
