"""Hallucinations that the flag ``text_off_print`` finds on generated pages.

    python -m tests.corpus.model_outputs.text_off_print --assets .training/assets --pages 300

Each page is checked with its right text, and with the text of the next page: fluent, well-formed, and not on
the page.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from airflow_deepseek_ocr.ocr.edge_density import measure_edge_density
from airflow_deepseek_ocr.ocr.quality.checks import QualityInput, check_quality
from airflow_deepseek_ocr.ocr.quality.flags import Flag
from training.batches import BatchMaker
from training.evaluate import EvaluationSet, held_out_pages
from training.targets import target


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tests.corpus.model_outputs.text_off_print", description=__doc__
    )
    parser.add_argument("--assets", type=Path, required=True)
    parser.add_argument("--pages", type=int, default=300, help="of each mode")
    options = parser.parse_args()
    maker = BatchMaker(options.assets, "heldout")
    for mode in ("small", "base"):
        drawn = held_out_pages(maker, EvaluationSet(mode, "markdown", options.pages))
        pages = [(measure_edge_density(page.image), target(page, "markdown")) for page, _ in drawn]
        texts = [text for _, text in pages]

        def found(texts: list[str], pages: list = pages) -> int:
            reports = (
                check_quality(QualityInput(text=text, prompt="markdown", edge_density=edge_density))
                for (edge_density, _), text in zip(pages, texts, strict=True)
            )
            return sum(Flag.TEXT_OFF_PRINT in report.flags for report in reports)

        others = texts[1:] + texts[:1]
        print(
            f"{mode}: {found(texts)} false alarms on {len(texts)} pages, "
            f"{found(others)} hallucinations flagged"
        )


if __name__ == "__main__":
    main()
