"""Speeds of drawing and of taking what is drawn."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from training import curriculum, speed
from training.__main__ import main
from training.curriculum import STAGES, PageSpec, Stage


def test_a_trainer_s_own_work_is_measured_beside_the_drawing(
    assets: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(speed, "_SHARE", 0.01)
    assert main(["speed", "--assets", str(assets), "--batches", "1", "--feed", "0"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["mode"] for line in lines] == list(STAGES[-1].modes)
    assert all(line["asked_per_s"] > line["drawn_per_s"] > 0 for line in lines)

    page = PageSpec(60, (18, 40), (64, 88, 120, 160, 192))
    monkeypatch.setattr(curriculum, "STAGES", (Stage(1.0, {"tiny": 1}, {"tiny": page}, ("free",)),))
    fed = speed.feeding_speed(assets, batches=4, workers=1, device="cpu", share=0.01)
    assert fed.workers == 1
    assert fed.pages_per_s == pytest.approx(fed.batches_per_s)  # a page in each
    assert 0 < fed.trainer_ms < 1000 / fed.batches_per_s
    assert fed.drawing_ms > 0
    assert 0 < fed.on_a_core < 1.2
    assert fed.as_dict()["workers"] == 1
