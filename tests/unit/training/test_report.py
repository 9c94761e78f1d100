"""The report of a checkpoint: every figure beside the other checkpoint's, measured once."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import TINY_MODEL
from training import report
from training.density import Band
from training.evaluate import REFUSE, EvaluationSet, Figures
from training.ordinary.documents import Document
from training.ordinary.read import Reading
from training.report import Measured, Plan, as_markdown, measure

FREE = Figures(
    "small", "free", 300, 0.054, 0.003, None, 0.92, 0.0, by_density=(Band(3.0, 9, 0.01),)
)
READ = Reading(
    *("00-letter-latex", "letter", "latex", "charter", 11, "gundam", 5.5, 23.0, 16.0),
    *(1000, 20, 0.02, True, 2.5, "text"),
)


def measured(**changed: Any) -> Measured:
    usual = {"size": (11_300_000, 22_600_000), "held_out": [FREE], "ordinary": [READ, READ]}
    return Measured(**{**usual, "scans": [READ], "alone": [READ], **changed})


def test_each_figure_has_that_of_the_other_checkpoint_behind_it() -> None:
    worse = replace(FREE, character_error=0.08, by_density=(Band(3.0, 9, 0.02),))
    bad = replace(READ, edits=180, error=0.18)
    text = as_markdown(measured(), measured(held_out=[worse], ordinary=[bad, bad]))
    assert "11.3 million parameters, 23 MB" in text
    assert (
        "| small | free | 300 | 5.4% (8.0%) | 0.3% (0.3%) |  | 92.0% (92.0%) | 0.0% (0.0%) |  |"
        in text
    )
    assert "| all | 2 | 2.0% (18.0%) | 2.0% (18.0%) | 2.0% (18.0%) | 0.0% (0.0%) |" in text
    assert "| mode gundam | 2 | 2.0% (18.0%)" in text
    assert "| gundam | 1 | 2.5 | 2.5 |" in text
    assert "| small free | 1.0% (9) |" in text
    alone = as_markdown(measured(), None)
    assert "| small | free | 300 | 5.4% | 0.3% |  | 92.0% | 0.0% |  |" in alone


def test_targets_that_are_not_reached_stand_out() -> None:
    gundam = replace(FREE, mode="gundam", character_error=0.115, by_density=())
    refuse = replace(FREE, prompt=REFUSE, character_error=None, refused=0.9, by_density=())
    new = measured(held_out=[replace(FREE, character_error=0.06), gundam, refuse])
    targets = as_markdown(new, measured()).split("## Held-out pages")[0]
    assert "| ordinary documents, mean error | at most 2.0% | 2.0% | yes |" in targets
    assert "| ordinary documents, median | at most 0.5% | 2.0% | **no** |" in targets
    assert "| small free, character error | at most 5.4% | 6.0% | **no** |" in targets
    assert "| gundam free, character error | at most 4.0% | 11.5% | **no** |" in targets
    assert "| pages without text, empty | at least 100.0% | 90.0% | **no** |" in targets
    assert "| small free, tables right | at least 92.0% | 92.0% | yes |" in targets


def test_what_was_measured_is_not_measured_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []

    def evaluate(
        directory: Path, assets: Path, sets: Sequence[EvaluationSet], **_: Any
    ) -> list[Figures]:
        calls.append(sets[0].prompt)
        return [replace(FREE, mode=sets[0].mode, prompt=sets[0].prompt, pages=sets[0].pages)]

    def read_documents(
        checkpoint: Path, directory: Path, *, documents: Sequence[Document], **options: Any
    ) -> list[Reading]:
        calls.append(f"{len(documents)} {options.get('scans', False)} {options['device']}")
        if calls.count("60 False auto") > 1:
            raise RuntimeError("soffice is missing")
        return [replace(READ, name=each.name) for each in documents]

    monkeypatch.setattr(report, "evaluate", evaluate)
    monkeypatch.setattr(report, "read_documents", read_documents)
    checkpoint = tmp_path / "checkpoint"
    shutil.copytree(TINY_MODEL, checkpoint)
    sets = (EvaluationSet("small", "free", 5), EvaluationSet("base", "ocr", 5))
    plan = Plan(tmp_path, tmp_path, tmp_path / "kept", sets=sets)
    first = measure(checkpoint, plan, lambda text: None)
    assert calls == ["free", "ocr", "60 False auto", "60 True auto", "6 False cpu"]
    assert 11_000_000 < first.size[0] < 12_000_000
    assert first.size[1] == pytest.approx(2 * first.size[0], rel=0.01)
    assert measure(checkpoint, plan, lambda text: None) == first
    assert len(calls) == 5
    # Another number of pages is another set.
    measure(checkpoint, replace(plan, sets=sets[:1]), lambda text: None)
    measure(checkpoint, replace(plan, sets=[replace(sets[0], pages=6)]), lambda text: None)
    assert calls[5:] == ["free"]
    # So is another configuration.
    config = checkpoint / "config.json"
    config.write_text(
        config.read_text().replace('"smallest_print_px": 14', '"smallest_print_px": 9')
    )
    with pytest.raises(RuntimeError, match="soffice"):
        measure(checkpoint, plan, lambda text: None)
