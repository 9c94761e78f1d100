"""What the parts of the GPU benchmark share."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from airflow_deepseek_ocr.engines.in_process.engine import InProcessEngine
from airflow_deepseek_ocr.ocr.decoding import Decoding
from benchmarks.workload import LONGEST


class Bench:
    """What the parts share.

    :param directory: the full-size model.
    :param pages: how many are read in each mode.
    :param slots: most pages at once.
    :param out: file of the figures.
    :param labels: added to each line of figures.
    """

    def __init__(
        self,
        directory: Path,
        pages: int,
        slots: int | None,
        out: Path,
        labels: Mapping[str, str] | None = None,
    ) -> None:
        self.directory, self.pages, self.slots = directory, pages, slots
        self._out, self._labels = out, dict(labels or {})
        self._engine: tuple[bool, InProcessEngine] | None = None

    def engine(self, *, compiled: bool) -> InProcessEngine:
        """The engine, with or without compiled layers; texts as long as they are asked for."""
        if self._engine and self._engine[0] is not compiled:
            self.close()
        if self._engine is None:
            decoding = Decoding(max_output_length=LONGEST + 8, forced=True)
            engine = InProcessEngine(
                self.directory, batch_size=self.slots, decoding=decoding, compiled=compiled
            )
            self._engine = (compiled, engine)
        return self._engine[1]

    def of_model(self, directory: Path, **labels: str) -> Bench:
        """Return the same for another model, whose figures have these labels.

        :param directory: the full-size model.
        """
        return Bench(directory, self.pages, self.slots, self._out, labels)

    def close(self) -> None:
        """Free the GPU."""
        if self._engine:
            self._engine[1].close()
        self._engine = None

    def tell(self, part: str, **figures: Any) -> None:
        """Print figures and note them."""
        line = {"part": part, **self._labels} | {
            name: round(value, 4) if isinstance(value, float) else value
            for name, value in figures.items()
        }
        print(json.dumps(line), flush=True)
        with self._out.open("a") as file:
            file.write(json.dumps(line) + "\n")


def median_seconds(function: Callable[[], Any], repeats: int = 20) -> float:
    """The GPU's time for a call, the first not counted."""
    function()
    times = []
    for _ in range(repeats):
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        function()
        end.record()
        torch.cuda.synchronize()
        times.append(begin.elapsed_time(end) / 1000)
    return statistics.median(times)
