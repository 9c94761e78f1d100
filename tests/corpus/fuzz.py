"""Generated texts through parser, quality checks, exporters and the comparison with a text layer.

    python -m tests.corpus.fuzz --texts 1000000

prints the number of texts without an exception, and the text of the first with one.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
from hypothesis import strategies as st
from PIL import Image

from airflow_deepseek_ocr.ocr.documents.text_layer import TextLayer
from airflow_deepseek_ocr.ocr.edge_density import MAP_SIZE, EdgeDensity
from airflow_deepseek_ocr.ocr.engine_protocol import FinishReason
from airflow_deepseek_ocr.ocr.exports.overlay import draw_regions
from airflow_deepseek_ocr.ocr.exports.page_json import page_to_dict
from airflow_deepseek_ocr.ocr.markup.grounding import parse
from airflow_deepseek_ocr.ocr.markup.markdown import to_markdown
from airflow_deepseek_ocr.ocr.prompts import get_prompt
from airflow_deepseek_ocr.ocr.quality.checks import QualityInput, check_quality
from airflow_deepseek_ocr.ocr.quality.flags import Flag
from airflow_deepseek_ocr.ocr.quality.report import report_of
from airflow_deepseek_ocr.ocr.quality.text_layer_checks import (
    find_fault,
    measure_agreement,
    page_scripts,
)
from airflow_deepseek_ocr.ocr.quality.thresholds import DEFAULT_MIN_SCORE
from airflow_deepseek_ocr.ocr.recognition.slicing import PageSlice, join_slices
from airflow_deepseek_ocr.ocr.results import PageResult, PageStatus
from tests.corpus.model_outputs.measure import load

#: Texts in the default tests, and seconds that a text of a page's length may take at most.
SMALL, SLOWEST_S = 150, 2.0
#: The image for the overlay, and the regions on it at most: drawing takes longer than all the rest.
_UPPER_HALF = EdgeDensity(
    text_edges=90_000,
    edges=99_000,
    edge_map=np.repeat([[20], [0]], MAP_SIZE // 2, 0).repeat(MAP_SIZE, 1),
)
_PAPER, _MOST_DRAWN = Image.new("RGB", (640, 480)), 20

PROMPTS = ("free", "markdown", "ocr", "locate:Total", "figure", "describe")
#: Pieces of the output format, and pieces that break it.
PIECES = (
    "<|ref|>", "<|/ref|>", "<|det|>", "<|/det|>", "<|grounding|>", "<|", "|>", "<", ">", "[[", "]]",
    "[[1, 2, 3, 4]]", "[[-1, 0, 1000, 99999]]", "[[9, 9, 1, 1], [0, 0, 0, 0]]", "[[1e9, 2, 3, 4]]",
    "[[१, २, ३, ४]]", "<table>", "</table>", "<tr>", "</tr>", "<td>", "</td>", "<th>",
    '<td colspan="2">', '<td rowspan="999">', "<td colspan=000>", "<thead>", r"\(", r"\)", r"\[", r"\]",
    r"\begin{pmatrix}", r"\end{pmatrix}", r"\\[2pt]", "\\", "title", "text", "image", "# ", "the program of ",
    "Total 5.00", "\n", "\r\n", " ", "\t", "\0", "\ufffd", "\ue000", "\ud800", "\U0010ffff", "\u2028",
    "\u0301", "合同自双方", "договор", "Η σύμβαση", "العقد", "한글", "ﬁ", "İ", "ß",
    ". . . . ", "____", "1", "-",
)  # fmt: skip

_pieces = st.one_of(st.sampled_from(PIECES), st.text(max_size=12))
_loops = st.tuples(_pieces, st.integers(1, 200)).map(lambda pair: pair[0] * pair[1])
_texts = st.lists(st.one_of(_pieces, _loops), max_size=40).map("".join)


def outputs() -> st.SearchStrategy[dict[str, Any]]:
    """Texts with the facts that the quality checks use."""
    return st.fixed_dictionaries(
        {
            "text": _texts,
            "prompt": st.sampled_from(PROMPTS),
            "finish_reason": st.sampled_from([*FinishReason, None]),
            "vision_tokens": st.integers(0, 1300),
            "text_tokens": st.integers(0, 9000),
            "edge_density": st.one_of(
                st.none(),
                st.builds(
                    EdgeDensity, text_edges=st.integers(0, 10**6), edges=st.integers(0, 10**7)
                ),
            ),
            "layer": st.one_of(st.none(), _texts),
        }
    )


def check(output: dict[str, Any]) -> frozenset[Flag]:
    """Process an output as a page's, and check the invariants that hold for any text.

    :return: the flags.
    :raises AssertionError: an invariant does not hold.
    """
    text, layer_text = output["text"], output["layer"]
    in_ref = get_prompt(output["prompt"]).text_in_ref
    regions = parse(text, text_in_ref=in_ref, width=640, height=480)
    markdown = to_markdown(regions, text_in_ref=in_ref)
    layer = None if layer_text is None else TextLayer(layer_text)
    agreement = measure_agreement(layer.text, markdown) if layer else None
    if layer is not None and agreement is not None:
        find_fault(layer, 100)
        for share in vars(agreement).values():
            assert share >= 0
        assert agreement.ordered <= agreement.unordered + 1e-9 <= 1 + 2e-9
    facts = {key: value for key, value in output.items() if key != "layer"}
    scripts = page_scripts(layer) if layer else None
    found = check_quality(
        QualityInput(**facts, agreement=agreement, scripts=scripts, regions=regions)
    )
    again = check_quality(QualityInput(**facts, agreement=agreement, scripts=scripts))
    assert found == again, "the report is the same for parsed regions"
    assert 0 <= found.score <= 1
    assert found == report_of(set(found.flags))
    assert found.score >= DEFAULT_MIN_SCORE or found.worst_flag is not None
    for region in regions:
        for box in region.boxes:
            x1, y1, x2, y2 = box.pixels
            assert 0 <= min(x1, x2) <= max(x1, x2) <= 640
            assert 0 <= min(y1, y2) <= max(y1, y2) <= 480
    slices = [PageSlice(image=None, top=top, height=0.5) for top in (0.0, 0.5)]  # type: ignore[arg-type]
    assert len(
        parse(join_slices([text, text], slices).text, text_in_ref=in_ref, width=9, height=9)
    ) >= len(regions)
    page = PageResult(
        number=1,
        status=PageStatus.OK,
        resolution="base",
        text=text,
        markdown=markdown,
        regions=regions,
    )
    json.dumps(page_to_dict("a", page))
    draw_regions(_PAPER, regions[:_MOST_DRAWN])
    return frozenset(found.flags)


def _random_output(rng: random.Random, recorded: list[dict[str, Any]]) -> dict[str, Any]:
    """Return pieces, characters and recorded texts, cut and mixed; much faster than hypothesis."""
    parts = []
    for _ in range(rng.randint(0, 20)):
        kind = rng.random()
        if kind < 0.55:
            parts.append(rng.choice(PIECES) * (1 if rng.random() < 0.9 else rng.randint(2, 60)))
        elif kind < 0.75:
            parts.append("".join(chr(rng.randrange(0x110000)) for _ in range(rng.randint(1, 6))))
        else:
            text = rng.choice(recorded)["text"]
            start = rng.randint(0, len(text))
            parts.append(text[start : start + rng.randint(0, 200)])
    return {
        "text": "".join(parts),
        "prompt": rng.choice(PROMPTS),
        "finish_reason": rng.choice([*FinishReason, None]),
        "vision_tokens": rng.choice((0, 73, 111, 273)),
        "text_tokens": rng.randint(0, 9000),
        "edge_density": rng.choice(
            (
                None,
                EdgeDensity(text_edges=0, edges=0),
                EdgeDensity(text_edges=0, edges=900),
                EdgeDensity(text_edges=90_000, edges=99_000),
                _UPPER_HALF,
            )
        ),
        "layer": rng.choice((None, None, rng.choice(recorded)["text"][:300], "".join(parts[:3]))),
    }


def _generated(texts: int, seed: int) -> Iterator[dict[str, Any]]:
    recorded = list(load())
    for number in range(texts):
        yield _random_output(random.Random(f"{seed}/{number}"), recorded)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--texts", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    flags: Counter[Flag] = Counter()
    started = time.monotonic()
    for number, output in enumerate(_generated(options.texts, options.seed), start=1):
        began = time.monotonic()
        try:
            flags.update(check(output))
            if time.monotonic() - began > SLOWEST_S + len(output["text"]) / 10_000:
                raise TimeoutError("the text took too long")
        except Exception:
            print(f"text {number} of seed {options.seed}: {output!r}", file=sys.stderr)
            raise
        if number % 100_000 == 0:
            print(f"{number:,} texts, {time.monotonic() - started:.0f} s", flush=True)
    print(f"{options.texts:,} texts of seed {options.seed} without an exception; flags:")
    for flag in Flag:
        print(f"  {flag}: {flags[flag]:,}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
