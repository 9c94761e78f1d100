"""How fast pages are read on a GPU, with full-size random weights; everything in one run on one card.

Parts (``--parts``): ceilings of the card; the published way (a page at a time, experts in a loop);
transformers' ``generate()`` with left padding; chunks of the vision tower; a step of the decoder; a page
alone; many pages in gundam and in base mode, whose texts have 100 to 2,000 tokens, 800 on average; texts
in bfloat16 against those of pages read one by one; what the probabilities of tokens cost; memory over ten
thousand pages; from the start of a process to its first token; the vision tower, a page alone, many pages and
the start with each model family.
Figures go to standard output and as JSON lines to ``--out``.
"""

from __future__ import annotations

import argparse
import datetime
import functools
import json
import logging
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import torch
import transformers

from airflow_deepseek_ocr.engines.in_process.capacity import MAX_VISION_PAGES
from airflow_deepseek_ocr.engines.in_process.decode_slots import DecodeSlots
from airflow_deepseek_ocr.engines.in_process.device_timing import IDLE, format_shares
from airflow_deepseek_ocr.engines.in_process.engine import InProcessEngine
from airflow_deepseek_ocr.model.checkpoint_family import checkpoint_family
from airflow_deepseek_ocr.ocr.decoding import Decoding
from airflow_deepseek_ocr.ocr.engine_protocol import PageRequest
from airflow_deepseek_ocr.ocr.families.registry import FAMILIES
from benchmarks.bench import Bench, median_seconds
from benchmarks.full_size import ROOT, build
from benchmarks.other_ways import generate, published
from benchmarks.workload import (
    GUNDAM_PROMPT,
    LONGEST,
    MEAN,
    draw_pages,
    lengths,
    prepared,
    requests,
)


