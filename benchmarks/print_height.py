"""Character error against the height of print, from the recorded outputs of the small checkpoint.

    python -m benchmarks.print_height

prints the table of ``docs/measurements/print-height.md``. The pages are drawn again and their print is
measured; nothing is recognised.
"""

from __future__ import annotations

import itertools
import json
from statistics import fmean, median

from airflow_deepseek_ocr.ocr.edge_density import measure_edge_density
from airflow_deepseek_ocr.ocr.families.deepseek_ocr import DEEPSEEK_OCR
from tests.corpus.model_outputs.measure import ORDINARY
from tests.corpus.model_outputs.ordinary import large_pages, medium_pages, ordinary_pages

#: Bounds of the table's rows, in pixels of a view.
_BOUNDS = (0, 5, 7, 9, 11, 12, 13, 14, 15, 20)
#: Pages of each kind in the recorded set, as ``record_ordinary`` draws them.
_SMALL, _LARGE, _MEDIUM = 48, 48, 36
#: Character errors from which an output is gibberish, and below which it is good.
_GIBBERISH, _GOOD = 0.3, 0.01


def main() -> None:
    """Print the table."""
    drawn = [*ordinary_pages(_SMALL, 0), *large_pages(_LARGE, 0), *medium_pages(_MEDIUM, 0)]
    images = {page.name: page.image for page in drawn}
    points: list[tuple[float, float]] = []
    for line in ORDINARY.read_text(encoding="utf-8").splitlines():
        record = json.loads(line)
        image = images[record["source"]]
        density = measure_edge_density(image)
        if density is None or density.print_height is None:
            raise ValueError(f"{record['source']} has no print")
        scale = DEEPSEEK_OCR.resolution(record["mode"]).print_scale(*image.size)
        points.append((density.print_height * scale, record["error"]))
    print("| print, pixels | pages | median error | mean error | under 1 % | 30 % and more |")
    print("|---|---|---|---|---|---|")
    for low, high in itertools.pairwise(_BOUNDS):
        errors = [error for height, error in points if low <= height < high]
        if errors:
            good, bad = (
                (error < _GOOD for error in errors),
                (error >= _GIBBERISH for error in errors),
            )
            print(
                f"| {low} to {high} | {len(errors)} | {median(errors):.1%} | {fmean(errors):.1%} "
                f"| {sum(good)} | {sum(bad)} |"
            )


if __name__ == "__main__":
    main()
