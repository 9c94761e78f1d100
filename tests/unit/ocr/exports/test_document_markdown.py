"""Markdown of a document with links to its figures."""

from __future__ import annotations

from airflow_deepseek_ocr.ocr.exports.document_markdown import document_markdown, figure_file
from tests.support.exported import TABLE, document, page, region, sample


def test_pages_are_named_and_figures_linked() -> None:
    assert document_markdown(sample()) == (
        f"<!-- page 1 -->\n\n# Order 7\n\n{TABLE}\n\n![image](figures/p0001-3.webp)\n\n"
        "<!-- page 2: not read (repetition) -->\n\n"
    )


def test_a_figure_with_text_is_linked_before_it_and_its_description_is_quoted() -> None:
    figure = region(2, "Fig. 1", (0, 0, 9, 9), label="figure", description="A [bar]\nchart")
    text = document_markdown(document(page(1, region(1, "See Fig."), figure)))
    assert text.endswith("See Fig.\n\n![A \\[bar\\] chart](figures/p0001-2.webp)\n\nFig. 1\n")


def test_figures_that_a_correction_removed_are_linked_at_the_end() -> None:
    figures = (region(position, "", (0, 0, 9, 9), label="image") for position in (1, 2))
    corrected = page(1, *figures, markdown="<!-- image -->\n\nonly one")
    text = document_markdown(document(corrected))
    assert [text.index(figure_file(corrected, each)) for each in corrected.figures] == sorted(
        text.index(figure_file(corrected, each)) for each in corrected.figures
    )
    assert text.endswith("only one\n\n![image](figures/p0001-2.webp)\n")
