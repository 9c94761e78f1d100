"""The training loop on one or several cards: resumable, logged to a file, the same data for the same seed.

A run lives in a directory: see :mod:`training.state`, and ``log.jsonl`` (a line each 50 steps, and one for
each measurement on held-out pages).
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from training.batches import Batch, BatchMaker
from training.cards import Cards, count_cards, on_cards, on_termination
from training.curriculum import STAGES, learning_rate
from training.feed import Feed, usual_workers
from training.losses import EMPTY_WEIGHT, character_loss, text_loss
from training.network import CHARACTERS, Network, load_weights
from training.optimizer import Optimizer
from training.pace import Pace
from training.photograph import photograph
from training.replay import Replayed
from training.schedule import TIMES_ASKED, Schedule
from training.state import Progress, RunState

_LOG_EVERY, _MEASURE_EVERY = 50, 1000
_SAVE_EVERY_S = 90
#: How often a training looks whether its rates shall fall.
_LOOK_EVERY_S = 1.0
#: Modes of held-out batches, with the share of the usual pages. In half of gundam's a group would have one
#: sequence, for which the decoder is compiled anew.
_MEASURED_SHARES = {"small": 0.5, "base": 0.5, "gundam": 1.0}
#: Seeds of held-out pages; those of the training are smaller.
_FIRST_HELD_OUT_SEED = 10**14
_WARM_UP_STEPS = 200
#: Sizes of views in pixels that are worth compiling for: small's and tiles', and base's.
_COMPILED_SIZES = (640, 1024)
#: Weight of the auxiliary loss beside the decoder's: from 1 down to this.
_LEAST_AUXILIARY_WEIGHT = 0.25


#: How the learning rates of a piece go: by the share of the run's steps that is done; warmed up and held; or
#: from there down to zero by the end of the piece's seconds.
RATES = ("course", "hold", "fall")


@dataclass(frozen=True)
class Run:
    """Settings of a run.

    :param assets: fonts and texts, see :mod:`training.assets`.
    :param directory: where state, log and checkpoint go; an earlier state there is taken up again.
    :param steps: length of the whole run.
    :param seconds: stop after so many seconds, saving the state; None runs to the end. Starting and
        compiling count.
    :param seed: of weights and pages.
    :param workers: processes that draw pages, for each card; 0 draws in the trainer's own. None for one
        less than the card's share of the cores.
    :param batch_share: of the usual number of pages in a batch, for smaller machines.
    :param first_weights: a finished checkpoint to go on from, where the directory has no state yet;
        None begins at random.
    :param start: share of the run, 0 to 1, at which such a run enters the curriculum.
    :param rate: learning rates as a share of their peaks.
    :param rates: one of :data:`RATES`.
    :param compiler: a backend of torch.compile, such as ``inductor``, for the most frequent sizes of
        views; empty for none. It takes a minute before the first step, and nearly halves the others.
    :param cards: how many GPUs, or processes on a CPU; None for all GPUs.
    :param times_asked: batches that ask about the same pages.
    """

    assets: Path
    directory: Path
    steps: int
    seconds: float | None = None
    seed: int = 0
    workers: int | None = None
    batch_share: float = 1.0
    first_weights: Path | None = None
    start: float = 0.0
    rate: float = 1.0
    rates: str = "course"
    compiler: str = ""
    cards: int | None = None
    times_asked: int = TIMES_ASKED

    def __post_init__(self) -> None:
        if self.times_asked < 1:
            raise ValueError(f"pages are asked about once at least, not {self.times_asked} times")
        if self.rates not in RATES:
            raise ValueError(f"no rates {self.rates!r}; there are {', '.join(RATES)}")
        if self.rates == "fall" and self.seconds is None:
            raise ValueError("rates that fall need the seconds of the piece: give --seconds")


def train(run: Run) -> None:
    """Train on all cards of the run, or go on where it stopped."""
    on_cards(run.cards or count_cards(), _train_on, run)


def _train_on(cards: Cards, run: Run) -> None:
    Trainer(run, cards).train()


class Trainer:
    """A run in progress, on one card.

    :param run: the settings.
    :param cards: this one among all; without it the only one.
    """

    def __init__(self, run: Run, cards: Cards | None = None) -> None:
        self._began = time.monotonic()
        self.run, self.cards = run, cards or Cards()
        self.device = self.cards.device
        self._on_gpu = self.device.startswith("cuda")
        self._state = RunState(run.directory)
        torch.manual_seed(run.seed)
        torch.set_float32_matmul_precision("high")
        self.dtype = torch.bfloat16 if self._on_gpu else torch.float32
        network, progress = self._first_network()
        self.network = network.to(self.device).train()
        self.optimizer = Optimizer(self.network)
        for parameter in self.network.parameters():  # buffers, such as rotary angles, stay exact
            parameter.data = parameter.data.to(self.dtype)
        self.noise = torch.Generator(self.device)
        classes = [EMPTY_WEIGHT] + [1.0] * len(CHARACTERS)
        self._class_weights = torch.tensor(classes, device=self.device)
        if self._state.is_whole:
            progress = self._state.load(self.optimizer, self.device)
        self.step, self.trained_s = progress.step, progress.trained_s
        self._first_step = progress.first_step
        self._asked_to_stop = False
        self._held_out: list[Batch] = []
        self._character_loss, self._text_loss = character_loss, text_loss
        if run.compiler:
            self._compile(run.compiler)
        # Weights that batches with and without texts give gradients to.
        self._moved: dict[bool, tuple[str, ...]] = {}
        self._gradients = self._replayed(self._make_gradients)
        self._updates = {
            texts: self._replayed(partial(self._apply_gradients, texts)) for texts in (True, False)
        }

    def _replayed(self, function: Callable[[list[torch.Tensor]], torch.Tensor]) -> Any:
        return Replayed(function) if self._on_gpu else function

    def _first_network(self) -> tuple[Network, Progress]:
        """The network and how far it is, unless a whole state will say so."""
        run, network = self.run, Network()
        start = round(run.start * run.steps)
        progress = Progress(start, start)
        if self._state.is_whole:
            return network, progress
        if self._state.is_carried:
            load_weights(network, self._state.checkpoint)
            progress = self._state.carried()
        elif run.first_weights is not None:
            load_weights(network, run.first_weights)
        return network, progress

    def train(self) -> None:
        """Go on to the end of the run, until its seconds are over, or until SIGTERM comes."""
        with on_termination(self._stop):
            self._train()

    def _stop(self) -> None:
        self._asked_to_stop = True

    def _train(self) -> None:
        with self._feed() as feed:
            self._learn(feed)
        self.save()

    def _learn(self, feed: Feed) -> None:
        began_at, began = self.trained_s, time.monotonic()
        started = last_saved = last_looked = began
        pace = Pace(self.device, self.cards.count, feed)
        if self.cards.first and self.run.steps // _MEASURE_EVERY > self.step // _MEASURE_EVERY:
            self._draw_held_out()  # while the workers draw their first pages
        for batch in feed:
            now = time.monotonic()
            if self.cards.first and now - last_looked > _LOOK_EVERY_S:
                last_looked = now
                if self._falls(now):
                    started = now
            # The first card's clock decides for all.
            over = self._asked_to_stop or (
                self.run.seconds is not None and now - self._began > self.run.seconds
            )
            save = now - last_saved > _SAVE_EVERY_S
            rate, stop, keep = self.cards.agree(self._rate(now, started), over, save)
            self._update(batch, rate, pace)
            self.step += 1
            self.trained_s = began_at + time.monotonic() - began
            if self.step % _LOG_EVERY == 0:
                self._log(step=self.step, seconds=round(self.trained_s, 1), **pace.take())
            if self.cards.first and self.step % _MEASURE_EVERY == 0:
                self._measure()
                pace.take()  # measuring is no idleness
            if stop:
                break
            if keep:
                self.save()
                last_saved = now

    def _falls(self, now: float) -> bool:
        """Whether the rates fall from now on, because somebody has asked for it."""
        seconds = self._state.asked_to_fall()
        if seconds is None:
            return False
        self.run = replace(self.run, rates="fall", seconds=now - self._began + seconds)
        self._log(step=self.step, falls_in_s=seconds)
        return True

    def save(self) -> None:
        """Write state and checkpoint from the first card, whose weights the others take."""
        self.optimizer.follow(self.cards)
        if self.cards.first:
            self._state.save(self.optimizer, Progress(self.step, self._first_step, self.trained_s))

    def _feed(self) -> Feed:
        run = self.run
        workers = usual_workers(self.cards.count) if run.workers is None else run.workers
        schedule = Schedule(
            run.seed, run.steps, run.batch_share, self.cards.rank, times=run.times_asked
        )
        return Feed(run.assets, schedule, self.step, workers, self.device)

    def _rate(self, now: float, started: float) -> float:
        """The learning rates as a share of their peaks.

        :param now: on the monotonic clock.
        :param started: when this piece's first step was due.
        """
        progress = self.step / self.run.steps
        warm_up = min(_WARM_UP_STEPS, 0.1 * self.run.steps)
        # New optimizers know no momenta; a run that goes on from a checkpoint warms up as well.
        rate = (self.step - self._first_step) / warm_up
        if self.run.rates == "course":
            rate = min(learning_rate(progress, warm_up / self.run.steps), rate)
        elif self.run.rates == "fall" and self.run.seconds is not None:
            end = self._began + self.run.seconds
            rate = min(rate, max(0.0, (end - now) / max(end - started, 1e-6)))
        return self.run.rate * min(1.0, rate)

    def _update(self, batch: Batch, rate: float, pace: Pace) -> None:
        self.optimizer.set_rate(rate)
        # Nothing here waits for the GPU, not even a number on its way there: steps queue up.
        progress = self.step / self.run.steps
        weight = torch.full((), max(_LEAST_AUXILIARY_WEIGHT, 1 - 2 * progress), device=self.device)
        # A resumed run goes on with the noise that it would have had.
        self.noise.manual_seed((self.run.seed * 1009 + self.cards.rank) * 10**9 + self.step)
        inputs = self._inputs(batch, self.noise)
        pace.mark(first=True)
        figures = self._gradients([weight, *inputs])
        pace.mark()
        self.cards.average(self.optimizer.gradients)
        pace.mark()
        self._updates[bool(batch.sequences)]([])
        pace.mark()
        pace.add(batch, figures)

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

    def _make_gradients(self, tensors: list[torch.Tensor]) -> torch.Tensor:
        """Losses, and gradients in the optimizer's keeping.

        :param tensors: the weight of the character loss, and what :meth:`_inputs` gives.
        :returns: see :meth:`_losses`.
        """
        weight, *inputs = tensors
        figures = self._losses(inputs)
        (figures[0] + weight * figures[2]).backward()
        self._moved[inputs[0].ndim == 2] = self.optimizer.collect()
        return figures.detach()

    def _apply_gradients(self, texts: bool, _: list[torch.Tensor]) -> torch.Tensor:
        return self.optimizer.step(self._moved[texts])

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
        """(4,): see :func:`training.losses.text_loss`."""
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
        """The averages' loss and share of tokens foretold on held-out pages, the answer so far being given.

        Gradients are recorded for nothing: what is compiled for the training can be used.
        """
        began = time.monotonic()
        self._draw_held_out()
        pace = Pace(self.device)
        with self.optimizer.averaged():
            for batch in self._held_out:
                noise = torch.Generator(self.device).manual_seed(0)
                inputs = self._inputs(batch, noise)
                pace.add(batch, self._losses(inputs).detach())
        figures, took = pace.take()["modes"], round(time.monotonic() - began, 2)
        self._log(
            step=self.step, seconds=round(self.trained_s, 1), held_out=figures, measuring_s=took
        )

    def _draw_held_out(self) -> None:
        for mode, share in _MEASURED_SHARES.items() if not self._held_out else ():
            if mode in STAGES[-1].pages:
                maker = BatchMaker(self.run.assets, "heldout", share * self.run.batch_share)
                seen = maker.see(_FIRST_HELD_OUT_SEED, mode, STAGES[-1])
                self._held_out.append(maker.ask(0, seen, mode, STAGES[-1]))

    def _log(self, **values: Any) -> None:
        if not self.cards.first:
            return
        line = json.dumps(values)
        self.run.directory.mkdir(parents=True, exist_ok=True)
        print(line, flush=True)
        with (self.run.directory / "log.jsonl").open("a") as file:
            file.write(line + "\n")
