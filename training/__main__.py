"""Command line of the training: gather, preview, train, evaluate, plot."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from training.layouts import KINDS, PageAssets


def main(arguments: list[str] | None = None) -> int:
    """Run a command; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m training", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    gather = commands.add_parser("gather", help="collect fonts and texts from Debian's packages")
    gather.add_argument("--assets", type=Path, required=True)

    preview = commands.add_parser("preview", help="draw pages with the boxes of their blocks")
    preview.add_argument("out", type=Path, help="a PNG")
    preview.add_argument("--assets", type=_directory, required=True)
    preview.add_argument("--kind", choices=KINDS, help="twelve pages of this kind, not one of each")
    preview.add_argument("--size", type=int, default=640, help="of a page, in pixels")
    preview.add_argument("--characters", type=int, default=450, help="the most of a page")
    preview.add_argument("--text", type=float, nargs=2, default=(11.0, 28.0), help="in pixels")
    preview.add_argument("--strength", type=float, default=0.0, help="of wear, 0 to 1")
    preview.add_argument("--seed", type=int, default=0)

    train = commands.add_parser("train", help="train, or go on where a run stopped")
    train.add_argument("--assets", type=_directory, required=True)
    train.add_argument("--out", type=Path, required=True, help="directory of the run")
    train.add_argument("--steps", type=int, required=True, help="length of the whole run")
    train.add_argument("--seconds", type=float, help="stop after so many seconds, to go on later")
    train.add_argument("--from", type=_directory, dest="first", help="a checkpoint to go on from")
    train.add_argument("--start", type=_share, default=0.0, help="share of the run to enter it at")
    train.add_argument("--rate", type=float, default=1.0, help="of the usual learning rates")
    train.add_argument(
        "--rates",
        choices=("course", "hold", "fall"),
        default="course",
        help="by the run's steps; held; or down to zero by the end of --seconds",
    )
    train.add_argument("--cards", type=int, help="GPUs, or processes on a CPU; else all GPUs")
    train.add_argument("--compiler", default="", help="backend of torch.compile, such as inductor")
    train.add_argument("--seed", type=int, default=0)
    train.add_argument(
        "--workers",
        type=int,
        help="processes that draw pages, for each card; else one less than its share of the cores",
    )
    train.add_argument(
        "--batch-share", type=float, default=1.0, help="of the usual pages in a batch"
    )

    train.add_argument(
        "--times-asked",
        type=int,
        default=2,
        help="batches that ask about the same pages: more where cores are too few",
    )

    background = commands.add_parser(
        "background", help="train on while other commands come and go; stop cleanly"
    )
    background.add_argument("do", choices=("start", "status", "fall", "stop", "watch"))
    background.add_argument("--seconds", type=float, help="for fall: until rates are zero")
    background.add_argument("--out", type=Path, required=True, help="directory of the run")
    background.epilog = "For start: after --, the arguments of train but --out."

    evaluate = commands.add_parser("evaluate", help="read held-out pages and print the figures")
    evaluate.add_argument("checkpoint", type=_directory)
    evaluate.add_argument("--assets", type=_directory, required=True)
    evaluate.add_argument("--pages", type=int, default=300)
    evaluate.add_argument(
        "--sets",
        default="small:free,small:markdown,base:free,base:markdown",
        help="MODE:PROMPT,...",
    )
    evaluate.add_argument("--out", type=Path, help="write the figures there, as JSON")
    ordinary = commands.add_parser(
        "ordinary", help="typeset ordinary documents, read them and print the errors"
    )
    ordinary.add_argument("checkpoint", type=_directory)
    ordinary.add_argument(
        "--documents", type=Path, default=Path(".training/ordinary"), help="directory of the PDFs"
    )
    ordinary.add_argument("--mode", default="auto", help="a mode, or auto: by the print")
    ordinary.add_argument("--scans", action="store_true", help="light scans of them")
    ordinary.add_argument("--every", type=int, default=1, help="each so many-th only: a sample")
    ordinary.add_argument("--batch-size", type=int, help="pages written at once")
    ordinary.add_argument("--out", type=Path, help="write each document's reading there, as JSON")
    report = commands.add_parser(
        "report", help="all figures of the model card, beside those of another checkpoint"
    )
    report.add_argument("checkpoint", type=_directory)
    report.add_argument("--assets", type=_directory, required=True)
    report.add_argument("--against", type=_directory, help="a checkpoint to compare with")
    report.add_argument(
        "--documents", type=Path, default=Path(".training/ordinary"), help="directory of the PDFs"
    )
    report.add_argument(
        "--kept", type=Path, default=Path(".training/figures"), help="what was measured before"
    )
    report.add_argument("--device", default="auto")
    report.add_argument(
        "--share", type=_share, default=1.0, help="of the held-out pages, for a look in between"
    )
    report.add_argument("--every", type=int, default=1, help="each so many-th ordinary document")
    report.add_argument("--out", type=Path, help="write the report there")
    plot = commands.add_parser("plot", help="draw the course of a run")
    plot.add_argument(
        "logs", type=_file, nargs="+", help="log.jsonl of runs that follow each other"
    )
    plot.add_argument("--out", type=Path, required=True, help="a PNG")

    packing = commands.add_parser("pack", help="write a run in parts, for another machine")
    packing.add_argument("run", type=_directory)
    packing.add_argument("--out", type=Path, required=True, help="directory of the parts")
    packing.add_argument("--part-size", type=float, default=15, help="in MiB")
    unpacking = commands.add_parser("unpack", help="put a packed run into a directory")
    unpacking.add_argument("parts", type=_directory)
    unpacking.add_argument("--out", type=Path, required=True, help="directory of the run")
    speed = commands.add_parser(
        "speed", help="pages a second: of one core, and of all workers together for a trainer"
    )
    speed.add_argument("--assets", type=_directory, required=True)
    speed.add_argument("--batches", type=int, default=3, help="of each mode, on one core")
    speed.add_argument("--feed", type=int, default=64, help="batches for a trainer; 0 for none")
    speed.add_argument("--workers", type=int, help="for the trainer; else as train has them")

    packages = commands.add_parser("packages", help="print the Debian packages that are needed")
    packages.add_argument("--ordinary", action="store_true", help="to typeset, not to gather")
    given = sys.argv[1:] if arguments is None else arguments
    end = given.index("--") if "--" in given else len(given)
    options = parser.parse_args(given[:end])
    options.of_training = given[end + 1 :]
    if options.of_training and options.command != "background":
        parser.error(f"{options.command} takes nothing after --")
    commands_by_name = {
        "gather": _gather,
        "preview": _preview,
        "train": _train,
        "background": _background,
        "evaluate": _evaluate,
        "ordinary": _ordinary,
        "report": _report,
        "plot": _plot,
        "packages": _packages,
        "pack": _pack,
        "unpack": _unpack,
        "speed": _speed,
    }
    return commands_by_name[options.command](options)


