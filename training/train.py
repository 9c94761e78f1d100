"""The training loop: resumable, logged to a file, the same data for the same seed.

A run lives in a folder: ``state.pt`` (all that is needed to go on), ``checkpoint/`` (the published
layout), ``log.jsonl`` (one line each 50 steps and one for each evaluation).
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812  (torch's own idiom)
from torch.utils.data import DataLoader

from training.batches import Batch, Batches, BatchMaker, Sequences
from training.curriculum import STAGES, learning_rate
from training.network import AMBIGUOUS, Network, export
from training.optimizer import make_optimizers
from training.views import Views

_LOG_EVERY, _MEASURE_EVERY = 50, 250
#: Seeds of held-out pages; those of the training are smaller.
_FIRST_HELD_OUT_SEED = 10**14
_SAVE_EVERY_S = 120
#: Weight of "no character" in the auxiliary loss: nine of ten cells are empty.
_EMPTY_WEIGHT = 0.1
_CLIP_NORM = 1.0

_LossAndRight = tuple[torch.Tensor, torch.Tensor]


@dataclass(frozen=True)
class Run:
    """Settings of a run.

    :param assets: fonts and texts, see :mod:`training.assets`.
    :param folder: where state, log and checkpoint go; an earlier state there is taken up again.
    :param steps: length of the whole run.
    :param seconds: stop after so many seconds, saving the state; None runs to the end.
    :param seed: of weights and pages.
    :param workers: processes that draw pages.
    :param batch_share: of the usual number of pages in a batch, for smaller machines.
    """

    assets: Path
    folder: Path
    steps: int
    seconds: float | None = None
    seed: int = 0
    workers: int = 15
    batch_share: float = 1.0


class Trainer:
    """A run in progress."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        torch.manual_seed(run.seed)
        torch.set_float32_matmul_precision("high")
        self.network = Network().to(self.device).train()
        self.optimizers = make_optimizers(self.network, fused=self.device == "cuda")
        self.noise = torch.Generator(self.device).manual_seed(run.seed)
        self.step = 0
        self._held_out: list[Batch] = []
        self.trained_s = 0.0
        run.folder.mkdir(parents=True, exist_ok=True)
        if self._state.exists():
            self._resume()

    @property
    def _state(self) -> Path:
        return self.run.folder / "state.pt"

    def train(self) -> None:
        """Go on to the end of the run, or until its seconds are over."""
        started = time.monotonic()
        began_at, last_saved, tally = self.trained_s, started, _Tally()
        for batch in self._batches():
            tally.waited()
            self._update(batch, tally)
            self.step += 1
            self.trained_s = began_at + time.monotonic() - started
            if self.step % _LOG_EVERY == 0:
                self._log(step=self.step, seconds=round(self.trained_s, 1), **tally.take())
            if self.step % _MEASURE_EVERY == 0:
                self._measure()
            now = time.monotonic()
            if self.run.seconds is not None and now - started > self.run.seconds:
                break
            if now - last_saved > _SAVE_EVERY_S:
                self.save()
                last_saved = now
            tally.resume()
        self.save()

    def save(self) -> None:
        """Write state and checkpoint; a crash in the middle leaves the earlier state."""
        state = {
            "network": self.network.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "noise": self.noise.get_state(),
            "step": self.step,
            "trained_s": self.trained_s,
        }
        unfinished = self._state.with_suffix(".tmp")
        torch.save(state, unfinished)
        unfinished.replace(self._state)
        export(self.network, self.run.folder / "checkpoint")

    def _resume(self) -> None:
        state = torch.load(self._state, map_location=self.device, weights_only=True)
        self.network.load_state_dict(state["network"])
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        self.noise.set_state(state["noise"].cpu())
        self.step, self.trained_s = state["step"], state["trained_s"]

    def _batches(self) -> Iterator[Batch]:
        run = self.run
        loader = DataLoader(
            Batches(run.assets, run.seed, self.step, run.steps, run.batch_share),
            batch_size=None,
            num_workers=run.workers,
            prefetch_factor=3 if run.workers else None,
        )
        return iter(loader)

    def _update(self, batch: Batch, tally: _Tally) -> None:
        progress = self.step / self.run.steps
        rate = learning_rate(progress, warm_up=min(300 / self.run.steps, 0.1))
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = group["peak_lr"] * rate
        text, characters = self._losses(batch, self.noise)
        # Once the glyphs are known, all attention belongs to the text.
        loss = text[0] + characters[0] * max(0.1, 1 - 2 * progress)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), _CLIP_NORM, foreach=True)
        for optimizer in self.optimizers:
            optimizer.step()
        self.network.zero_grad(set_to_none=True)
        tally.add(batch, text, characters)

    def _losses(self, batch: Batch, noise: torch.Generator) -> tuple[_LossAndRight, _LossAndRight]:
        """(loss, share right) of the answers' tokens, and of the characters in cells."""
        with torch.autocast(self.device, torch.bfloat16, enabled=self.device == "cuda"):
            seen = [
                self._losses_of_views(*self._view_inputs(views, noise)) for views in batch.views
            ]
            vision = torch.cat([tokens.flatten(0, 1) for tokens, _, _ in seen])
            labels = sum(len(group.labels) for group in batch.sequences)
            losses, right = zip(
                *(
                    self._loss_of_sequences(vision, *self._sequence_inputs(each))
                    for each in batch.sequences
                ),
                strict=True,
            )
        shares = [len(group.labels) / labels for group in batch.sequences]
        loss, accuracy = (
            torch.stack([value * share for value, share in zip(values, shares, strict=True)]).sum()
            for values in (losses, right)
        )
        # Of several views the last show the characters: the tiles.
        return (loss, accuracy), seen[-1][1:]

    def _losses_of_views(
        self, pixels: torch.Tensor, cells: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Vision tokens, the loss on characters in cells, and the share of them named right."""
        tokens, logits = self.network.see(pixels)
        logits, cells = logits.flatten(0, 2).float(), cells.flatten().long()
        weights = torch.ones(logits.shape[-1], device=logits.device)
        weights[0] = _EMPTY_WEIGHT
        loss = F.cross_entropy(logits, cells, weights, ignore_index=AMBIGUOUS, reduction="sum") / (
            (cells == 0).sum() * _EMPTY_WEIGHT + ((cells > 0) & (cells != AMBIGUOUS)).sum() + 1
        )
        printed = (cells > 0) & (cells != AMBIGUOUS)
        right = ((logits.argmax(-1) == cells) & printed).sum() / (printed.sum() + 1e-9)
        return tokens, loss, right

    def _loss_of_sequences(
        self,
        vision: torch.Tensor,
        ids: torch.Tensor,
        vision_rows: torch.Tensor,
        labelled: torch.Tensor,
        labels: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The loss on the answers' tokens, and the share of them foretold."""
        states = self.network.decode(self.network.embed(ids, vision, vision_rows))
        logits = self.network.model.lm_head(states.flatten(0, 1)[labelled])
        right = (logits.argmax(-1) == labels).float().mean()
        return F.cross_entropy(logits.float(), labels), right

    def _view_inputs(
        self, views: Views, noise: torch.Generator
    ) -> tuple[torch.Tensor, torch.Tensor]:
        pixels = views.pixels.to(self.device, non_blocking=True)
        pixels = photograph(pixels, views.inside.to(self.device), noise)
        cells = views.cells.to(self.device, non_blocking=True)
        return pixels, cells

    def _sequence_inputs(self, group: Sequences) -> tuple[torch.Tensor, ...]:
        return tuple(
            getattr(group, field.name).to(self.device, non_blocking=True)
            for field in fields(Sequences)
        )

    @torch.no_grad()
    def _measure(self) -> None:
        """Loss and share of tokens foretold on held-out pages, the answer so far being given."""
        tally = _Tally()
        self.network.eval()
        for batch in self._held_out_batches():
            text, characters = self._losses(batch, torch.Generator(self.device).manual_seed(0))
            tally.add(batch, text, characters)
        self.network.train()
        self._log(step=self.step, seconds=round(self.trained_s, 1), held_out=tally.take()["modes"])

    def _held_out_batches(self) -> list[Batch]:
        if not self._held_out:
            maker, share = BatchMaker(self.run.assets, "heldout"), 0.5 * self.run.batch_share
            self._held_out = [
                maker.batch(_FIRST_HELD_OUT_SEED + seed, mode, STAGES[-1], share)
                for mode in ("small", "base")
                for seed in range(2)
            ]
        return self._held_out

    def _log(self, **values: Any) -> None:
        line = json.dumps(values)
        print(line, flush=True)
        with (self.run.folder / "log.jsonl").open("a") as file:
            file.write(line + "\n")


class _Tally:
    """Sums between two lines of the log; tensors stay on the device until they are asked for."""

    def __init__(self) -> None:
        self._reset()
        self._pause = time.monotonic()

    def _reset(self) -> None:
        self._sums: dict[str, list[torch.Tensor]] = {}
        self._pages, self._wait_s, self._since = 0, 0.0, time.monotonic()

    def resume(self) -> None:
        self._pause = time.monotonic()

    def waited(self) -> None:
        self._wait_s += time.monotonic() - self._pause

    def add(self, batch: Batch, text: _LossAndRight, characters: _LossAndRight) -> None:
        self._pages += batch.pages
        values = torch.stack([value.detach().float() for value in (*text, *characters)])
        self._sums.setdefault(batch.mode, []).append(values)

    def take(self) -> dict[str, Any]:
        """Means by mode, and speeds; starts afresh."""
        modes = {}
        for mode, rows in self._sums.items():
            mean = torch.stack(rows).mean(0).tolist()
            modes[mode] = {
                "loss": round(mean[0], 4),
                "tokens_right": round(mean[1], 4),
                "character_loss": round(mean[2], 4),
                "characters_right": round(mean[3], 4),
                "batches": len(rows),
            }
            if not math.isfinite(mean[0]):
                raise FloatingPointError("the loss is not finite; go on from an earlier state")
        passed = time.monotonic() - self._since
        result = {
            "modes": modes,
            "pages_per_s": round(self._pages / passed, 1),
            "waiting": round(self._wait_s / passed, 3),
        }
        self._reset()
        return result


def photograph(
    pixels: torch.Tensor, inside: torch.Tensor, generator: torch.Generator
) -> torch.Tensor:
    """Normalised RGB views as a camera or scanner might have seen them: colour, light, noise.

    Half of the views stay as they are.

    :param pixels: uint8 (views, size, size).
    :param inside: (views, 4): the part that shows the page; padding stays exact.
    :param generator: of the device of ``pixels``.
    :returns: float32 (views, 3, size, size).
    """
    count, size, _ = pixels.shape
    device = pixels.device

    def uniform(*shape: int) -> torch.Tensor:
        return torch.rand(shape, generator=generator, device=device)

    def some(share: float) -> torch.Tensor:
        return (uniform(count, 1, 1, 1) < share).float()

    grey = pixels[:, None].float() / 255
    # Ink and paper get colours of their own.
    ink, paper = 0.35 * uniform(count, 3, 1, 1), 1 - 0.2 * uniform(count, 3, 1, 1)
    tinted = some(0.25)
    colour = grey + tinted * (ink + (paper - ink) * grey - grey)
    # Light falls off to one side.
    ramp = torch.linspace(-1, 1, size, device=device)
    slope = (uniform(count, 2, 1, 1) - 0.5) * 0.25 * some(0.15)
    light = 1 + slope[:, :1] * ramp[:, None] + slope[:, 1:] * ramp
    noise = torch.randn((count, 1, size, size), generator=generator, device=device)
    noise = noise * (0.05 * uniform(count, 1, 1, 1)) * some(0.3)
    colour = (colour * light + noise).clamp(0, 1)
    rows, columns = torch.arange(size, device=device)[:, None], torch.arange(size, device=device)
    x1, y1, x2, y2 = (edge[:, None, None] for edge in inside.unbind(1))
    shown = (rows >= y1) & (rows < y2) & (columns >= x1) & (columns < x2)
    return (torch.where(shown[:, None], colour, grey) - 0.5) / 0.5
