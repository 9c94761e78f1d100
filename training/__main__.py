"""Command line of the training: gather, train, evaluate, plot."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path


def main(arguments: list[str] | None = None) -> int:
    """Run a command; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m training", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    gather = commands.add_parser("gather", help="collect fonts and texts from Debian's packages")
    gather.add_argument("--assets", type=Path, required=True)

    train = commands.add_parser("train", help="train, or go on where a run stopped")
    train.add_argument("--assets", type=Path, required=True)
    train.add_argument("--out", type=Path, required=True, help="folder of the run")
    train.add_argument("--steps", type=int, required=True, help="length of the whole run")
    train.add_argument("--seconds", type=float, help="stop after so many seconds, to go on later")
    train.add_argument("--from", type=Path, dest="first", help="a checkpoint to go on from")
    train.add_argument("--start", type=float, default=0.0, help="share of the run to enter it at")
    train.add_argument("--rate", type=float, default=1.0, help="of the usual learning rates")
    train.add_argument("--compiler", default="", help="backend of torch.compile, such as inductor")
    train.add_argument("--seed", type=int, default=0)
    train.add_argument("--workers", type=int, default=max(1, (os.cpu_count() or 2) - 1))
    train.add_argument(
        "--batch-share", type=float, default=1.0, help="of the usual pages in a batch"
    )

    evaluate = commands.add_parser("evaluate", help="read held-out pages and print the figures")
    evaluate.add_argument("checkpoint", type=Path)
    evaluate.add_argument("--assets", type=Path, required=True)
    evaluate.add_argument("--pages", type=int, default=300)
    evaluate.add_argument(
        "--sets",
        default="small:free,small:markdown,base:free,base:markdown",
        help="MODE:PROMPT,...",
    )
    evaluate.add_argument("--out", type=Path, help="write the figures there, as JSON")
    plot = commands.add_parser("plot", help="draw the course of a run")
    plot.add_argument("logs", type=Path, nargs="+", help="log.jsonl of runs that follow each other")
    plot.add_argument("--out", type=Path, required=True, help="a PNG")

    commands.add_parser("packages", help="print the Debian packages that gather needs")
    options = parser.parse_args(arguments)
    commands_by_name = {
        "gather": _gather,
        "train": _train,
        "evaluate": _evaluate,
        "plot": _plot,
        "packages": _packages,
    }
    return commands_by_name[options.command](options)


def _gather(options: argparse.Namespace) -> int:
    from training.assets import gather

    gather(options.assets)
    return 0


def _packages(options: argparse.Namespace) -> int:
    from training.packages import PACKAGES

    print(*PACKAGES)
    return 0


def _plot(options: argparse.Namespace) -> int:
    from training.plot import plot

    plot(options.logs, options.out)
    return 0


def _train(options: argparse.Namespace) -> int:
    from training.train import Run, Trainer

    run = Run(
        assets=options.assets,
        folder=options.out,
        steps=options.steps,
        seconds=options.seconds,
        seed=options.seed,
        workers=options.workers,
        batch_share=options.batch_share,
        first_weights=options.first,
        start=options.start,
        rate=options.rate,
        compiler=options.compiler,
    )
    Trainer(run).train()
    return 0


def _evaluate(options: argparse.Namespace) -> int:
    from training.evaluate import EvaluationSet, as_table, evaluate

    sets = [
        EvaluationSet(mode, prompt, options.pages)
        for mode, _, prompt in (each.partition(":") for each in options.sets.split(","))
    ]
    figures = []
    for each in sets:
        figures += evaluate(options.checkpoint, options.assets, [each])
        print(json.dumps(figures[-1].as_dict()), flush=True)
    print(as_table(figures))
    if options.out:
        rows = [each.as_dict() for each in figures]
        options.out.write_text(json.dumps(rows, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
