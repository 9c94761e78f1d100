"""Ways of reading that the engine is compared with."""

from __future__ import annotations

import time

import numpy as np
import torch

from airflow_deepseek_ocr.engines.in_process.engine import InProcessEngine
from benchmarks.bench import Bench
from benchmarks.workload import MEAN, lengths, prepared

#: Tokens written to find the rate of the two slow ways.
_SAMPLE = 48
_GENERATE_BATCH = 32


def published(bench: Bench) -> None:
    """A page at a time through ``generate()``, each expert in a loop; as the published scripts do."""
    engine = bench.engine(compiled=False)
    for mode in ("gundam", "base"):
        engine.model.set_experts_implementation("eager")
        try:
            once, rate = _generate(engine, mode, 1)
        finally:
            engine.model.set_experts_implementation("grouped_mm")
        bench.tell(
            "published way",
            mode=mode,
            tokens_per_s=rate,
            seconds_to_first_token=once,
            pages_per_s=1 / (once + MEAN / rate),
        )


def generate(bench: Bench) -> None:
    """``generate()`` with left padding, grouped experts."""
    engine = bench.engine(compiled=False)
    for mode in ("gundam", "base"):
        once, rate = _generate(engine, mode, _GENERATE_BATCH)
        longest = max(lengths(_GENERATE_BATCH))
        bench.tell(
            "generate",
            mode=mode,
            batch=_GENERATE_BATCH,
            tokens_per_s=rate,
            # A batch lasts as long as its longest page.
            pages_per_s=_GENERATE_BATCH / (once + longest * _GENERATE_BATCH / rate),
        )


def _generate(engine: InProcessEngine, mode: str, count: int) -> tuple[float, float]:
    """Seconds to the first token, and tokens a second after it."""
    pages = prepared(engine, mode, count)
    ids = torch.tensor([page.prompt_ids for page in pages], device=engine.model.device)
    inputs = {
        "input_ids": ids,
        "attention_mask": torch.ones_like(ids),
        "pixel_values": engine.embed.to_input(np.stack([page.views.view for page in pages])),
        "num_local_patches": [len(page.views.tiles) for page in pages],
        "patches_grid": [list(page.views.grid) for page in pages],
        "pixel_values_local": None,
    }
    tiles = [tile for page in pages for tile in page.views.tiles]
    if tiles:
        inputs["pixel_values_local"] = engine.embed.to_input(np.stack(tiles))

    def write(tokens: int) -> float:
        torch.cuda.synchronize()
        started = time.perf_counter()
        engine.model.generate(
            **inputs, max_new_tokens=tokens, min_new_tokens=tokens, do_sample=False, pad_token_id=2
        )
        torch.cuda.synchronize()
        return time.perf_counter() - started

    with torch.inference_mode():
        write(2)
        once = write(1)
        return once, count * _SAMPLE / (write(1 + _SAMPLE) - once)
