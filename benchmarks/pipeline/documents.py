"""Documents of the benchmark: a long PDF, PDFs of one page, and colour scans."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from reportlab.lib.pagesizes import A4
from reportlab.pdfgen.canvas import Canvas

#: Text of each page: 55 lines. The engine of the benchmark gives it as output.
LINES = Path(__file__).with_name("page.txt").read_text().splitlines()
#: A4 at 200 dpi in pixels, as office scanners send it.
SCAN_SIZE = (1654, 2339)
#: Different contents of the scans; more documents are copies.
_CONTENTS = 8
#: Standard deviation of a scanner's noise, of 255, and colour of the paper.
_GRAIN, _PAPER = 4.0, (250, 247, 240)


def long_pdf(path: Path, pages: int) -> Path:
    """Write a PDF of dense text pages with a text layer."""
    canvas = Canvas(str(path), pagesize=A4)
    for _ in range(pages):
        canvas.setFont("Helvetica", 10)
        for row, line in enumerate(LINES):
            canvas.drawString(50, 790 - 13 * row, line)
        canvas.showPage()
    canvas.save()
    return path


def short_pdfs(directory: Path, count: int) -> list[Path]:
    """Write PDFs of one page, each another."""
    directory.mkdir(parents=True, exist_ok=True)
    paths = [directory / f"letter-{number:05}.pdf" for number in range(count)]
    for number, path in enumerate(paths):
        if number < _CONTENTS:
            long_pdf(path, 1)
        else:
            shutil.copy(paths[number % _CONTENTS], path)
    return paths


def colour_scans(directory: Path, count: int) -> list[Path]:
    """Write scans in colour as JPEG: A4 at 200 dpi, with the grain of a scanner."""
    directory.mkdir(parents=True, exist_ok=True)
    paths = [directory / f"scan-{number:05}.jpg" for number in range(count)]
    for number, path in enumerate(paths):
        if number < _CONTENTS:
            _scan(number).save(path, quality=85, dpi=(200, 200))
        else:
            shutil.copy(paths[number % _CONTENTS], path)
    return paths


def _scan(seed: int) -> Image.Image:
    page = Image.new("RGB", SCAN_SIZE, _PAPER)
    pen = ImageDraw.Draw(page)
    for row, line in enumerate(LINES):
        pen.text((100, 80 + 39 * row), line, (30, 30, 60), font_size=30)
    pen.ellipse((1200, 1900, 1500, 2200), outline=(160, 30, 30), width=9)
    grain = np.random.default_rng(seed).normal(0, _GRAIN, (SCAN_SIZE[1], SCAN_SIZE[0], 3))
    return Image.fromarray((np.asarray(page) + grain).clip(0, 255).astype(np.uint8))