def main() -> int:
    """Run the parts; an exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, help="directory for the weights; kept if it is named")
    parser.add_argument("--parts", default=",".join(PARTS), help=f"of {', '.join(PARTS)}")
    parser.add_argument("--pages", type=int, default=600, help="read in each mode")
    parser.add_argument("--slots", type=int, help="most pages at once; default: what fits")
    parser.add_argument("--out", type=Path, default=Path("bench-gpu.jsonl"))
    parser.add_argument("--verbose", action="store_true")
    options = parser.parse_args()
    if not torch.cuda.is_available():
        print("This benchmark needs a CUDA GPU.", file=sys.stderr)
        return 2
    logging.basicConfig(level=logging.INFO if options.verbose else logging.WARNING)
    failed = 0
    with tempfile.TemporaryDirectory(prefix="bench-gpu-") as scratch:
        directory = build(options.model or Path(scratch) / "full-size")
        bench = Bench(directory, options.pages, options.slots, options.out)
        bench.tell(
            "setting",
            date=datetime.datetime.now(datetime.UTC).date().isoformat(),
            card=torch.cuda.get_device_name(),
            torch=torch.__version__,
            transformers=transformers.__version__,
        )
        for part in options.parts.split(","):
            try:
                PARTS[part](bench)
            except Exception:
                # The other parts' figures are worth having.
                traceback.print_exc()
                failed += 1
        bench.close()
    return 1 if failed else 0


def ceilings(bench: Bench) -> None:
    """A large matrix product and a large copy."""
    one, other = (torch.randn(8192, 8192, device="cuda", dtype=torch.bfloat16) for _ in range(2))
    seconds = median_seconds(lambda: one @ other)
    source = torch.empty(2**31, dtype=torch.uint8, device="cuda").random_()
    goal = torch.empty_like(source)
    copying = median_seconds(lambda: goal.copy_(source))
    bench.tell(
        "ceilings",
        tflops=2 * 8192**3 / seconds / 1e12,
        terabytes_per_s=2 * source.numel() / copying / 1e12,
    )


def vision(bench: Bench) -> None:
    """The vision tower in chunks of pages, compiled and not."""
    for compiled in (False, True):
        engine = bench.engine(compiled=compiled)
        for mode, chunks in (("gundam", (2, 4, 8, 16)), ("base", (4, 8, 16, 32))):
            for chunk in chunks:
                _time_vision(bench, engine, mode, chunk, compiled=compiled)


def _time_vision(
    bench: Bench, engine: InProcessEngine, mode: str, chunk: int, *, compiled: bool
) -> None:
    pages = prepared(engine, mode, chunk)
    torch.cuda.reset_peak_memory_stats()
    base = torch.cuda.memory_allocated()
    seconds = median_seconds(functools.partial(engine.embed, pages), 5)
    bench.tell(
        "vision",
        mode=mode,
        compiled=compiled,
        pages=chunk,
        pages_per_s=chunk / seconds,
        gib=(torch.cuda.max_memory_allocated() - base) / 2**30,
    )


def step(bench: Bench) -> None:
    """A step of all slots, each in the middle of its text."""
    engine = bench.engine(compiled=True)
    started = time.perf_counter()
    with engine.borrow_slots() as kept:
        slots = kept.slots
        torch.cuda.synchronize()
        bench.tell(
            "first steps",
            slots=slots.step_sizes,
            fast=slots.is_compiled,
            seconds=time.perf_counter() - started,
        )
        for count in slots.step_sizes:
            _time_steps(bench, slots, count)
        slots.leave(range(slots.count))


def _time_steps(
    bench: Bench, slots: DecodeSlots, count: int, *, repeats: int = 20, **setting: Any
) -> None:
    """Time steps of the first ``count`` slots at several positions."""
    for name, positions in _positions(count):
        if not slots.provide(dict(enumerate(each + 128 for each in positions))):
            bench.tell(
                "step", slots=count, columns=name, skipped="the cache is too small", **setting
            )
            continue
        slots.set_mid_text(positions, LONGEST)
        seconds = median_seconds(functools.partial(slots.step, slots.length, count), repeats)
        bench.tell(
            "step",
            slots=count,
            columns=name,
            milliseconds=1000 * seconds,
            tokens_per_s=count / seconds,
            **setting,
        )


def _positions(count: int) -> Iterator[tuple[str, list[int]]]:
    """Columns of each slot: all alike, and as pages of all lengths have them in gundam mode."""
    for position in (300, 700, 1300, 1700):
        yield str(position), [position] * count
    chance = random.Random(3)
    spread = [GUNDAM_PROMPT + chance.randrange(length) for length in lengths(count)]
    yield f"{sum(spread) // count}, spread", spread
    yield f"{sum(spread) // count}", [sum(spread) // count] * count


def alone(bench: Bench) -> None:
    """A page with nothing beside it."""
    engine = bench.engine(compiled=True)
    for mode in ("gundam", "base"):
        list(engine.read(requests(1, mode, [16])))
        started = time.perf_counter()
        list(engine.read(requests(1, mode, [1])))
        once = time.perf_counter() - started
        started = time.perf_counter()
        list(engine.read(requests(1, mode, [MEAN])))
        whole = time.perf_counter() - started
        bench.tell(
            "a page alone",
            mode=mode,
            seconds_to_first_token=once,
            tokens_per_s=(MEAN - 1) / (whole - once),
            pages_per_s=1 / whole,
        )


def many(bench: Bench) -> None:
    """Pages of all lengths through the engine."""
    engine = bench.engine(compiled=True)
    for mode in ("gundam", "base"):
        list(engine.read(requests(24, mode, [40] * 24)))
        _read_many(bench, engine, mode)


def probabilities(bench: Bench) -> None:
    """A step of all slots and pages of all lengths, with the probabilities of tokens and without them."""
    engine = bench.engine(compiled=True)
    decoding = engine.decoding
    # Twice each, in turn: a card's clock changes with its temperature.
    for on in (True, False, False, True):
        engine.decoding = replace(decoding, token_probabilities=on)
        list(engine.read(requests(24, "base", [40] * 24)))
        with engine.borrow_slots() as kept:
            count = kept.slots.count
            _time_steps(bench, kept.slots, count, repeats=100, token_probabilities=on)
            kept.slots.leave(range(count))
        _read_many(bench, engine, "base", token_probabilities=on)
    engine.decoding = decoding


def _read_many(bench: Bench, engine: InProcessEngine, mode: str, **setting: Any) -> None:
    texts = lengths(bench.pages)
    before, memory = engine.clock.seconds(), (_rss(), torch.cuda.memory_reserved())
    started = time.perf_counter()
    outputs = list(engine.read(requests(bench.pages, mode, texts)))
    seconds = time.perf_counter() - started
    if errors := [output.error for output in outputs if output.error]:
        raise errors[0]
    spent = {
        phase: total - before.get(phase, 0.0) for phase, total in engine.clock.seconds().items()
    }
    tokens = sum(output.text_tokens for output in outputs)
    slots = engine.kept_slots
    bench.tell(
        "engine",
        mode=mode,
        pages=len(outputs),
        slots=slots.count if slots else 0,
        fast=bool(slots and slots.is_compiled),
        pages_per_s=len(outputs) / seconds,
        tokens_per_s=tokens / seconds,
        tokens_per_page=tokens / len(outputs),
        shares=format_shares(spent),
        idle=spent.get(IDLE, 0.0) / sum(spent.values()),
        gib_reserved=[each / 2**30 for each in (memory[1], torch.cuda.memory_reserved())],
        most_rss_gib=[memory[0], _rss()],
        **setting,
    )


def _rss() -> float:
    """Most memory that this process has had so far, in GiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def texts(bench: Bench) -> None:
    """The small checkpoint's texts of pages read together, against those of pages read one by one."""
    bench.close()
    # Without compiling a page by itself takes long.
    for dtype, compiled, count in (
        ("float32", False, 16),
        ("bfloat16", False, 16),
        ("bfloat16", True, 128),
    ):
        engine = InProcessEngine(
            ROOT / "models" / "deepseek-ocr-tiny",
            device="cuda",
            dtype=dtype,
            batch_size=32,
            decoding=Decoding(max_output_length=200),
            compiled=compiled,
        )
        asked = [
            PageRequest(
                key=number, image=page.crop((60, 60, 700, 500)), prompt="free", resolution="small"
            )
            for number, page in enumerate(draw_pages(count, words=5))
        ]
        single = {each.key: next(iter(engine.read([each]))).text for each in asked}
        together = {output.key: output for output in engine.read(asked)}
        outputs = together.values()
        bench.tell(
            "texts",
            dtype=dtype,
            compiled=compiled,
            pages=count,
            equal=sum(together[key].text == text for key, text in single.items()),
            tokens=sum(output.text_tokens for output in outputs),
            errors=[str(output.error) for output in outputs if output.error][:1],
        )
        engine.close()


