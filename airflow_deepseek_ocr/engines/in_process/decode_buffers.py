"""Per-slot state of decoding on the device, and snapshots of it that the host reads without blocking."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from airflow_deepseek_ocr.engines.in_process.device_transfer import SideStream, to_device
from airflow_deepseek_ocr.engines.in_process.no_repeat_ngram import NO_TOKEN

#: Log-probability in place of minus infinity, which JSON cannot hold; vLLM and OpenAI use it as well.
_LEAST = -9999.0


@dataclass(frozen=True)
class TextProbabilities:
    """Natural log-probabilities of the tokens of a text.

    :param chosen: of each token.
    :param runner_up: of the most probable other token.
    :param runner_up_ids: ids of these other tokens.
    """

    chosen: list[float]
    runner_up: list[float]
    runner_up_ids: list[int]


@dataclass(frozen=True)
class SlotText:
    """Text of one slot.

    :param ids: token ids without the end token.
    :param ended: True if the model wrote its end token, False if it reached its budget.
    :param probabilities: of the tokens, if the slots keep them.
    """

    ids: list[int]
    ended: bool
    probabilities: TextProbabilities | None = None


@dataclass(frozen=True)
class TokenChoice:
    """Log-probabilities of the next token of each slot, on the device.

    :param log_probabilities: (slots, 2) of float32: of the chosen token, and of the most probable other one.
    :param runner_up_ids: (slots,) ids of these other tokens.
    """

    log_probabilities: torch.Tensor
    runner_up_ids: torch.Tensor


class _ProbabilityColumns:
    """Probabilities of all texts; the one column behind a text receives those of slots that are done."""

    def __init__(self, count: int, length: int, device: torch.device) -> None:
        self._values = torch.zeros((count, length + 1, 2), dtype=torch.float32, device=device)
        self._ids = torch.zeros((count, length + 1), dtype=torch.long, device=device)

    def write(self, rows: torch.Tensor, columns: torch.Tensor, choice: TokenChoice) -> None:
        self._values[rows, columns] = choice.log_probabilities
        self._ids[rows, columns] = choice.runner_up_ids

    def planes(self, rows: torch.Tensor, length: int) -> list[torch.Tensor]:
        """Return (rows, length) of int64: ids of the runners-up, and two log-probabilities in one number."""
        return [
            self._ids[rows, :length],
            self._values[rows, :length].view(torch.int64).squeeze(-1),
        ]


def _to_probabilities(runner_up_ids: torch.Tensor, values: torch.Tensor) -> TextProbabilities:
    """Read one text's row of :meth:`_ProbabilityColumns.planes`, on the host."""
    pairs = values.numpy().view(np.float32).reshape(-1, 2)
    chosen, runner_up = np.nan_to_num(pairs, nan=_LEAST, neginf=_LEAST).T.tolist()
    return TextProbabilities(chosen, runner_up, runner_up_ids.tolist())


