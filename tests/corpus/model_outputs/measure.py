"""How many of the recorded readings the judge tells right, by fault and by flag.

python -m tests.corpus.model_outputs.measure
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from airflow_deepseek_ocr.ocr.engine_protocol import FinishReason
from airflow_deepseek_ocr.ocr.quality.checks import QualityInput, check_quality
from airflow_deepseek_ocr.ocr.quality.edge_density import EdgeDensity
from airflow_deepseek_ocr.ocr.quality.flags import WEIGHTS, Flag
from airflow_deepseek_ocr.ocr.quality.report import QualityReport
from airflow_deepseek_ocr.ocr.quality.thresholds import DEFAULT_MIN_SCORE, THRESHOLDS

DIRECTORY = Path(__file__).parent


@dataclass(frozen=True)
class Judged:
    """A reading and what the judge says of it."""

    line: dict[str, Any]
    verdict: QualityReport

    @property
    def bad(self) -> bool:
        return bool(self.line["faults"])

    @property
    def right(self) -> bool:
        return self.bad != self.verdict.accepted


def load() -> Iterator[dict[str, Any]]:
    for name in ("readings.jsonl", "good.jsonl", "bad.jsonl"):
        for text in (DIRECTORY / name).read_text("utf-8").splitlines():
            yield {"half": "recorded", "strokes": None} | json.loads(text)


def evidence(line: dict[str, Any]) -> QualityInput:
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


def measure(lines: Iterable[dict[str, Any]] | None = None) -> list[Judged]:
    return [
        Judged(line, check_quality(evidence(line))) for line in (load() if lines is None else lines)
    ]


def rates(judged: Iterable[Judged], half: str | None = None) -> tuple[int, int, int, int]:
    """(bad found, bad, good refused, good) of a half, or of all."""
    mine = [each for each in judged if half is None or each.line["half"] == half]
    bad, good = [x for x in mine if x.bad], [x for x in mine if not x.bad]
    return sum(x.right for x in bad), len(bad), sum(not x.right for x in good), len(good)


def tables(judged: list[Judged]) -> str:
    """Markdown: rates of the halves, of each fault, of each flag, and the thresholds."""
    rows = ["| texts | bad found | false alarms |", "|---|---|---|"]
    for half in ("recorded", "tuning", "held_out", None):
        found, bad, alarms, good = rates(judged, half)
        rows.append(
            f"| {half or 'all'} | {found} of {bad} ({found / bad:.1%}) "
            f"| {alarms} of {good} ({alarms / good:.1%}) |"
        )
    rows += ["", "| fault | found |", "|---|---|"]
    faults: dict[str, list[Judged]] = defaultdict(list)
    for each in judged:
        for fault in each.line["faults"]:
            faults[fault].append(each)
    rows += [
        f"| `{fault}` | {sum(x.right for x in members)} of {len(members)} |"
        for fault, members in faults.items()
    ]
    rows += ["", "| flag | weight | in bad texts | in good texts |", "|---|---|---|---|"]
    counts = {
        bad: Counter(flag for x in judged if x.bad is bad for flag in x.verdict.flags)
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
    judged = measure()
    print(tables(judged))
    print("\nWrong:")
    for each in judged:
        if not each.right:
            print(
                f"- {each.line['source']} ({each.line['prompt']}): {each.line['faults'] or 'good'}, "
                f"{[str(flag) for flag in each.verdict.flags]}, {each.verdict.score}"
            )


if __name__ == "__main__":
    main()
