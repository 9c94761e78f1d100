"""The loop: stopped and resumed it is the loop that was not stopped."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image

from airflow_deepseek_ocr.model.deepseek_ocr.checkpoint import load_checkpoint
from training import curriculum, train
from training.__main__ import main
from training.batches import BatchMaker
from training.curriculum import PageSpec, Stage, learning_rate
from training.network import Network
from training.pace import Pace
from training.photograph import photograph
from training.state import RunState
from training.train import Run, Trainer

STEPS = 4
#: A network is trained in each; the training is no part of the package.
pytestmark = pytest.mark.slow

#: The vision tower alone, then short texts: what takes minutes here is the size of pages.
SHORT = (
    Stage(0.5, {"tiny": 1}, {"tiny": PageSpec(60, (18, 40))}),
    Stage(
        1.0,
        {"tiny": 1},
        dict.fromkeys(("tiny", "small", "base"), PageSpec(60, (18, 40), (64, 88, 120, 160, 192))),
        ("free",),
    ),
)


@pytest.fixture(autouse=True)
def short_curriculum(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(curriculum, "STAGES", SHORT)
    monkeypatch.setattr(train, "STAGES", SHORT)


@pytest.fixture
def run(assets: Path, tmp_path: Path) -> Run:
    return Run(assets, tmp_path / "run", steps=STEPS, workers=0, batch_share=0.02)


def weights(trainer: Trainer) -> dict[str, torch.Tensor]:
    return {name: master.detach() for name, master in trainer.optimizer.masters.items()}


def recorded_rates(trainer: Trainer, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    rates: list[float] = []
    set_rate = trainer.optimizer.set_rate

    def record(share: float) -> None:
        rates.append(share)
        set_rate(share)

    monkeypatch.setattr(trainer.optimizer, "set_rate", record)
    return rates


def test_stopped_and_resumed_is_not_stopped(run: Run, tmp_path: Path) -> None:
    whole = Trainer(replace(run, directory=tmp_path / "whole"))
    start = {name: weight.clone() for name, weight in weights(whole).items()}
    whole.train()
    first = Trainer(replace(run, seconds=0.0))
    first.train()
    assert 0 < first.step < STEPS
    second = Trainer(run)
    assert second.step == first.step
    second.train()
    assert second.step == whole.step == STEPS
    for name, weight in weights(whole).items():
        assert torch.allclose(weight, weights(second)[name], atol=1e-6), name
    changed = [name for name, weight in weights(whole).items() if not weight.equal(start[name])]
    assert len(changed) > 0.5 * len(start)
    load_checkpoint(run.directory / "checkpoint", "cpu", torch.float32)


def test_command_line(assets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train, "_LOG_EVERY", 2)
    monkeypatch.setattr(train, "_MEASURE_EVERY", 2)
    out = tmp_path / "run"
    arguments = ["--assets", str(assets), "--out", str(out), "--workers", "0"]
    code = main(["train", *arguments, "--steps", "2", "--batch-share", "0.001"])
    assert code == 0
    trained, measured = map(json.loads, (out / "log.jsonl").read_text().splitlines())
    assert trained["step"] == measured["step"] == 2
    assert sum(mode["batches"] for mode in trained["modes"].values()) == 2
    assert measured["held_out"].keys() == {"small", "base"}
    assert measured["held_out"]["base"]["loss"] > 0
    assert measured["measuring_s"] > 0
    assert (out / "checkpoint" / "model.safetensors.index.json").exists()


def test_a_run_continues_elsewhere_from_its_exported_weights(run: Run, tmp_path: Path) -> None:
    first = Trainer(replace(run, seconds=0.0))
    first.train()
    parts, there = tmp_path / "parts", tmp_path / "there"
    assert main(["pack", str(run.directory), "--out", str(parts), "--part-size", "12"]) == 0
    sizes = [part.stat().st_size for part in sorted(parts.iterdir())]
    assert len(sizes) == 3
    assert max(sizes) <= 12 * 2**20
    there.mkdir()
    (there / "state.pt").write_bytes(b"of other weights")
    assert main(["unpack", str(parts), "--out", str(there)]) == 0
    second = Trainer(replace(run, directory=there, first_weights=tmp_path / "missing"))
    assert second.step == second._first_step == first.step, "new momenta warm up"
    for name, weight in weights(first).items():
        assert torch.allclose(weights(second)[name], weight, atol=1e-3), name
    with pytest.raises(FileNotFoundError, match="train first"):
        main(["pack", str(tmp_path), "--out", str(parts)])


def test_held_rates_stay_and_falling_ones_end_at_zero(run: Run) -> None:
    trainer = Trainer(replace(run, rates="hold", rate=0.5))
    trainer.step, started = 2, trainer._began + 4
    assert trainer._rate(trainer._began + 50, started) == 0.5
    trainer.run = replace(run, rates="fall", seconds=104.0)
    assert trainer._rate(started, started) == 1.0
    assert trainer._rate(started + 50, started) == pytest.approx(0.5)
    assert trainer._rate(started + 200, started) == 0.0
    with pytest.raises(ValueError, match="--seconds"):
        replace(run, rates="fall")


def test_rates_fall_when_somebody_asks_and_then_the_run_ends(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train, "_LOOK_EVERY_S", 0.0)
    trainer = Trainer(replace(run, steps=4000, rates="hold", start=0.5))
    trainer._first_step = -400  # warmed up
    state = RunState(run.directory)
    run.directory.mkdir()
    state.ask_to_fall(3.0)
    rates = recorded_rates(trainer, monkeypatch)
    trainer.train()
    assert trainer.step < 4000
    assert 0.5 < rates[0] <= 1.0
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] == 0.0
    assert state.asked_to_fall() is None, "asked once"
    (line,) = map(json.loads, (run.directory / "log.jsonl").read_text().splitlines()[:1])
    assert line["falls_in_s"] == 3.0


@pytest.mark.timeout(900)  # two processes that each load all of transformers
def test_two_processes_are_one_training(run: Run) -> None:
    """The first writes the state; one goes on alone."""
    train.train(replace(run, cards=2, steps=2))
    alone = Trainer(run)
    assert (alone.step, alone.cards.count) == (2, 1)
    torch.manual_seed(run.seed)
    start = dict(Network().named_parameters())
    moved = [not weight.equal(start[name]) for name, weight in weights(alone).items()]
    assert sum(moved) > 0.3 * len(moved)
    with alone._feed() as feed:
        alone._update(next(iter(feed)), 0.1, Pace("cpu"))


def test_photographs_keep_padding_exact() -> None:
    pixels = torch.full((40, 64, 64), 127, dtype=torch.uint8)
    pixels[:, 8:56] = 250
    inside = torch.tensor([[0, 8, 64, 56]]).repeat(40, 1)
    taken = photograph(pixels, inside, torch.Generator().manual_seed(0))
    assert taken.shape == (40, 3, 64, 64)
    assert taken.abs().max() <= 1
    padding = torch.cat([taken[:, :, :8], taken[:, :, 56:]], dim=2)
    assert torch.allclose(padding, torch.tensor((127 / 255 - 0.5) / 0.5))
    plain = ((taken[:, :, 8:56] - (250 / 255 - 0.5) / 0.5).abs() < 1e-6).flatten(1).all(1)
    assert 10 < int(plain.sum()) < 35, "about half stay as they are"
    coloured = (taken[:, 0] != taken[:, 1]).flatten(1).any(1)
    assert coloured.any()
    again = photograph(pixels, inside, torch.Generator().manual_seed(0))
    assert torch.equal(taken, again)


def test_a_run_goes_on_from_a_checkpoint(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = Trainer(run)
    first.save()
    second = Trainer(
        replace(
            run,
            directory=tmp_path / "second",
            seed=1,
            seconds=0.0,
            first_weights=run.directory / "checkpoint",
            start=0.5,
            rate=0.1,
        )
    )
    assert second.step == STEPS // 2
    before = {name: weight.clone() for name, weight in weights(second).items()}
    for name, weight in weights(first).items():
        same = torch.allclose(before[name], weight, atol=1e-3)
        assert same, name
    rates = recorded_rates(second, monkeypatch)
    second.train()
    assert rates == [0.0], "new optimizers warm up"

    # Resumed, where and how it began is known; weights and start that are named are not taken.
    resumed = replace(second.run, seconds=None, first_weights=tmp_path / "missing", start=1.0)
    third = Trainer(resumed)
    assert third.step == second.step == STEPS // 2 + 1
    assert all(weight.equal(weights(second)[name]) for name, weight in weights(third).items())
    before = {name: weight.clone() for name, weight in weights(third).items()}
    rates = recorded_rates(third, monkeypatch)
    third.train()
    assert rates == [pytest.approx(0.1 * learning_rate(0.75, 0.1))]
    assert any(not weight.equal(before[name]) for name, weight in weights(third).items())


@pytest.mark.slow
def test_compiled_is_the_same(run: Run, tmp_path: Path) -> None:
    """Traced as a compiler would have it, in all shapes; the backend runs PyTorch's own kernels."""
    modes = ("small", "gundam", "small")
    spec = PageSpec(150, (19, 40), (96, 144, 200, 280, 400))
    stage = Stage(1.0, {}, dict.fromkeys(modes, spec), ("free", "markdown"))
    losses = []
    for compiler in ("", "aot_eager"):
        trainer = Trainer(replace(run, directory=tmp_path / f"run {compiler}", compiler=compiler))
        maker = BatchMaker(run.assets, share=0.04)
        for mode in modes:
            batch = maker.ask(1, maker.see(1, mode, stage), mode, stage)
            inputs = trainer._inputs(batch, torch.Generator().manual_seed(0))
            losses.append(trainer._make_gradients([torch.ones(()), *inputs]))
    plain, compiled = losses[: len(modes)], losses[len(modes) :]
    for one, other in zip(plain, compiled, strict=True):
        assert torch.allclose(one, other, atol=1e-3)


def test_plot(run: Run, tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    figures = {"loss": 1.0, "tokens_right": 0.5, "characters_right": 0.6}
    lines = [{"step": 250, "seconds": 20.0, "held_out": {"small": figures, "base": figures}}]
    log.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert main(["plot", str(log), str(log), "--out", str(tmp_path / "plot.png")]) == 0
    with Image.open(tmp_path / "plot.png") as picture:
        assert picture.width > 500
    log.write_text("")
    with pytest.raises(ValueError, match="no measurements"):
        main(["plot", str(log), "--out", str(tmp_path / "none.png")])