def _directory(text: str) -> Path:
    if not Path(text).is_dir():
        raise argparse.ArgumentTypeError(f"there is no directory {text}")
    return Path(text)


def _file(text: str) -> Path:
    if not Path(text).is_file():
        raise argparse.ArgumentTypeError(f"there is no file {text}")
    return Path(text)


def _share(text: str) -> float:
    share = float(text)
    if not 0 <= share <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not a share, 0 to 1")
    return share


def _gather(options: argparse.Namespace) -> int:
    from training.assets import gather

    gather(options.assets)
    return 0


def _preview(options: argparse.Namespace) -> int:
    from training.assets import load_fonts, load_texts
    from training.preview import preview

    texts = load_texts(options.assets)
    fonts = load_fonts(options.assets, "train")
    preview(
        PageAssets(fonts, texts.words, texts.accented, texts.sentences),
        options.out,
        kinds=(options.kind,) * 12 if options.kind else tuple(KINDS),
        size=options.size,
        text_size=tuple(options.text),
        max_characters=options.characters,
        seed=options.seed,
        strength=options.strength,
    )
    return 0


def _packages(options: argparse.Namespace) -> int:
    from training.ordinary import documents
    from training.packages import PACKAGES

    print(*(documents.PACKAGES if options.ordinary else PACKAGES))
    return 0