def flat(bench: Bench) -> None:
    """Memory after a thousand pages and after ten thousand; short texts in base mode."""
    engine = bench.engine(compiled=True)
    chance = random.Random(2)
    for pages in (1_000, 9_000):
        started = time.perf_counter()
        texts = [chance.randrange(8, 64) for _ in range(pages)]
        errors = sum(
            output.error is not None for output in engine.read(requests(pages, "base", texts))
        )
        bench.tell(
            "memory",
            pages=pages,
            errors=errors,
            pages_per_s=pages / (time.perf_counter() - started),
            gib_allocated=torch.cuda.memory_allocated() / 2**30,
            gib_reserved=torch.cuda.memory_reserved() / 2**30,
            rss_gib=psutil.Process().memory_info().rss / 2**30,
        )


def start(bench: Bench) -> None:
    """From the start of a process to its first token; the compiler's cache empty, then full."""
    bench.close()
    with tempfile.TemporaryDirectory() as cache:
        for name in ("cold", "warm"):
            started = time.perf_counter()
            done = subprocess.run(
                [sys.executable, "-m", "benchmarks.first_token", str(bench.directory)],
                cwd=ROOT,
                env={**os.environ, "TORCHINDUCTOR_CACHE_DIR": cache, "TRITON_CACHE_DIR": cache},
                capture_output=True,
                text=True,
                timeout=300,
                check=False,
            )
            if done.returncode:
                raise RuntimeError(done.stderr[-2000:])
            bench.tell(
                "start",
                cache=name,
                seconds=time.perf_counter() - started,
                **json.loads(done.stdout),
            )


def families(bench: Bench) -> None:
    """Each model family after the other: vision tower, a page alone, many pages."""
    for own in _each_family(bench):
        engine = own.engine(compiled=True)
        for mode in ("gundam", "base"):
            _time_vision(own, engine, mode, MAX_VISION_PAGES, compiled=True)
        alone(own)
        many(own)


def families_start(bench: Bench) -> None:
    """Each model family's first token, as in ``start``."""
    for own in _each_family(bench):
        start(own)


def _each_family(bench: Bench) -> Iterator[Bench]:
    """Yield the benchmark of each family's full size; only one has the GPU at a time."""
    bench.close()
    for family in FAMILIES.values():
        with tempfile.TemporaryDirectory(prefix="bench-family-") as scratch:
            directory = (
                bench.directory
                if checkpoint_family(bench.directory) is family
                else build(Path(scratch) / family.name, family=family)
            )
            own = bench.of_model(directory, family=family.name)
            try:
                yield own
            finally:
                own.close()


PARTS: dict[str, Callable[[Bench], None]] = {
    "ceilings": ceilings,
    "published": published,
    "generate": generate,
    "vision": vision,
    "step": step,
    "alone": alone,
    "many": many,
    "texts": texts,
    "probabilities": probabilities,
    "flat": flat,
    "start": start,
    "families": families,
    "families_start": families_start,
}

if __name__ == "__main__":
    sys.exit(main())
