"""Rates of the quality checks over the recorded and generated outputs, by fault and by flag.

python -m tests.corpus.model_outputs.measure
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from airflow_deepseek_ocr.ocr.edge_density import EdgeDensity
from airflow_deepseek_ocr.ocr.engine_protocol import FinishReason
from airflow_deepseek_ocr.ocr.quality.checks import QualityInput, check_quality
from airflow_deepseek_ocr.ocr.quality.flags import WEIGHTS, Flag
from airflow_deepseek_ocr.ocr.quality.report import QualityReport
from airflow_deepseek_ocr.ocr.quality.thresholds import DEFAULT_MIN_SCORE, THRESHOLDS

DIRECTORY = Path(__file__).parent


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


def main() -> None:
    checked = measure()
    print(tables(checked))
    print("\nWrong:")
    for each in checked:
        if not each.right:
            print(
                f"- {each.line['source']} ({each.line['prompt']}): {each.line['faults'] or 'good'}, "
                f"{[str(flag) for flag in each.report.flags]}, {each.report.score}"
            )


if __name__ == "__main__":
    main()
