"""The training loop: resumable, logged to a file, the same data for the same seed.

A run lives in a directory: ``state.pt`` (all that is needed to go on), ``checkpoint/`` (the published
layout), ``log.jsonl`` (a line each 50 steps, and one for each measurement on held-out pages).
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812  (torch's own idiom)
from torch.utils.data import DataLoader

from training.batches import Batch, Batches, BatchMaker
from training.curriculum import STAGES, learning_rate
from training.network import AMBIGUOUS, CHARACTERS, Network, export, load_weights
from training.optimizer import Optimizer
from training.photograph import photograph
from training.replay import Replayed
from training.sequences import IGNORED

_LOG_EVERY, _MEASURE_EVERY = 50, 250
_SAVE_EVERY_S = 150
#: Seeds of held-out pages; those of the training are smaller.
_FIRST_HELD_OUT_SEED = 10**14
#: Weight of "no character" in the auxiliary loss: nine of ten cells are empty.
_EMPTY_WEIGHT = 0.1
_WARM_UP_STEPS = 200
#: Sizes of views in pixels that are worth compiling for: small's and tiles', and base's.
_COMPILED_SIZES = (640, 1024)
#: Weight of the auxiliary loss beside the decoder's: from 1 down to this.
_LEAST_AUXILIARY_WEIGHT = 0.25


@dataclass(frozen=True)
class Run:
    """Settings of a run.

    :param assets: fonts and texts, see :mod:`training.assets`.
    :param directory: where state, log and checkpoint go; an earlier state there is taken up again.
    :param steps: length of the whole run.
    :param seconds: stop after so many seconds, saving the state; None runs to the end.
    :param seed: of weights and pages.
    :param workers: processes that draw pages; 0 draws in this one.
    :param batch_share: of the usual number of pages in a batch, for smaller machines.
    :param first_weights: a finished checkpoint to go on from, where the directory has no state yet;
        None begins at random.
    :param start: share of the run, 0 to 1, at which such a run enters the curriculum.
    :param rate: learning rates as a share of their peaks.
    :param compiler: a backend of torch.compile, such as ``inductor``, for the most frequent sizes of
        views; empty for none. It takes a minute before the first step, and nearly halves the others.
    """

    assets: Path
    directory: Path
    steps: int
    seconds: float | None = None
    seed: int = 0
    workers: int = 15
    batch_share: float = 1.0
    first_weights: Path | None = None
    start: float = 0.0
    rate: float = 1.0
    compiler: str = ""


class Trainer:
    """A run in progress."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        torch.manual_seed(run.seed)
        torch.set_float32_matmul_precision("high")
        self.dtype = torch.bfloat16 if self.device == "cuda" else torch.float32
        network = Network()
        if run.first_weights is not None and not self._state.exists():
            load_weights(network, run.first_weights)
        self.network = network.to(self.device).train()
        self.optimizer = Optimizer(self.network)
        for parameter in self.network.parameters():  # buffers, such as rotary angles, stay exact
            parameter.data = parameter.data.to(self.dtype)
        self.noise = torch.Generator(self.device).manual_seed(run.seed)
        classes = [_EMPTY_WEIGHT] + [1.0] * len(CHARACTERS)
        self._class_weights = torch.tensor(classes, device=self.device)
        self.step, self.trained_s = round(run.start * run.steps), 0.0
        self._first_step = self.step
        self._held_out: list[Batch] = []
        self._character_loss, self._text_loss = _character_loss, _text_loss
        if run.compiler:
            self._compile(run.compiler)
        self._replayed = Replayed(self._step) if self.device == "cuda" else self._step
        run.directory.mkdir(parents=True, exist_ok=True)
        if self._state.exists():
            self._resume()

    @property
    def _state(self) -> Path:
        return self.run.directory / "state.pt"

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
            "optimizer": self.optimizer.state_dict(),
            "noise": self.noise.get_state(),
            "step": self.step,
            "first_step": self._first_step,
            "trained_s": self.trained_s,
        }
        unfinished = self._state.with_suffix(".tmp")
        torch.save(state, unfinished)
        unfinished.replace(self._state)
        export(self.optimizer.masters, self.run.directory / "checkpoint")

    def _resume(self) -> None:
        state = torch.load(self._state, map_location=self.device, weights_only=True)
        self.optimizer.load_state_dict(state["optimizer"])
        self.noise.set_state(state["noise"].cpu())
        self.step, self.trained_s = state["step"], state["trained_s"]
        self._first_step = state["first_step"]

    def _batches(self) -> Iterator[Batch]:
        run = self.run
        loader = DataLoader(
            Batches(run.assets, run.seed, self.step, run.steps, run.batch_share),
            batch_size=None,
            num_workers=run.workers,
            prefetch_factor=3 if run.workers else None,
            pin_memory=self.device == "cuda",
        )
        return iter(loader)

    def _update(self, batch: Batch, tally: _Tally) -> None:
        progress = self.step / self.run.steps
        warm_up = min(_WARM_UP_STEPS, 0.1 * self.run.steps)
        # New optimizers know no momenta; a run that goes on from a checkpoint warms up as well.
        rate = min(
            learning_rate(progress, warm_up / self.run.steps),
            (self.step - self._first_step) / warm_up,
        )
        self.optimizer.set_rate(self.run.rate * rate)
        # Nothing here waits for the GPU, not even a number on its way there: steps queue up.
        weight = torch.full((), max(_LEAST_AUXILIARY_WEIGHT, 1 - 2 * progress), device=self.device)
        tally.add(batch, self._replayed([weight, *self._inputs(batch, self.noise)]))

    def _inputs(self, batch: Batch, noise: torch.Generator) -> list[torch.Tensor]:
        """On the device: ids, vision rows, labels and weights of the groups, then pixels and cells."""

        def moved(tensor: torch.Tensor) -> torch.Tensor:
            return tensor.to(self.device, non_blocking=True)

        tensors = [
            moved(tensor)
            for group in batch.sequences
            for tensor in (group.ids, group.vision_rows, group.labels, group.weights)
        ]
        for views in batch.views:
            pixels, inside = moved(views.pixels), moved(views.inside)
            tensors.append(photograph(pixels, inside, noise, self.dtype))
            tensors.append(moved(views.cells))
        return tensors

    def _step(self, tensors: list[torch.Tensor]) -> torch.Tensor:
        """Losses, gradients, update.

        :param tensors: the weight of the character loss, and what :meth:`_inputs` gives.
        :returns: see :meth:`_losses`.
        """
        weight, *inputs = tensors
        figures = self._losses(inputs)
        (figures[0] + weight * figures[2]).backward()
        self.optimizer.step()
        return figures.detach()

    def _losses(self, inputs: list[torch.Tensor]) -> torch.Tensor:
        """(4,): loss and share foretold of the answers' tokens, the same of characters in cells."""
        inputs, groups, seen = list(inputs), [], []
        while inputs[0].ndim == 2:
            groups.append([inputs.pop(0) for _ in range(4)])
        while inputs:
            seen.append(self._look(inputs.pop(0), inputs.pop(0)))
        vision = torch.cat([tokens.flatten(0, 1) for tokens, _ in seen])
        answered = [self._answer(vision, *group) for group in groups]
        # Of several views the last show the characters: the tiles.
        characters = seen[-1][1]
        if not answered:
            return torch.cat([torch.zeros_like(characters), characters])
        loss, weight, right, count = torch.stack(answered).sum(0).unbind()
        text = torch.stack([loss / (weight + 1), right / (count + 1)])
        return torch.cat([text, characters])

    def _look(self, pixels: torch.Tensor, cells: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Vision tokens; and the loss on characters in cells with the share of them named."""
        tokens, logits = self.network.see(pixels)
        return tokens, self._character_loss(logits, cells, self._class_weights)

    def _answer(
        self,
        vision: torch.Tensor,
        ids: torch.Tensor,
        vision_rows: torch.Tensor,
        labels: torch.Tensor,
        weights: torch.Tensor,
    ) -> torch.Tensor:
        """(4,): see :func:`_text_loss`."""
        states = self.network.decode(self.network.embed(ids, vision, vision_rows))
        return self._text_loss(self.network.model.lm_head(states), labels, weights)

    def _compile(self, backend: str) -> None:
        self.network.compile_layers(backend, _COMPILED_SIZES)
        for name in ("_character_loss", "_text_loss"):
            function = torch.compile(getattr(self, name), backend=backend, fullgraph=True)

            def with_any_shape(*tensors: torch.Tensor, function: Any = function) -> torch.Tensor:
                classes = tensors[1]
                for tensor in tensors:
                    for dimension in range(min(classes.ndim, tensor.ndim)):
                        torch._dynamo.maybe_mark_dynamic(tensor, dimension)
                return function(*tensors)

            setattr(self, name, with_any_shape)

    def _measure(self) -> None:
        """Loss and share of tokens foretold on held-out pages, the answer so far being given.

        Gradients are recorded for nothing: what is compiled for the training can be used.
        """
        if not self._held_out:
            maker = BatchMaker(self.run.assets, "heldout", 0.5 * self.run.batch_share)
            for mode in ("small", "base"):
                seen = maker.see(_FIRST_HELD_OUT_SEED, mode, STAGES[-1])
                self._held_out.append(maker.ask(0, seen, mode, STAGES[-1]))
        tally = _Tally()
        for batch in self._held_out:
            noise = torch.Generator(self.device).manual_seed(0)
            inputs = self._inputs(batch, noise)
            tally.add(batch, self._losses(inputs).detach())
        self._log(step=self.step, seconds=round(self.trained_s, 1), held_out=tally.take()["modes"])

    def _log(self, **values: Any) -> None:
        line = json.dumps(values)
        print(line, flush=True)
        with (self.run.directory / "log.jsonl").open("a") as file:
            file.write(line + "\n")


def _character_loss(
    logits: torch.Tensor, cells: torch.Tensor, class_weights: torch.Tensor
) -> torch.Tensor:
    """(2,): mean loss on the characters in cells, and the share of them named.

    :param logits: (views, rows, columns, classes).
    :param cells: (views, rows, columns).
    """
    logits, cells = logits.flatten(0, 2).float(), cells.flatten().long()
    printed = (cells > 0) & (cells != AMBIGUOUS)
    asked = (cells == 0).sum() * _EMPTY_WEIGHT + printed.sum() + 1
    loss = F.cross_entropy(logits, cells, class_weights, ignore_index=AMBIGUOUS, reduction="sum")
    right = ((logits.argmax(-1) == cells) & printed).sum() / (printed.sum() + 1)
    return torch.stack([loss / asked, right])


def _text_loss(logits: torch.Tensor, labels: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """(4,): weighted sum of the losses on tokens, sum of the weights, tokens foretold, tokens.

    :param logits: (sequences, length, vocabulary).
    :param labels: (sequences, length).
    :param weights: (sequences,).
    """
    losses = F.cross_entropy(
        logits.flatten(0, 1).float(), labels.flatten(), ignore_index=IGNORED, reduction="none"
    ).view_as(labels)
    asked = labels != IGNORED
    right = (logits.argmax(-1) == labels) & asked
    return torch.stack(
        [
            (losses * weights[:, None]).sum(),
            (asked * weights[:, None]).sum(),
            right.sum().float(),
            asked.sum().float(),
        ]
    )


class _Tally:
    """Sums between two lines of the log; tensors stay on the device until they are asked for."""

    def __init__(self) -> None:
        self._reset()
        self._pause = time.monotonic()

    def _reset(self) -> None:
        self._figures: dict[str, list[torch.Tensor]] = {}
        self._pages, self._wait_s, self._since = 0, 0.0, time.monotonic()

    def resume(self) -> None:
        self._pause = time.monotonic()

    def waited(self) -> None:
        self._wait_s += time.monotonic() - self._pause

    def add(self, batch: Batch, figures: torch.Tensor) -> None:
        self._pages += batch.pages
        self._figures.setdefault(batch.mode, []).append(figures)

    def take(self) -> dict[str, Any]:
        """Means by mode, and speeds; starts afresh.

        :raises FloatingPointError: if the loss is no longer finite.
        """
        names = ("loss", "tokens_right", "character_loss", "characters_right")
        modes = {}
        for mode, rows in self._figures.items():
            means = torch.stack(rows).mean(0).tolist()
            if not all(map(math.isfinite, means)):
                raise FloatingPointError("the loss is not finite; go on from an earlier state")
            modes[mode] = {name: round(mean, 4) for name, mean in zip(names, means, strict=True)}
            modes[mode]["batches"] = len(rows)
        passed = time.monotonic() - self._since
        result = {
            "modes": modes,
            "pages_per_s": round(self._pages / passed, 1),
            "waiting": round(self._wait_s / passed, 3),
        }
        self._reset()
        return result
