"""How long a page takes in each mode: until its first token, and for each further one.

    python -m benchmarks.prompts.times --model /tmp/full-size --device cuda --together 64

The prompt changes the number of tokens, not the time of one. So a page's time is the seconds to its
first token plus its tokens divided by the rate, for every prompt. A missing directory is created, with
random weights of the published size: they are as fast as the real ones.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from airflow_deepseek_ocr.engines.in_process.engine import InProcessEngine, resolve_device
from airflow_deepseek_ocr.ocr.decoding import Decoding
from airflow_deepseek_ocr.ocr.engine_protocol import PageRequest
from airflow_deepseek_ocr.ocr.families.deepseek_ocr import DEEPSEEK_OCR
from benchmarks.full_size import ROOT, build
from benchmarks.prompts.results import Results
from benchmarks.prompts.setting import setting
from benchmarks.workload import PAGE, draw_pages

#: Tokens of a page that is read alone, and of pages that are read together.
TOKENS = 256
#: Times that a page is read; the median counts.
REPEATS = 5


def main(arguments: list[str] | None = None) -> int:
    """Measure the times of a model, and add them to the results; the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.prompts.times",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--model", type=Path, default=ROOT / "models" / "deepseek-ocr-tiny")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--dtype", default="auto")
    parser.add_argument(
        "--modes", default=",".join(DEEPSEEK_OCR.resolutions), help="separated by commas"
    )
    parser.add_argument("--together", type=int, default=0, help="pages timed at once; 0: none")
    parser.add_argument("--root", type=Path, default=ROOT, help="write below this directory")
    options = parser.parse_args(arguments)
    results = Results(options.root.resolve())
    directory = build(options.model, resolve_device(options.device))
    engine = InProcessEngine(
        directory,
        device=options.device,
        dtype=options.dtype,
        decoding=Decoding(max_output_length=TOKENS, forced=True),
    )
    facts = setting(engine, str(options.model), "", directory)
    (page,) = draw_pages(1)
    rows = measure(engine, page, options.together, options.modes.split(","))
    engine.close()
    results.save_times({**facts, "page": list(PAGE), "tokens": TOKENS, "rows": rows})
    print(f"Wrote {results.times_file}; now run: python -m benchmarks.prompts --render-only")
    return 0


def measure(
    engine: InProcessEngine,
    page: Image.Image,
    together: int,
    modes: Sequence[str] = DEEPSEEK_OCR.modes,
) -> list[dict[str, Any]]:
    """Return a row for each mode.

    :param engine: the model; its decoding must be forced, so that each page has the requested length.
    :param page: the page that is read again and again.
    :param together: pages that are read at the same time; 0 leaves that out.
    :param modes: resolution modes.
    """
    if not engine.decoding.forced:
        raise ValueError("the engine must ignore the end token: Decoding(forced=True)")
    rows = []
    for mode in modes:
        # Uncounted, at full length: steps are compiled for each length of the cache.
        _seconds(engine, page, mode, TOKENS, max(1, together))
        first = statistics.median(_seconds(engine, page, mode, 1) for _ in range(REPEATS))
        whole = statistics.median(_seconds(engine, page, mode, TOKENS) for _ in range(REPEATS))
        resolution = DEEPSEEK_OCR.resolution(mode)
        row: dict[str, Any] = {
            "resolution": mode,
            "vision_tokens": resolution.vision_tokens(resolution.grid(*page.size)),
            "first_token_s": round(first, 4),
            "tokens_per_s": round((TOKENS - 1) / (whole - first), 1),
        }
        if together:
            row["together"] = together
            seconds = statistics.median(
                _seconds(engine, page, mode, TOKENS, together) for _ in range(REPEATS)
            )
            row["together_pages_per_s"] = round(together / seconds, 2)
        rows.append(row)
        print(row, flush=True)
    return rows


def _seconds(
    engine: InProcessEngine, page: Image.Image, mode: str, tokens: int, count: int = 1
) -> float:
    """Return how long ``count`` copies of the page take."""
    requests = [
        PageRequest(
            key=number,
            image=page,
            prompt="markdown",
            resolution=mode,
            max_output_length=tokens,
        )
        for number in range(count)
    ]
    started = time.perf_counter()
    for output in engine.read(requests):
        if output.error:
            raise output.error
        if output.text_tokens != tokens:
            raise RuntimeError(f"{output.text_tokens} tokens instead of {tokens}")
    return time.perf_counter() - started


if __name__ == "__main__":
    sys.exit(main())
