"""Text that a page does not show, by each cause; shown text of unusual kinds stays."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas

from airflow_deepseek_ocr.ocr.documents.open import open_document
from airflow_deepseek_ocr.ocr.documents.text_layer import TextLayer
from airflow_deepseek_ocr.ocr.quality.text_layer_checks import LayerFault, find_fault
from tests.corpus.documents.raw_pdf import assemble, one_page, page, stream
from tests.support.fixtures.made_documents import write

SHOWN = ["The order of May has been sent.", "It comes by rail.", "Nothing is to be paid."]
HIDDEN = "secret words"


def read(path: Path, dpi: int = 144) -> TextLayer:
    with open_document(path, dpi=dpi) as document:
        layer = document.page(1).text_layer
    assert layer is not None
    return layer


def shown_and(path: Path, draw: Callable[[Canvas], None], **options: object) -> TextLayer:
    """Read a page of 400 x 300 points with the shown lines and whatever ``draw`` draws after them."""
    canvas = Canvas(str(path / "a.pdf"), pagesize=(400, 300), **options)  # type: ignore[arg-type]
    canvas.setFont("Helvetica", 11)
    for number, line in enumerate(SHOWN):
        canvas.drawString(40, 250 - 20 * number, line)
    draw(canvas)
    canvas.save()
    return read(path / "a.pdf")


def white(canvas: Canvas) -> None:
    canvas.setFillColorRGB(1, 1, 1)
    canvas.drawString(40, 100, HIDDEN)


def nearly_white(canvas: Canvas) -> None:
    canvas.setFillColorRGB(0.98, 0.98, 0.99)
    canvas.drawString(40, 100, HIDDEN)


def colour_of_the_background(canvas: Canvas) -> None:
    canvas.setFillColorRGB(0.2, 0.3, 0.7)
    canvas.rect(30, 80, 200, 50, fill=1, stroke=0)
    canvas.drawString(40, 100, HIDDEN)


def render_mode(mode: int) -> Callable[[Canvas], None]:
    def draw(canvas: Canvas) -> None:
        text = canvas.beginText(40, 100)
        text.setTextRenderMode(mode)
        text.textOut(HIDDEN)
        canvas.drawText(text)

    return draw


def transparent(canvas: Canvas) -> None:
    canvas.setFillAlpha(0)
    canvas.drawString(40, 100, HIDDEN)


def clipped(canvas: Canvas) -> None:
    path = canvas.beginPath()
    path.rect(0, 0, 20, 20)
    canvas.clipPath(path, stroke=0)
    canvas.drawString(40, 100, HIDDEN)


def covered_by_a_rectangle(canvas: Canvas) -> None:
    canvas.drawString(40, 100, HIDDEN)
    canvas.setFillColorRGB(0, 0, 0)
    canvas.rect(30, 80, 200, 50, fill=1, stroke=0)


def covered_by_a_picture(canvas: Canvas) -> None:
    canvas.drawString(40, 100, HIDDEN)
    picture = Image.effect_noise((200, 50), 90).convert("RGB")
    canvas.drawImage(ImageReader(picture), 30, 80)


def in_a_form(canvas: Canvas) -> None:
    canvas.beginForm("hidden")
    canvas.setFillColorRGB(1, 1, 1)
    canvas.drawString(40, 100, HIDDEN)
    canvas.endForm()
    canvas.doForm("hidden")


def outside_of_the_page(canvas: Canvas) -> None:
    canvas.drawString(40, 500, HIDDEN)


def outside_of_the_crop_box(canvas: Canvas) -> None:
    canvas.setCropBox((0, 150, 400, 300))
    canvas.drawString(40, 100, HIDDEN)


@pytest.mark.parametrize(
    "draw",
    [
        white,
        nearly_white,
        colour_of_the_background,
        pytest.param(render_mode(3), id="mode 3"),
        pytest.param(render_mode(7), id="mode 7"),
        transparent,
        clipped,
        covered_by_a_rectangle,
        covered_by_a_picture,
        in_a_form,
        outside_of_the_page,
        outside_of_the_crop_box,
    ],
)
def test_text_that_the_page_does_not_show_is_not_its_text(
    tmp_path: Path, draw: Callable[[Canvas], None]
) -> None:
    layer = shown_and(tmp_path, draw)
    assert layer.text.split("\n") == SHOWN
    assert [line.text for line in layer.lines] == SHOWN
    assert find_fault(layer) is None


def grey(canvas: Canvas) -> None:
    canvas.setFillColorRGB(0.85, 0.85, 0.85)
    canvas.drawString(40, 100, HIDDEN)


def on_a_picture(canvas: Canvas) -> None:
    picture = Image.effect_noise((200, 50), 90).convert("RGB")
    canvas.drawImage(ImageReader(picture), 30, 80)
    canvas.drawString(40, 100, HIDDEN)


def white_on_black(canvas: Canvas) -> None:
    canvas.rect(30, 80, 200, 50, fill=1, stroke=0)
    canvas.setFillColorRGB(1, 1, 1)
    canvas.drawString(40, 100, HIDDEN)


def outlined(canvas: Canvas) -> None:
    render_mode(1)(canvas)


def tiny(canvas: Canvas) -> None:
    canvas.setFont("Helvetica", 4)
    canvas.drawString(40, 100, HIDDEN)


def turned(canvas: Canvas) -> None:
    canvas.translate(300, 50)
    canvas.rotate(90)
    canvas.drawString(0, 0, HIDDEN)


def letter_by_letter(canvas: Canvas) -> None:
    for number, letter in enumerate(HIDDEN):
        canvas.drawString(40 + 7 * number, 100, letter)


@pytest.mark.parametrize(
    "draw", [grey, on_a_picture, white_on_black, outlined, tiny, turned, letter_by_letter]
)
def test_shown_text_stays(tmp_path: Path, draw: Callable[[Canvas], None]) -> None:
    layer = shown_and(tmp_path, draw)
    assert "".join(layer.text.split()).endswith("".join(HIDDEN.split()))
    assert layer.invisible == 0


def test_bold_made_by_printing_twice_stays(tmp_path: Path) -> None:
    layer = shown_and(tmp_path, lambda canvas: canvas.drawString(40.3, 250, SHOWN[0]))
    assert layer.text.startswith(SHOWN[0])
    assert find_fault(layer) is None


def test_a_page_of_which_most_is_cut_away_keeps_the_rest(tmp_path: Path) -> None:
    def draw(canvas: Canvas) -> None:
        for y in range(20, 140, 10):
            canvas.drawString(40, y, HIDDEN)
        canvas.setCropBox((0, 150, 400, 300))

    layer = shown_and(tmp_path, draw)
    assert (layer.text.split("\n"), layer.invisible) == (SHOWN, 0)


def languages(*, shown: int, shift: int = 0) -> bytes:
    """Return a PDF with the same page in three languages, of which one is switched on."""
    texts = (b"Good morning, dear reader", b"Guten Morgen, werte Leser", b"Bonjour, cher lecteur")
    contents = b"".join(
        b"/OC /L%d BDC BT /F 14 Tf 20 %d Td (%s) Tj ET EMC\n" % (n, 150 - n * shift, text)
        for n, text in enumerate(texts)
    )
    off = b" ".join(b"%d 0 R" % (10 + n) for n in range(3) if n != shown)
    resources = (
        b"<< /Font << /F << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >> "
        b"/Properties << /L0 10 0 R /L1 11 0 R /L2 12 0 R >> >>"
    )
    objects = one_page(
        catalog=b"<< /Type /Catalog /Pages 2 0 R /OCProperties << /OCGs [10 0 R 11 0 R 12 0 R] "
        b"/D << /OFF [%s] >> >> >>" % off,
        page=page(resources=resources),
        contents=stream(contents),
    )
    groups = {10 + n: b"<< /Type /OCG /Name (L%d) >>" % n for n in range(3)}
    return assemble(objects | groups)


@pytest.mark.parametrize("shift", [0, 30], ids=["at one place", "one below the other"])
@pytest.mark.parametrize("shown", [0, 1, 2])
def test_layers_that_are_switched_off_are_not_the_pages_text(
    tmp_path: Path, shown: int, shift: int
) -> None:
    layer = read(write(tmp_path, "a.pdf", languages(shown=shown, shift=shift)))
    text = ("Good morning, dear reader", "Guten Morgen, werte Leser", "Bonjour, cher lecteur")
    assert layer.text == text[shown]
    # Two thirds of the text are another text: the rest is not the measure of the model's output.
    assert find_fault(layer) is LayerFault.INVISIBLE


def test_large_pages_are_compared_at_a_smaller_scale(tmp_path: Path) -> None:
    canvas = Canvas(str(tmp_path / "a.pdf"), pagesize=(1600, 1600))
    canvas.setFont("Helvetica", 10)
    canvas.drawString(40, 1500, "printed words of a plan")
    canvas.setFillColorRGB(1, 1, 1)
    canvas.drawString(40, 100, "none")
    canvas.save()
    layer = read(tmp_path / "a.pdf", dpi=200)
    assert layer.text == "printed words of a plan"
