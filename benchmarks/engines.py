"""Pages a second in-process, through the resident server and in vLLM: the same pages, one run.

Each page has a text of 100 to 2,000 tokens, 800 on average, whatever the model writes. Servers are
started and found as a task does it, and answer on this host. Each way has the device for itself:
it runs in a process of its own, one after the other. Figures go to standard output, as JSON lines to
``--out``, and as a table at the end.
"""

from __future__ import annotations

import argparse
import datetime
import logging
import multiprocessing
import os
import sys
import tempfile
import traceback
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.bench import Bench
from benchmarks.engine_ways import Job, Tell, in_process, port, resident, vllm
from benchmarks.full_size import ROOT, build
from benchmarks.tables import markdown_table
from benchmarks.vllm_offline import WAY, vllm_offline

#: Most pages at once in vLLM unless told otherwise: what its CUDA graphs hold by default.
_VLLM_BATCH_SIZE = 512
#: In the table, in this order.
_COLUMNS = ("way", "mode", "pages", "pages_per_s", "tokens_per_s", "idle", "ready_s")


@dataclass
class Figures:
    """Takes what a way has to tell, in its own process: at once, as the next mode may never end.

    :param bench: prints figures and notes them.
    """

    bench: Bench
    rows: list[dict[str, Any]] = field(default_factory=list)

    def tell(self, part: str, **figures: Any) -> None:
        """Print figures, and keep them for the table."""
        self.bench.tell(part, **figures)
        if "pages_per_s" in figures:
            self.rows.append(figures)


def main() -> int:
    """Measure all ways; an exit code."""
    options = _parser().parse_args()
    logging.basicConfig(level=logging.INFO if options.verbose else logging.WARNING)
    # Servers start in another directory.
    path = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), *([path] if path else [])])
    failed, rows = 0, []
    with tempfile.TemporaryDirectory(prefix="bench-engines-") as scratch:
        job = Job(
            model=(options.model or Path(scratch) / "full-size").absolute(),
            pages=options.pages,
            modes=tuple(options.modes.split(",")),
            share=options.share,
            device=options.device,
            dtype=options.dtype,
            batch_size=options.batch_size,
            command=options.vllm_command,
            vllm_batch_size=options.vllm_batch_size or options.batch_size or _VLLM_BATCH_SIZE,
            options=options.vllm_options,
            scanned=options.scanned,
            probabilities=not options.without_probabilities,
            out=options.out,
        )
        bench = Bench(job.model, options.pages, options.batch_size, options.out)
        bench.tell("setting", **_elsewhere(_prepare, job))
        for way in options.ways.split(","):
            try:
                rows += _elsewhere(_measure, way, job, options.verbose)
            except Exception:
                # The other ways' figures are worth having.
                traceback.print_exc()
                failed += 1
    print(markdown_table(_COLUMNS, rows))
    return 1 if failed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--model", type=Path, help="directory of a model; made with random weights if not there"
    )
    parser.add_argument("--ways", default="in_process,resident,vllm", help=f"of {', '.join(WAYS)}")
    parser.add_argument("--modes", default="gundam,base")
    parser.add_argument("--pages", type=int, default=400, help="read in each mode")
    parser.add_argument("--share", type=float, default=1.0, help="of the texts' usual lengths")
    parser.add_argument(
        "--scanned", action="store_true", help="pages with a scanner's grain, which compress badly"
    )
    parser.add_argument(
        "--without-probabilities", action="store_true", help="do not ask for those of tokens"
    )
    parser.add_argument("--device", default="auto")
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--batch-size", type=int, help="most pages at once; default: what fits")
    parser.add_argument(
        "--vllm-batch-size",
        type=int,
        help=f"most pages at once in vLLM; default: --batch-size, or {_VLLM_BATCH_SIZE}",
    )
    parser.add_argument("--vllm-command", default="vllm")
    parser.add_argument("--vllm-options", default="")
    parser.add_argument("--out", type=Path, default=Path("bench-engines.jsonl"))
    parser.add_argument("--verbose", action="store_true")
    return parser


def _elsewhere(function: Callable[..., Any], *arguments: Any) -> Any:
    """What a function returns in a process of its own, whose memory is free again afterwards."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def _prepare(job: Job) -> dict[str, Any]:
    """Make the model if there is none; what the figures are from."""
    import torch
    import transformers

    on_gpu = torch.cuda.is_available() and job.device != "cpu"
    build(job.model, "cuda" if on_gpu else "cpu")
    return {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "device": torch.cuda.get_device_name() if on_gpu else f"CPU, {os.cpu_count()} cores",
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "weights": sum(each.stat().st_size for each in job.model.glob("*.safetensors")),
        "pages": job.pages,
        "share": job.share,
        "scanned": job.scanned,
        "probabilities": job.probabilities,
    }


def _measure(way: str, job: Job, verbose: bool) -> list[dict[str, Any]]:
    logging.basicConfig(level=logging.INFO if verbose else logging.WARNING)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    figures = Figures(Bench(job.model, job.pages, job.batch_size, job.out))
    WAYS[way](job, figures.tell)
    return figures.rows


WAYS: dict[str, Callable[[Job, Tell], None]] = {
    "in_process": in_process,
    "resident": resident,
    "port": port,
    "vllm": vllm,
    WAY: vllm_offline,
}

if __name__ == "__main__":
    sys.exit(main())
