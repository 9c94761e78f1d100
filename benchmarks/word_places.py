"""Words of born-digital pages that are laid on the ink of their paragraphs: how many are at their true place?

    python -m benchmarks.word_places [PDF ...]

The true boxes are PDFium's. Only boxes of whole paragraphs are given, with text without line breaks, as the
model gives it.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pypdfium2
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import getSampleStyleSheet
from reportlab.platypus import Paragraph, SimpleDocTemplate, Spacer

from airflow_deepseek_ocr.ocr.exports.exported import (
    ExportedPage,
    ExportedRegion,
    PixelBox,
    enclosing,
)
from airflow_deepseek_ocr.ocr.exports.word_places import place_words

#: Pixels for each unit of a page: 144 dpi, as pages are read.
_SCALE = 2
#: Distance of two lines of one paragraph, in heights of a line, at most.
_LINE_GAP = 0.9
#: Distance of two words of one line, in heights of a line, at most.
_WORD_GAP = 1.5


@dataclass(frozen=True)
class TrueWord:
    """A word, and its box in pixels."""

    text: str
    box: PixelBox


def main() -> None:
    """Measure the first page of each PDF, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="*", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        files = [_prose(Path(directory) / "prose.pdf"), *arguments.files]
        print("| page | words | at their place | median error in pt | ms |\n|---|---|---|---|---|")
        for path in files:
            measure(path)


def measure(path: Path) -> None:
    """Print the row of a PDF's first page."""
    document = pypdfium2.PdfDocument(path)
    page = document[0]
    image = page.render(scale=_SCALE).to_pil()
    paragraphs = _paragraphs(_words(page, image.height))
    regions = tuple(
        ExportedRegion(
            position=number,
            label="text",
            text=" ".join(word.text for word in words),
            boxes=(enclosing([word.box for word in words]),),
        )
        for number, words in enumerate(paragraphs, start=1)
    )
    exported = ExportedPage(
        number=1, status="ok", width=image.width, height=image.height, regions=regions
    )
    started = time.process_time()
    lines = place_words(exported, image)
    milliseconds = 1000 * (time.process_time() - started)
    found = right = 0
    errors: list[float] = []
    for number, words in enumerate(paragraphs, start=1):
        placed = [word for line in lines if line.region == number for word in line.words]
        found += len(words)
        for true, word in zip(words, placed, strict=False):
            x, y = (true.box[0] + true.box[2]) / 2, (true.box[1] + true.box[3]) / 2
            left, top, right_edge, bottom = word.box
            right += true.text == word.text and left <= x <= right_edge and top <= y <= bottom
            errors.append(abs((left + right_edge) / 2 - x) / _SCALE)
    print(
        f"| {path.name} | {found} | {right} ({right / found:.0%}) | {statistics.median(errors):.1f} | "
        f"{milliseconds:.0f} |"
    )


def _words(page: pypdfium2.PdfPage, height: int) -> list[TrueWord]:
    text = page.get_textpage()
    words: list[TrueWord] = []
    letters, boxes = "", list[PixelBox]()
    for number in range(text.count_chars() + 1):
        last = number == text.count_chars()
        letter = " " if last else text.get_text_range(number, 1)
        if letter.strip() and not last:
            left, bottom, right, top = (each * _SCALE for each in text.get_charbox(number))
            letters += letter
            boxes.append((round(left), round(height - top), round(right), round(height - bottom)))
        elif letters:
            words.append(TrueWord(letters, enclosing(boxes)))
            letters, boxes = "", []
    return words


def _paragraphs(words: Sequence[TrueWord]) -> list[list[TrueWord]]:
    """Return words that follow each other closely as paragraphs."""
    paragraphs: list[list[TrueWord]] = []
    for word in words:
        if paragraphs and _follows(paragraphs[-1], word):
            paragraphs[-1].append(word)
        else:
            paragraphs.append([word])
    return paragraphs


def _follows(paragraph: Sequence[TrueWord], word: TrueWord) -> bool:
    left, _, right, bottom = enclosing([each.box for each in paragraph])
    before, height = (
        paragraph[-1].box,
        max(1, word.box[3] - word.box[1], paragraph[-1].box[3] - paragraph[-1].box[1]),
    )
    if abs(before[3] - word.box[3]) < height / 2:
        return 0 <= word.box[0] - before[2] < _WORD_GAP * height
    below = word.box[1] - bottom
    return -height / 2 < below < _LINE_GAP * height and left - height < word.box[0] < right


def _prose(path: Path) -> Path:
    """Write a page of seven paragraphs."""
    sentences = (Path(__file__).parent / "pipeline" / "page.txt").read_text().split()
    style = getSampleStyleSheet()["BodyText"]
    story: list[Paragraph | Spacer] = []
    for number in range(7):
        words = sentences[70 * number : 70 * (number + 1)]
        story += [Paragraph(" ".join(words), style), Spacer(1, 24)]
    SimpleDocTemplate(str(path), pagesize=A4).build(story)
    return path


if __name__ == "__main__":
    main()
