"""Searchable PDFs of real files: are words where they were put, and is everything else as before?

    python -m benchmarks.searchable_pdfs DIRECTORY ... [--most N]

Three words are put at known places of the first page of each PDF, through the process that the exports use.
PDFium must find each there, draw the same pixels as before, and qpdf must find no new fault.
"""

from __future__ import annotations

import argparse
import ctypes
import io
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pikepdf
import pypdfium2
from pypdfium2 import raw

from airflow_deepseek_ocr.exceptions import DeepSeekOCRError
from airflow_deepseek_ocr.ocr.documents.limits import Limits
from airflow_deepseek_ocr.ocr.documents.page_selection import PageSelection
from airflow_deepseek_ocr.ocr.exports.pdf.invisible_text import PageText
from airflow_deepseek_ocr.ocr.rendering.pdf_maker import PdfMaker
from airflow_deepseek_ocr.ocr.rendering.renderer import Renderer

#: Words that no document has, with their places in shares of the page: left, top, right, bottom.
WORDS = {
    "xqneedlea": (0.05, 0.05, 0.30, 0.08),
    "xqneedleb": (0.40, 0.48, 0.70, 0.52),
    "xqneedlec": (0.60, 0.90, 0.95, 0.94),
}
#: Largest distance of a word's edge from its place, in shares of the page.
TOLERANCE = 0.02
#: Pixels of a page's shorter side, below which places are rounded by more than the tolerance.
_SMALLEST = 100
#: Pixels of the longer side of the pictures that are compared.
_SIDE = 600


def main() -> None:
    """Check the PDFs in directories, and print how many were right."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directories", nargs="+", type=Path)
    parser.add_argument("--most", type=int, default=1000)
    arguments = parser.parse_args()
    outcomes: Counter[str] = Counter()
    farthest = 0.0
    with Renderer(Limits()) as renderer, PdfMaker(Limits()) as maker:
        for path in list(_files(arguments.directories))[: arguments.most]:
            outcome, distance = check(path, renderer, maker)
            outcomes[outcome.partition(":")[0]] += 1
            farthest = max(farthest, distance)
            if outcome != "right":
                print(f"{path.name}: {outcome}", flush=True)
    for outcome, count in outcomes.most_common():
        print(f"{count:5} {outcome}")
    print(f"farthest edge: {farthest:.4f} of the page")


def check(path: Path, renderer: Renderer, maker: PdfMaker) -> tuple[str, float]:
    """Return what became of a file, and the largest distance of a word from its place."""
    try:
        with renderer.open(path, selection=PageSelection.parse("1")) as document:
            width, height = document.page(1).image.size
            pages = document.page_count
    except DeepSeekOCRError as error:
        return f"not rendered ({error.code})", 0.0
    if min(width, height) < _SMALLEST:
        return "too small to measure", 0.0
    boxes = {word: _pixels(place, width, height) for word, place in WORDS.items()}
    text = PageText(width, height, 0, tuple(((word, box),) for word, box in boxes.items()))
    try:
        after = b"".join(maker.make(path, {1: text}, pages))
    except DeepSeekOCRError as error:
        return f"left alone ({error.code}): {error}", 0.0
    return _compare(path.read_bytes(), after)


def _compare(before: bytes, after: bytes) -> tuple[str, float]:
    old, new = pypdfium2.PdfDocument(before), pypdfium2.PdfDocument(after)
    try:
        if len(old) != len(new):
            return f"pages: {len(old)} before, {len(new)} after", 0.0
        if old[0].get_size() != new[0].get_size():
            return "size: the page has another size", 0.0
        if _picture(old[0]) != _picture(new[0]):
            return "picture: the page looks different", 0.0
        distances = [_distance(new[0], word, place) for word, place in WORDS.items()]
    finally:
        old.close()
        new.close()
    if None in distances:
        return "words: not found", 0.0
    farthest = max(distance for distance in distances if distance is not None)
    if farthest > TOLERANCE:
        return f"places: {farthest:.3f} of the page away", farthest
    return _structure(before, after), farthest


def _structure(before: bytes, after: bytes) -> str:
    with pikepdf.open(io.BytesIO(before)) as old, pikepdf.open(io.BytesIO(after)) as new:
        faults = _faults(new) - _faults(old)
        if faults:
            return f"faults: {sorted(faults)[:2]}"
        images = [_images(each.pages[0]) for each in (old, new)]
    return "right" if images[0] == images[1] else "images: other bytes"


def _faults(pdf: pikepdf.Pdf) -> set[str]:
    """Return the faults that qpdf finds, without the places where it finds them."""
    try:
        return {fault.rpartition(": ")[2] for fault in pdf.check_pdf_syntax()}
    except ValueError as error:  # qpdf gives up on some damaged files
        return {str(error)}


def _images(page: Any) -> list[bytes]:
    """Return the samples of a page's images; the bytes of those that qpdf does not decode, such as JPEG."""
    resources = page.resources.get("/XObject", {})
    images = (resources[name] for name in sorted(resources.keys()))
    return [_content(each) for each in images if each.get("/Subtype") == pikepdf.Name.Image]


def _content(image: Any) -> bytes:
    try:
        return bytes(image.read_bytes())
    except pikepdf.PdfError:
        return bytes(image.read_raw_bytes())


def _picture(page: pypdfium2.PdfPage) -> bytes:
    return page.render(scale=_SIDE / max(page.get_size())).to_numpy().tobytes()


def _distance(page: pypdfium2.PdfPage, word: str, place: tuple[float, ...]) -> float | None:
    """Return how far a word is from its place, in shares of the page; None if it is not found."""
    text = page.get_textpage()
    found = text.search(word).get_next()
    if found is None:
        return None
    size = 10_000
    points = []
    for number in range(found[0], found[0] + found[1]):
        left, bottom, right, top = text.get_charbox(number, loose=True)
        for x, y in ((left, bottom), (right, top)):
            across, down = ctypes.c_int(), ctypes.c_int()
            raw.FPDF_PageToDevice(page.raw, 0, 0, size, size, 0, x, y, across, down)
            points.append((across.value / size, down.value / size))
    xs, ys = [x for x, _ in points], [y for _, y in points]
    edges = (min(xs), min(ys), max(xs), max(ys))
    return max(abs(edge - expected) for edge, expected in zip(edges, place, strict=True))


def _pixels(place: tuple[float, ...], width: int, height: int) -> tuple[int, int, int, int]:
    left, top, right, bottom = place
    return round(left * width), round(top * height), round(right * width), round(bottom * height)


def _files(directories: list[Path]) -> Iterator[Path]:
    for directory in directories:
        yield from sorted(directory.rglob("*.pdf"))


if __name__ == "__main__":
    main()