def _pack(options: argparse.Namespace) -> int:
    from training.state import pack

    for part in pack(options.run, options.out, round(options.part_size * 2**20)):
        print(part, part.stat().st_size)
    return 0


def _unpack(options: argparse.Namespace) -> int:
    from training.state import unpack

    unpack(options.parts, options.out)
    return 0


def _speed(options: argparse.Namespace) -> int:
    from training.cards import Cards, count_cards
    from training.feed import usual_workers
    from training.speed import drawing_speed, feeding_speed

    for each in drawing_speed(options.assets, options.batches):
        print(json.dumps(each.as_dict()), flush=True)
    if options.feed:
        workers = options.workers or usual_workers(count_cards())
        fed = feeding_speed(options.assets, options.feed, workers, Cards().device)
        print(json.dumps(fed.as_dict()), flush=True)
    return 0


def _plot(options: argparse.Namespace) -> int:
    from training.plot import plot

    plot(options.logs, options.out)
    return 0


def _train(options: argparse.Namespace) -> int:
    from training.train import Run, train

    run = Run(
        assets=options.assets,
        directory=options.out,
        steps=options.steps,
        seconds=options.seconds,
        seed=options.seed,
        workers=options.workers,
        batch_share=options.batch_share,
        first_weights=options.first,
        start=options.start,
        rate=options.rate,
        rates=options.rates,
        compiler=options.compiler,
        cards=options.cards,
        times_asked=options.times_asked,
    )
    train(run)
    return 0


def _background(options: argparse.Namespace) -> int:
    from training import background

    if options.do == "watch":
        return background.watch(options.out, options.of_training)
    if options.do == "start":
        print(f"process {background.start(options.out, options.of_training)}")
    elif options.do == "fall":
        if not options.seconds:
            raise SystemExit("fall needs the seconds after which the run shall end: give --seconds")
        background.fall(options.out, options.seconds)
    elif options.do == "stop":
        background.stop(options.out)
    if options.do != "start":
        print(background.status(options.out))
    return 0


def _evaluate(options: argparse.Namespace) -> int:
    from training import density
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
    print()
    densities = [(f"{each.mode} {each.prompt}", each.by_density) for each in figures]
    print(density.as_table([row for row in densities if row[1]]))
    if options.out:
        rows = [each.as_dict() for each in figures]
        options.out.write_text(json.dumps(rows, indent=2) + "\n")
    return 0


def _ordinary(options: argparse.Namespace) -> int:
    from training.ordinary.documents import ordinary_documents
    from training.ordinary.read import as_json, as_tables, read_documents

    readings = read_documents(
        options.checkpoint,
        options.documents,
        mode=options.mode,
        scans=options.scans,
        documents=ordinary_documents()[:: options.every],
        batch_size=options.batch_size,
    )
    print(as_tables(readings))
    if options.out:
        rows = as_json(readings)
        options.out.write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n")
    return 0


def _report(options: argparse.Namespace) -> int:
    from dataclasses import replace

    from training.report import CARD_SETS, Plan, as_markdown, measure

    plan = Plan(
        assets=options.assets,
        documents=options.documents,
        kept=options.kept,
        device=options.device,
        sets=[replace(each, pages=max(1, round(each.pages * options.share))) for each in CARD_SETS],
        every=options.every,
    )

    def say(text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    old = measure(options.against, plan, say) if options.against else None
    text = as_markdown(measure(options.checkpoint, plan, say), old)
    print(text)
    if options.out:
        options.out.write_text(text + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