class DecodeBuffers:
    """Tensors with one row per slot; their addresses never change, so CUDA graphs may use them.

    :param count: number of slots.
    :param length: columns of a slot: prompt and text, in tokens.
    :param window: widest no-repeat-n-gram window, in tokens.
    :param eos: id of the end token; ``NO_TOKEN`` never ends a text.
    :param device: the model's device.
    :param probabilities: keep the probabilities of tokens.
    """

    def __init__(
        self,
        *,
        count: int,
        length: int,
        window: int,
        eos: int,
        device: torch.device,
        probabilities: bool = False,
    ) -> None:
        def numbers() -> torch.Tensor:
            return torch.zeros(count, dtype=torch.long, device=device)

        self._eos = eos
        #: (slots,) 0, 1, 2 and so on.
        self.rows = torch.arange(count, device=device)
        #: (length,) 0, 1, 2 and so on.
        self.columns = torch.arange(length, device=device)
        #: (slots,) the last token of each slot.
        self.last = numbers()
        #: (slots,) the column that each slot writes next.
        self.position = numbers()
        self._written, self._budget = numbers(), numbers()
        #: (slots,) True where a slot writes no text.
        self.done = torch.ones(count, dtype=torch.bool, device=device)
        self._ended = torch.zeros(count, dtype=torch.bool, device=device)
        # The widest window precedes the text, so each constraint always reads a full one. The one
        # column behind the text receives the tokens of slots that are done.
        self._before = window
        self._text = torch.full(
            (count, self._before + length + 1), NO_TOKEN, dtype=torch.long, device=device
        )
        self._probabilities = _ProbabilityColumns(count, length, device) if probabilities else None
        self._window = self._before - 1 - torch.arange(window, device=device)
        self._side_stream = SideStream(device)

    def begin(self, rows: torch.Tensor, ends: torch.Tensor, budgets: torch.Tensor) -> None:
        """Begin new texts.

        :param rows: (pages,) their slots.
        :param ends: (pages,) length of each prompt, in tokens.
        :param budgets: (pages,) most tokens of each text.
        """
        self._text[rows] = NO_TOKEN
        self.position[rows], self._written[rows], self._budget[rows] = ends, 0, budgets
        self._ended[rows], self.done[rows] = False, False

    def recent(self, count: int) -> torch.Tensor:
        """Return the latest tokens of the first ``count`` slots, (count, window), newest first."""
        return self._text[:count].gather(1, self._written[:count, None] + self._window)

    def advance(self, count: int) -> None:
        """Move the first ``count`` slots to their next column."""
        # Slots that are done attend to one column, which costs the least GPU time.
        self.position[:count].add_(1).mul_(~self.done[:count])

    @property
    def keeps_probabilities(self) -> bool:
        """Whether each token is appended with its probability."""
        return self._probabilities is not None

    def append(
        self, rows: torch.Tensor, tokens: torch.Tensor, choice: TokenChoice | None = None
    ) -> None:
        """Append a token to the text of each of these slots; slots that are done ignore theirs.

        :param rows: (slots,) which slots.
        :param tokens: (slots,) token ids.
        :param choice: the tokens' probabilities; needed if they are kept.
        """
        done, written = self.done[rows], self._written[rows]
        ended = ~done & (tokens == self._eos)
        takes = ~done & ~ended
        target = torch.where(takes, self._before + written, self._text.shape[1] - 1)
        self._text[rows, target] = tokens
        if self._probabilities is not None and choice is not None:
            self._probabilities.write(rows, target - self._before, choice)
        self.last[rows] = torch.where(takes, tokens, self.last[rows])
        written = written + takes
        self._written[rows] = written
        self._ended[rows] |= ended
        self.done[rows] |= ended | (written >= self._budget[rows])

    def stop(self, slots: Sequence[int]) -> None:
        """Mark slots as done."""
        self.done[to_device(list(slots), self.done.device)] = True

    def set_mid_text(self, positions: Sequence[int], budget: int) -> None:
        """Put all slots into the middle of texts without reading pages; benchmarks time steps so.

        :param positions: next column of each of the first slots.
        :param budget: most tokens of each text.
        """
        self.position[: len(positions)] = torch.tensor(positions, device=self.position.device)
        self.done.fill_(False)
        self._budget.fill_(budget)
        self._written.fill_(1)

    def snapshot(self) -> Snapshot:
        """Capture the state after the work enqueued so far; does not block."""
        state = torch.stack([self.done, self._ended, self._written])
        return Snapshot(self._side_stream, state, self._text, self._before, self._probabilities)


class Snapshot:
    """State of all slots at one point of the device's queue.

    :param side_stream: copies from the device while the main stream runs.
    :param state: (3, slots): done, ended by the end token, tokens written.
    :param text: (slots, columns): texts of all slots. The texts of slots that are done do not change.
    :param before: columns before the beginning of a text.
    :param probabilities: of the tokens, if they are kept; like the texts.
    """

    def __init__(
        self,
        side_stream: SideStream,
        state: torch.Tensor,
        text: torch.Tensor,
        before: int,
        probabilities: _ProbabilityColumns | None,
    ) -> None:
        self._side_stream, self._state, self._text, self._before = side_stream, state, text, before
        self._probabilities = probabilities
        self._event = side_stream.record()

    def finished(self, slots: Sequence[int]) -> dict[int, SlotText]:
        """Return the texts of those of ``slots`` that were done; blocks until the device got there.

        The caller must leave out slots that another page has entered since.
        """
        with self._side_stream.after(self._event):
            done, ended, written = self._state.tolist()
            found = [slot for slot in slots if done[slot]]
            if not found:
                return {}
            longest = max(written[slot] for slot in found)
            rows = torch.tensor(found, device=self._text.device)
            planes = [self._text[rows, self._before : self._before + longest]]
            if self._probabilities is not None:
                planes += self._probabilities.planes(rows, longest)
            # One copy for all: each copy blocks until the device has made it.
            texts, *probabilities = torch.stack(planes).cpu()
        return {
            slot: SlotText(
                texts[row, : written[slot]].tolist(),
                bool(ended[slot]),
                _to_probabilities(*(plane[row, : written[slot]] for plane in probabilities))
                if probabilities
                else None,
            )
            for row, slot in enumerate(found)
        }
