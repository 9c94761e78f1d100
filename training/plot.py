"""The course of a training as a picture."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

_FIGURES = {
    "loss": "loss on the answers' tokens",
    "tokens_right": "tokens foretold",
    "characters_right": "characters named",
}


def plot(logs: Sequence[Path], out: Path) -> None:
    """Draw the measurements on held-out pages over minutes of training.

    :param logs: ``log.jsonl`` of one run, or of runs that went on from each other, in order.
    :param out: a PNG.
    :raises ValueError: if the logs hold no measurement.
    """
    from matplotlib.figure import Figure

    courses: dict[str, list[tuple[float, dict[str, float]]]] = {}
    before = 0.0
    for log in logs:
        lines = [json.loads(line) for line in log.read_text().splitlines()]
        for line in lines:
            for mode, figures in line.get("held_out", {}).items():
                courses.setdefault(mode, []).append((before + line["seconds"] / 60, figures))
        before += max((line["seconds"] / 60 for line in lines), default=0.0)
    if not courses:
        raise ValueError(f"no measurements in {', '.join(map(str, logs))}")
    picture = Figure(figsize=(11, 3.4), layout="constrained")
    for axes, (figure, title) in zip(picture.subplots(1, 3), _FIGURES.items(), strict=True):
        for mode, course in courses.items():
            minutes, values = zip(*course, strict=True)
            axes.plot(minutes, [each[figure] for each in values], label=mode)
        axes.set_title(title)
        axes.set_xlabel("minutes on one GPU")
        axes.set_ylim(bottom=0)
        axes.grid(alpha=0.3)
        axes.legend()
    picture.savefig(out, dpi=110)
