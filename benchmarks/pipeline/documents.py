"""Documents of the benchmark: a long PDF, PDFs of one page, and colour scans."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from reportlab.lib.pagesizes import A4
from reportlab.pdfgen.canvas import Canvas

# Not those of benchmarks.workload, which imports torch.
_WORDS = """
account address amount balance before building business company country customer date delivery
document evening example family government increase interest invoice letter market material meeting
member month morning number office order people percent period price problem product question
reason receipt result school second service social street system table through total village water
"""
#: A4 at 200 dpi in pixels, as office scanners send it.
SCAN_SIZE = (1654, 2339)
#: Different contents of the scans; more documents are copies.
_CONTENTS = 8
#: Standard deviation of a scanner's noise, of 255, and colour of the paper.
_GRAIN, _PAPER = 4.0, (250, 247, 240)


def long_pdf(path: Path, pages: int) -> Path:
    """Write a PDF of dense text pages with a text layer."""
    canvas, chance = Canvas(str(path), pagesize=A4), random.Random(0)
    for number in range(pages):
        canvas.setFont("Helvetica", 10)
        for row in range(55):
            line = " ".join(chance.choices(_WORDS.split(), k=13))
            canvas.drawString(50, 790 - 13 * row, f"{number + 1}.{row + 1} {line}")
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
    page, chance = Image.new("RGB", SCAN_SIZE, _PAPER), random.Random(seed)
    pen = ImageDraw.Draw(page)
    for row in range(60):
        pen.text(
            (100, 80 + 36 * row),
            " ".join(chance.choices(_WORDS.split(), k=12)),
            (30, 30, 60),
            font_size=26,
        )
    pen.ellipse((1200, 1900, 1500, 2200), outline=(160, 30, 30), width=9)
    grain = np.random.default_rng(seed).normal(0, _GRAIN, (SCAN_SIZE[1], SCAN_SIZE[0], 3))
    return Image.fromarray((np.asarray(page) + grain).clip(0, 255).astype(np.uint8))
