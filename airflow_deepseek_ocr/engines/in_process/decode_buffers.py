"""Per-slot state of decoding on the device, and snapshots of it that the host reads without blocking."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from airflow_deepseek_ocr.engines.in_process.device_transfer import SideStream, to_device
from airflow_deepseek_ocr.engines.in_process.no_repeat_ngram import NO_TOKEN


@dataclass(frozen=True)
class SlotText:
    """Text of one slot.

    :param ids: token ids without the end token.
    :param ended: True if the model wrote its end token, False if it reached its budget.
    """

    ids: list[int]
    ended: bool


class DecodeBuffers:
    """Tensors with one row per slot; their addresses never change, so CUDA graphs may use them.

    :param count: number of slots.
    :param length: columns of a slot: prompt and text, in tokens.
    :param window: widest no-repeat-n-gram window, in tokens.
    :param eos: id of the end token; ``NO_TOKEN`` never ends a text.
    :param device: the model's device.
    """

    def __init__(
        self, *, count: int, length: int, window: int, eos: int, device: torch.device
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

    def append(self, rows: torch.Tensor, tokens: torch.Tensor) -> None:
        """Append a token to the text of each of these slots; slots that are done ignore theirs.

        :param rows: (slots,) which slots.
        :param tokens: (slots,) token ids.
        """
        done, written = self.done[rows], self._written[rows]
        ended = ~done & (tokens == self._eos)
        takes = ~done & ~ended
        target = torch.where(takes, self._before + written, self._text.shape[1] - 1)
        self._text[rows, target] = tokens
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
        return Snapshot(self._side_stream, state, self._text, self._before)


class Snapshot:
    """State of all slots at one point of the device's queue.

    :param side_stream: copies from the device while the main stream runs.
    :param state: (3, slots): done, ended by the end token, tokens written.
    :param text: (slots, columns): texts of all slots. The texts of slots that are done do not change.
    :param before: columns before the beginning of a text.
    """

    def __init__(
        self, side_stream: SideStream, state: torch.Tensor, text: torch.Tensor, before: int
    ) -> None:
        self._side_stream, self._state, self._text, self._before = side_stream, state, text, before
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
            texts = self._text[rows, self._before : self._before + longest].tolist()
        return {
            slot: SlotText(text[: written[slot]], bool(ended[slot]))
            for slot, text in zip(found, texts, strict=True)
        }
