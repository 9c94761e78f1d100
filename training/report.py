"""All figures of the model card for a checkpoint, beside those of another one.

The figures of a checkpoint are kept in a file that is named by its weights, so that the committed one is
measured once, and an interrupted report continues.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import mean, median
from typing import Any

import safetensors

from training.density import Band
from training.density import as_table as density_table
from training.evaluate import REFUSE, EvaluationSet, Figures, evaluate
from training.ordinary.documents import Document, ordinary_documents
from training.ordinary.read import Reading, as_json, groups_of, read_documents

#: Sets of held-out pages in the model card: mode, prompt and pages.
CARD_SETS = (
    *(EvaluationSet(mode, prompt) for mode in ("small", "base") for prompt in ("free", "markdown")),
    *(EvaluationSet(mode, "ocr", 30) for mode in ("small", "base")),
    *(EvaluationSet("gundam", prompt, 60) for prompt in ("free", "markdown")),
    *(EvaluationSet(mode, "free", 30) for mode in ("tiny", "large")),
    *(EvaluationSet("small", prompt, 30) for prompt in ("locate", "describe", "figure", REFUSE)),
)
#: Each so many-th ordinary document is also read alone on the CPU, for the seconds of a page.
_TIMED = 10
_WEIGHTS = "model*.safetensors"


@dataclass(frozen=True)
class Plan:
    """What is measured.

    :param assets: fonts and texts, see :mod:`training.assets`.
    :param documents: directory of the typeset ordinary documents.
    :param kept: directory of the figures that were measured.
    :param device: a torch device, or ``auto``.
    :param sets: sets of held-out pages.
    :param every: each so many-th ordinary document only.
    """

    assets: Path
    documents: Path
    kept: Path
    device: str = "auto"
    sets: Sequence[EvaluationSet] = CARD_SETS
    every: int = 1


@dataclass(frozen=True)
class Measured:
    """A checkpoint's figures.

    :param size: parameters, and bytes of its weights.
    :param held_out: of each set.
    :param ordinary: each ordinary document.
    :param scans: light scans of them.
    :param alone: some of them, one at a time on the CPU.
    """

    size: tuple[int, int]
    held_out: list[Figures]
    ordinary: list[Reading]
    scans: list[Reading]
    alone: list[Reading]


def measure(checkpoint: Path, plan: Plan, say: Callable[[str], None] = print) -> Measured:
    """Measure a checkpoint, or read what was kept of it.

    :param checkpoint: a checkpoint in the published layout.
    :param plan: what is measured.
    :param say: called before each step that takes long.
    """
    plan.kept.mkdir(parents=True, exist_ok=True)
    path = plan.kept / f"{_digest(checkpoint)}.json"
    kept: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}

    def step(name: str, work: Callable[[], Any]) -> Any:
        if name not in kept:
            say(f"{checkpoint}: {name}")
            kept[name] = work()
            path.write_text(json.dumps(kept, ensure_ascii=False) + "\n", encoding="utf-8")
        return kept[name]

    def read(documents: Sequence[Document], **options: Any) -> list[dict[str, Any]]:
        options = {"device": plan.device} | options
        return as_json(read_documents(checkpoint, plan.documents, documents=documents, **options))

    documents = ordinary_documents()[:: plan.every]

    def read_set(each: EvaluationSet) -> dict[str, object]:
        (figures,) = evaluate(checkpoint, plan.assets, [each], device=plan.device)
        return figures.as_dict()

    held_out = [
        step(f"{each.mode} {each.prompt}, {each.pages} pages", partial(read_set, each))
        for each in plan.sets
    ]
    name = f"{len(documents)} ordinary documents"
    ordinary = step(name, lambda: read(documents))
    scans = step(f"scans of {name}", lambda: read(documents, scans=True))
    alone = step(
        f"each {_TIMED}th of {name} alone on the CPU",
        lambda: read(documents[::_TIMED], device="cpu", batch_size=1),
    )
    return Measured(
        _size(checkpoint),
        [_as_figures(row) for row in held_out],
        *([Reading(**row) for row in rows] for rows in (ordinary, scans, alone)),
    )


def _digest(checkpoint: Path) -> str:
    digest = hashlib.sha256()
    for path in _files(checkpoint):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _files(checkpoint: Path) -> list[Path]:
    # The configuration counts too: it says which print is read in which mode.
    return [*sorted(checkpoint.glob(_WEIGHTS)), checkpoint / "config.json"]


def _size(checkpoint: Path) -> tuple[int, int]:
    numbers = 0
    for path in checkpoint.glob(_WEIGHTS):
        with safetensors.safe_open(path, "numpy") as file:
            for name in file.keys():  # noqa: SIM118  (no mapping)
                count = 1
                for side in file.get_slice(name).get_shape():
                    count *= side
                numbers += count
    return numbers, sum(path.stat().st_size for path in checkpoint.glob(_WEIGHTS))


def _as_figures(row: Mapping[str, Any]) -> Figures:
    return Figures(**{**row, "by_density": tuple(Band(**band) for band in row["by_density"])})


def as_markdown(new: Measured, old: Measured | None) -> str:
    """The report: the card's tables; behind each figure, in brackets, that of the other checkpoint.

    :param new: the checkpoint.
    :param old: the one that it is compared with.
    """
    parts = [
        f"{new.size[0] / 1e6:.1f} million parameters, {new.size[1] / 1e6:.0f} MB",
        "## Targets",
        _targets(new, old),
        "## Held-out pages",
        _held_out(new.held_out, old.held_out if old else []),
        density_table(
            [
                (f"{each.mode} {each.prompt}", each.by_density)
                for each in new.held_out
                if each.pages > 100
            ]
        ),
        "## Ordinary documents",
        _readings(new.ordinary, old.ordinary if old else []),
        "## Light scans of them",
        _readings(new.scans, old.scans if old else []),
        "## Seconds of a page, one at a time on this CPU",
        _seconds(new.alone),
    ]
    return "\n\n".join(parts)


def _held_out(new: Sequence[Figures], old: Sequence[Figures]) -> str:
    before = {(each.mode, each.prompt): each for each in old}
    shown = (
        *(("character error", "character_error"), ("median page", "median_error")),
        *(("boxes (IoU)", "box_overlap"), ("tables right", "tables_right")),
        *(("no end", "without_end"), ("empty", "refused")),
    )
    rows = []
    for each in new:
        other = before.get((each.mode, each.prompt))
        cells = [
            _pair(getattr(each, field), getattr(other, field, None), percent="IoU" not in title)
            for title, field in shown
        ]
        rows.append([each.mode, each.prompt, str(each.pages), *cells])
    return _table(["mode", "prompt", "pages", *(title for title, _ in shown)], rows)


def _readings(new: Sequence[Reading], old: Sequence[Reading]) -> str:
    before = dict(_named_groups(old))
    rows = []
    for name, group in _named_groups(new):
        other = before.get(name)
        now, then = _shares(group), _shares(other) if other else [None] * 4
        cells = [_pair(*pair) for pair in zip(now, then, strict=True)]
        rows.append([name, str(len(group)), *cells])
    return _table(["documents", "pages", "mean error", "median", "all characters", "no end"], rows)


def _named_groups(readings: Sequence[Reading]) -> Iterable[tuple[str, list[Reading]]]:
    if readings:
        yield "all", list(readings)
    for name, groups in groups_of(readings):
        for value, group in groups.items():
            yield f"{name} {value}", group


def _shares(group: Sequence[Reading]) -> list[float | None]:
    errors = [each.error for each in group]
    whole = sum(each.edits for each in group) / sum(each.characters for each in group)
    return [mean(errors), median(errors), whole, mean(not each.ended for each in group)]


def _seconds(alone: Sequence[Reading]) -> str:
    rows = [
        [
            mode,
            str(len(group)),
            *(f"{pick(each.seconds for each in group):.1f}" for pick in (median, max)),
        ]
        for mode, group in dict(groups_of(alone)).get("mode", {}).items()
    ]
    return _table(["mode", "pages", "median", "slowest"], rows)


def _targets(new: Measured, old: Measured | None) -> str:
    """What a new checkpoint must reach before it takes the place of the committed one."""
    figures = {(each.mode, each.prompt): each for each in new.held_out}
    before = {(each.mode, each.prompt): each for each in old.held_out} if old else {}
    limits: list[tuple[str, float | None, float | None, bool]] = []
    if new.ordinary:
        average, middle, *_ = _shares(new.ordinary)
        limits += [("ordinary documents, mean error", average, 0.02, False)]
        limits += [("ordinary documents, median", middle, 0.005, False)]
    for (mode, prompt), each in figures.items():
        other, name = before.get((mode, prompt)), f"{mode} {prompt}"
        if mode == "gundam":
            limits.append((f"{name}, character error", each.character_error, 0.04, False))
        elif mode in ("small", "base") and other:
            limits.append(
                (f"{name}, character error", each.character_error, other.character_error, False)
            )
        if other:
            limits.append((f"{name}, boxes", each.box_overlap, other.box_overlap, True))
            limits.append((f"{name}, tables right", each.tables_right, other.tables_right, True))
        if prompt == REFUSE:
            limits.append(("pages without text, empty", each.refused, 1.0, True))
    rows = []
    for name, value, limit, least in limits:
        if value is not None and limit is not None:
            reached = value >= limit if least else value <= limit
            sign = "at least" if least else "at most"
            rows.append(
                [name, f"{sign} {limit:.1%}", f"{value:.1%}", "yes" if reached else "**no**"]
            )
    return _table(["target", "limit", "figure", "reached"], rows)


def _pair(value: float | None, other: float | None, percent: bool = True) -> str:
    def shown(each: float) -> str:
        return f"{each:.1%}" if percent else f"{each:.2f}"

    if value is None:
        return ""
    return shown(value) if other is None else f"{shown(value)} ({shown(other)})"


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])
