"""Rates of the quality checks over the recorded and generated outputs, by fault and by flag.

python -m tests.corpus.model_outputs.measure
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from airflow_deepseek_ocr.ocr.confidence.page_confidence import PageConfidence, measure_confidence
from airflow_deepseek_ocr.ocr.confidence.text_tokens import tokens_of
from airflow_deepseek_ocr.ocr.edge_density import EdgeDensity
from airflow_deepseek_ocr.ocr.engine_protocol import FinishReason
from airflow_deepseek_ocr.ocr.markup.grounding import parse_with_places
from airflow_deepseek_ocr.ocr.prompts import get_prompt
from airflow_deepseek_ocr.ocr.quality.checks import QualityInput, check_quality
from airflow_deepseek_ocr.ocr.quality.flags import WEIGHTS, Flag
from airflow_deepseek_ocr.ocr.quality.report import QualityReport
from airflow_deepseek_ocr.ocr.quality.thresholds import DEFAULT_MIN_SCORE, THRESHOLDS
from tests.corpus.model_outputs.probabilities import unpack

DIRECTORY = Path(__file__).parent
#: Outputs for ordinary pages, with probabilities; see ``record_ordinary``.
ORDINARY = DIRECTORY / "ordinary.jsonl"
#: Character error from which an output of these is gibberish, and below which it is good.
GIBBERISH, GOOD = 0.3, 0.01


@dataclass(frozen=True)
class CheckedOutput:
    """A model output and its quality report.

    :param line: the output as the files have it.
    :param report: the report of the quality checks.
    """

    line: dict[str, Any]
    report: QualityReport

    @property
    def bad(self) -> bool:
        return bool(self.line["faults"])

    @property
    def right(self) -> bool:
        return self.bad != (self.report.score >= DEFAULT_MIN_SCORE)


def load() -> Iterator[dict[str, Any]]:
    for name in ("recorded.jsonl", "good.jsonl", "bad.jsonl", "everyday.jsonl"):
        for text in (DIRECTORY / name).read_text("utf-8").splitlines():
            yield {"half": "recorded", "strokes": None} | json.loads(text)


def load_ordinary(path: Path = ORDINARY) -> Iterator[dict[str, Any]]:
    """Yield the outputs for ordinary pages that are gibberish or good; those between are neither."""
    for text in path.read_text("utf-8").splitlines():
        line = json.loads(text)
        if line["error"] >= GIBBERISH or line["error"] < GOOD:
            yield line | {"faults": ["gibberish"] if line["error"] >= GIBBERISH else []}


def confidence_of(line: dict[str, Any]) -> PageConfidence | None:
    """Return the confidence of a recorded output; None without recorded probabilities."""
    if "lengths" not in line:
        return None
    in_ref = get_prompt(line["prompt"]).text_in_ref
    placed = parse_with_places(line["text"], text_in_ref=in_ref, width=1, height=1)
    tokens = tokens_of(line["text"], unpack(line["text"], line))
    return None if tokens is None else measure_confidence(placed, tokens)


def quality_input(line: dict[str, Any]) -> QualityInput:
    # The files keep the key of their first version: they are large, and rewriting them proves nothing.
    text_edges = line["strokes"]
    return QualityInput(
        text=line["text"],
        prompt=line["prompt"],
        finish_reason=FinishReason(line["finish_reason"]),
        vision_tokens=line["vision_tokens"],
        text_tokens=line["text_tokens"],
        edge_density=None
        if text_edges is None
        else EdgeDensity(text_edges=text_edges, edges=text_edges),
        confidence=confidence_of(line),
    )


def measure(lines: Iterable[dict[str, Any]] | None = None) -> list[CheckedOutput]:
    return [
        CheckedOutput(line, check_quality(quality_input(line)))
        for line in (load() if lines is None else lines)
    ]


def rates(checked: Iterable[CheckedOutput], half: str | None = None) -> tuple[int, int, int, int]:
    """Return (bad flagged, bad, good rejected, good) of a half, or of all."""
    mine = [each for each in checked if half is None or each.line["half"] == half]
    bad, good = [x for x in mine if x.bad], [x for x in mine if not x.bad]
    return sum(x.right for x in bad), len(bad), sum(not x.right for x in good), len(good)


def tables(checked: list[CheckedOutput]) -> str:
    """Return Markdown: rates of the halves, of each fault, of each flag, and the thresholds."""
    rows = ["| texts | bad found | false alarms |", "|---|---|---|"]
    for half in ("recorded", "tuning", "held_out", "everyday", None):
        flagged, bad, alarms, good = rates(checked, half)
        rows.append(
            f"| {half or 'all'} | {flagged} of {bad} ({flagged / bad:.1%}) "
            f"| {alarms} of {good} ({alarms / good:.1%}) |"
        )
    rows += ["", "| fault | found |", "|---|---|"]
    faults: dict[str, list[CheckedOutput]] = defaultdict(list)
    for each in checked:
        for fault in each.line["faults"]:
            faults[fault].append(each)
    rows += [
        f"| `{fault}` | {sum(x.right for x in members)} of {len(members)} |"
        for fault, members in faults.items()
    ]
    rows += ["", "| flag | weight | in bad texts | in good texts |", "|---|---|---|---|"]
    counts = {
        bad: Counter(flag for x in checked if x.bad is bad for flag in x.report.flags)
        for bad in (True, False)
    }
    rows += [
        f"| `{flag}` | {WEIGHTS[flag]:g} | {counts[True][flag]} | {counts[False][flag]} |"
        for flag in Flag
    ]
    rows += ["", f"Accepted from a score of {DEFAULT_MIN_SCORE:g} on.", ""]
    rows += ["| threshold | value |", "|---|---|"]
    rows += [
        f"| `{each.name}` | {getattr(THRESHOLDS, each.name):g} |" for each in fields(THRESHOLDS)
    ]
    return "\n".join(rows)


def ordinary_table(path: Path = ORDINARY) -> str:
    """Return Markdown: gibberish found and good outputs rejected, without and with probabilities."""
    rows = [
        "| ordinary pages | gibberish found by text alone | with confidence | false alarms by text alone "
        "| with confidence |",
        "|---|---|---|---|---|",
    ]
    lines = list(load_ordinary(path))
    for half in ("tuning", "held_out", None):
        mine = [line for line in lines if half is None or line["half"] == half]
        columns = []
        for keep in (False, True):
            inputs = [quality_input(line) for line in mine]
            reports = [
                check_quality(each if keep else replace(each, confidence=None)) for each in inputs
            ]
            pairs = zip(mine, reports, strict=True)
            columns.append(rates(CheckedOutput(line, report) for line, report in pairs))
        (found, bad, alarms, good), (found_with, _, alarms_with, _) = columns
        cells = (
            f"{found} of {bad} ({found / bad:.1%})",
            f"{found_with} of {bad} ({found_with / bad:.1%})",
            f"{alarms} of {good} ({alarms / good:.1%})",
            f"{alarms_with} of {good} ({alarms_with / good:.1%})",
        )
        rows.append(f"| {half or 'all'} | {' | '.join(cells)} |")
    return "\n".join(rows)


def main() -> None:
    checked = measure()
    print(tables(checked))
    print(f"\n{ordinary_table()}")
    print("\nWrong:")
    for each in checked:
        if not each.right:
            print(
                f"- {each.line['source']} ({each.line['prompt']}): {each.line['faults'] or 'good'}, "
                f"{[str(flag) for flag in each.report.flags]}, {each.report.score}"
            )


if __name__ == "__main__":
    main()
