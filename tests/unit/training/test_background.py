"""A run in the background: begun, asked after, stopped; and what is tried after a failure."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from training import background
from training.__main__ import main

ARGUMENTS = ["--steps", "9", "--compiler", "inductor", "--cards", "2", "--seconds", "500"]


@pytest.fixture(autouse=True)
def own_modules(monkeypatch: pytest.MonkeyPatch) -> None:
    """The watcher finds the modules under test, whatever is installed."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[3]))


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "run"
    background.stop(tmp_path / "run")


def wait(directory: Path, what: str, seconds: float) -> None:
    until = time.monotonic() + seconds
    while what not in (said := background.status(directory)):
        assert time.monotonic() < until, said
        time.sleep(0.1)


def test_a_failure_before_the_first_steps_is_followed_by_less(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    tried = list(background.attempts(ARGUMENTS, log))
    assert tried[0] == ARGUMENTS
    assert tried[1] == ["--steps", "9", "--cards", "2", "--seconds", "500"]
    assert tried[2] == ["--steps", "9", "--seconds", "500", "--cards", "1"]
    assert len(tried) == 4


def test_an_accident_after_some_steps_is_followed_by_the_same(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    tried = background.attempts(ARGUMENTS, log)
    for _ in range(2):
        assert next(tried) == ARGUMENTS
        with log.open("a") as file:
            file.write("{}\n")
    assert next(tried) == ARGUMENTS
    assert "--compiler" not in next(tried)


def test_seconds_of_earlier_attempts_are_taken_off() -> None:
    assert background._with_seconds_left(ARGUMENTS, 120.0) == [*ARGUMENTS[:-1], "380"]
    assert background._with_seconds_left(ARGUMENTS, 450.0) is None
    assert background._with_seconds_left(["--steps", "9"], 450.0) == ["--steps", "9"]


def test_wrong_arguments_end_it_at_once_and_are_shown(
    directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["background", "start", "--out", str(directory), "--", "--assets", "missing"]
    assert main(command) == 0
    wait(directory, "is not running", 60)
    assert main(["background", "status", "--out", str(directory)]) == 0
    said = capsys.readouterr().out
    assert "there is no directory missing" in said
    assert "attempt 1 ended with 2" in said
    assert "attempt 2" not in said
    with pytest.raises(RuntimeError, match="--rates fall --seconds 30"):
        background.fall(directory, 30)
    with pytest.raises(SystemExit):
        main(["packages", "--", "--steps", "3"])


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_stopped_run_has_its_state_and_goes_on(assets: Path, directory: Path) -> None:
    arguments = ["--assets", str(assets), "--steps", "100000", "--workers", "1"]
    arguments += ["--batch-share", "0.001", "--cards", "2"]
    background.start(directory, arguments)
    with pytest.raises(RuntimeError, match="stop it first"):
        background.start(directory, arguments)
    wait(directory, '"step": 50', 600)
    assert main(["background", "fall", "--out", str(directory), "--seconds", "500"]) == 0
    wait(directory, "falls_in_s", 60)
    background.stop(directory)
    assert "is not running" in background.status(directory)
    assert "ended with 0" in background.status(directory)
    progress = json.loads((directory / "progress.json").read_text())
    state = torch.load(directory / "state.pt", weights_only=True)
    assert progress["step"] == state["step"] >= 50
