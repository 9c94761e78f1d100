"""The pages that the prompts guide shows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from html import escape

from PIL import Image, ImageDraw, ImageFont

from airflow_deepseek_ocr.ocr.documents.base import Page
from airflow_deepseek_ocr.ocr.documents.open import open_document
from airflow_deepseek_ocr.ocr.prompts import PROMPTS
from benchmarks.full_size import ROOT

DOCUMENTS, TEXTS = ROOT / "demo" / "documents", ROOT / "demo" / "texts"
#: The chart: its axes' names, then its bars.
CHART = (("Month", "Pages"), ("Jan", "420"), ("Feb", "350"), ("Mar", "610"), ("Apr", "505"))
_CHART_SIZE = 640


@dataclass(frozen=True, kw_only=True)
class GuidePage:
    """A page of the guide.

    :param name: identifies it in the results, and names its picture.
    :param title: what it is, for the reader.
    :param load: returns the page.
    :param truth: returns its text; empty if only the page's text layer has it.
    :param find: a text on the page for ``locate:TEXT``.
    :param absent: a text that is not on it; empty to leave that out.
    """

    name: str
    title: str
    load: Callable[[], Page]
    truth: Callable[[], str]
    find: str
    absent: str = ""

    def prompts(self) -> list[str]:
        """Return every prompt, ``locate`` with the text to find."""
        return [
            f"{name}:{self.find}" if prompt.takes_text else name for name, prompt in PROMPTS.items()
        ]


def draw_chart() -> Page:
    """Return a bar chart with a printed value above each bar."""
    image = Image.new("RGB", (_CHART_SIZE, _CHART_SIZE), "white")
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(size=26)
    (across, upward), *bars = CHART
    left, right, top, bottom = 60, 600, 130, 540
    draw.text((left, 50), upward, font=font, fill="black")
    draw.line((left, top - 30, left, bottom), fill="black", width=2)
    draw.line((left, bottom, right, bottom), fill="black", width=2)
    step, most = (right - left) / len(bars), max(float(value) for _, value in bars)
    for position, (label, value) in enumerate(bars):
        x = left + (position + 0.5) * step
        y = bottom - (bottom - top) * float(value) / most
        draw.rectangle((x - step / 4, y, x + step / 4, bottom - 1), fill="#777777")
        draw.text((x, y - 6), value, font=font, fill="black", anchor="ms")
        draw.text((x, bottom + 34), label, font=font, fill="black", anchor="ms")
    draw.text(((left + right) / 2, bottom + 84), across, font=font, fill="black", anchor="ms")
    return Page(1, image)


def chart_text() -> str:
    """Return the chart's table as the model writes tables."""
    rows = ("".join(f"<td>{escape(cell)}</td>" for cell in row) for row in CHART)
    return "<table>" + "".join(f"<tr>{row}</tr>" for row in rows) + "</table>"


def _file(name: str) -> Callable[[], Page]:
    def load() -> Page:
        with open_document(DOCUMENTS / name) as document:
            return document.page(1)

    return load


def _text(name: str) -> Callable[[], str]:
    # A form feed separates the pages of a document.
    return lambda: (TEXTS / name).read_text("utf-8").partition("\f")[0]


PAGES: dict[str, GuidePage] = {
    page.name: page
    for page in (
        GuidePage(
            name="invoice",
            title="an invoice with a table (`demo/documents/invoice.pdf`)",
            load=_file("invoice.pdf"),
            truth=_text("invoice.pdf.txt"),
            find="Total: $124.70",
            absent="Signature",
        ),
        GuidePage(
            name="letter",
            title="a short letter (`demo/documents/letter.tiff`, page 1)",
            load=_file("letter.tiff"),
            truth=_text("letter.tiff.txt"),
            find="Dear reader",
        ),
        GuidePage(
            name="chart",
            title="a bar chart, drawn by the command",
            load=draw_chart,
            truth=chart_text,
            find="Month",
        ),
        GuidePage(
            name="form",
            title="a dense form (`demo/documents/form_dd0293.pdf`, page 1)",
            load=_file("form_dd0293.pdf"),
            truth=lambda: "",
            find="APPLICATION",
        ),
    )
}
