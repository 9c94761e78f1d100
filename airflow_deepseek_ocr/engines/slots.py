"""Slots: a fixed number of pages that are written at once, each at its own place in its own text.

A static key-value cache has a row for each slot. A page's keys stand in its row from column 0 on, so
that it may enter when others are in the middle of their texts: rows share nothing but the step.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from transformers import UnlimitedOcrForConditionalGeneration

from airflow_deepseek_ocr.model.checkpoint import SpecialTokens
from airflow_deepseek_ocr.model.ngram_guard import NO_TOKEN, banned_tokens
from airflow_deepseek_ocr.ocr.decoding import MOST_WINDOW, Decoding, Guard


@dataclass(frozen=True)
class Text:
    """What a slot wrote.

    :param ids: token ids without the end token.
    :param ended: the end token was written.
    """

    ids: list[int]
    ended: bool


class Slots:
    """The decoder's state for all slots.

    :param model: the loaded model, on the device where all of this happens.
    :param tokens: ids of the special tokens.
    :param count: number of slots.
    :param length: columns of a row of the cache: prompt and text of a page, in tokens.
    :param decoding: how text is generated.
    """

    def __init__(
        self,
        model: UnlimitedOcrForConditionalGeneration,
        tokens: SpecialTokens,
        count: int,
        length: int,
        decoding: Decoding,
    ) -> None:
        self.count, self.length = count, length
        self._decoder, self._head = model.model.language_model, model.lm_head
        parameters = inspect.signature(self._decoder.layers[0].forward).parameters
        # transformers 5.24 has renamed it.
        self._cache_name = "cache" if "cache" in parameters else "past_key_values"
        self._tokens, self._decoding = tokens, decoding
        config, weights = model.config.text_config, model.lm_head.weight
        self._cache = _Cache(
            config.num_hidden_layers,
            (count, config.num_key_value_heads, length, config.head_dim),
            weights,
        )
        device = weights.device

        def numbers() -> torch.Tensor:
            return torch.zeros(count, dtype=torch.long, device=device)

        self._rows, self._columns = (
            torch.arange(count, device=device),
            torch.arange(length, device=device),
        )
        self._last, self._position, self._written, self._budget = (numbers() for _ in range(4))
        self._done = torch.ones(count, dtype=torch.bool, device=device)
        self._ended = torch.zeros(count, dtype=torch.bool, device=device)
        # The widest window before the text, so that each guard always finds a full one; one column
        # behind it, into which the slots that are done write.
        self._before = max(decoding.ngram_window, MOST_WINDOW)
        self._text = torch.full(
            (count, self._before + length + 1), NO_TOKEN, dtype=torch.long, device=device
        )
        self._window = torch.arange(self._before, device=device)
        self._exempt = torch.tensor(tokens.table_cells, device=device)
        self._guards = [(decoding.ngram_size, decoding.ngram_window)] * count
        self._guarded: dict[tuple[int, int], torch.Tensor] = {}

    @torch.inference_mode()
    def enter(
        self,
        slots: Sequence[int],
        embeddings: torch.Tensor,
        lengths: Sequence[int],
        budgets: Sequence[int],
        guards: Sequence[Guard | None] | None = None,
    ) -> None:
        """Let pages take slots: run the decoder over their prompts and write their first tokens.

        :param slots: a free slot for each page.
        :param embeddings: (pages, longest prompt, hidden), padded on the right.
        :param lengths: of each prompt, in tokens.
        :param budgets: most tokens each page may write, at least 1.
        :param guards: of each page; None for that of the decoding.
        """
        device = embeddings.device
        rows = torch.tensor(slots, device=device)
        ends = torch.tensor(lengths, device=device)
        self._text[rows] = NO_TOKEN
        self._position[rows], self._written[rows] = ends, 0
        self._budget[rows] = torch.tensor(budgets, device=device)
        self._ended[rows], self._done[rows] = False, False
        self._guard(slots, guards or [None] * len(slots))
        # What padding leaves in the cache stands behind the prompt's end, where each column is
        # written before it is read.
        self._cache.prefill(rows)
        states = self._run(embeddings, self._columns[None, : embeddings.shape[1]], None)
        last = states[torch.arange(len(rows), device=device), ends - 1]
        self._write(rows, self._head(last).argmax(-1))

    @torch.inference_mode()
    def step(self, columns: int) -> None:
        """Write a token in each slot that is not done; nothing waits for the device.

        :param columns: of the cache that are looked at: more than any slot's prompt and text.
        """
        position = self._position[:, None]
        mask = (self._columns[:columns] <= position)[:, None, None]
        self._cache.decode(self._rows, self._position, columns)
        embeddings = self._decoder.embed_tokens(self._last)[:, None]
        logits = self._head(self._run(embeddings, position, mask)[:, 0])
        for (size, window), guarded in self._guarded.items():
            places = self._written[:, None] + self._window[self._before - window :]
            recent = self._text.gather(1, places)
            banned = banned_tokens(recent, size, logits.shape[1], self._exempt) & guarded
            logits = logits.masked_fill(banned, float("-inf"))
        self._position += ~self._done
        self._write(self._rows, logits.argmax(-1))

    def _guard(self, slots: Sequence[int], guards: Sequence[Guard | None]) -> None:
        """Note which rows (count, 1) each guard is for."""
        usual = (self._decoding.ngram_size, self._decoding.ngram_window)
        for slot, guard in zip(slots, guards, strict=True):
            self._guards[slot] = (guard.ngram_size, guard.ngram_window) if guard else usual
        self._guarded = {
            guard: torch.tensor(
                [[each == guard] for each in self._guards], device=self._done.device
            )
            for guard in set(self._guards)
            if guard[0]
        }

    def _run(
        self, embeddings: torch.Tensor, positions: torch.Tensor, mask: torch.Tensor | None
    ) -> torch.Tensor:
        """The decoder's last states; without a mask each place sees those before it."""
        rotary = self._decoder.rotary_emb(embeddings, position_ids=positions)
        states = embeddings
        for layer in self._decoder.layers:
            states = layer(
                states,
                attention_mask=mask,
                position_embeddings=rotary,
                **{self._cache_name: self._cache},
            )
        last: torch.Tensor = self._decoder.norm(states)
        return last

    def _write(self, rows: torch.Tensor, token: torch.Tensor) -> None:
        """Take the tokens of these rows, unless they are done."""
        done, written = self._done[rows], self._written[rows]
        ended = ~done & (token == self._tokens.eos)
        takes = ~done & ~ended
        place = torch.where(takes, self._before + written, self._text.shape[1] - 1)
        self._text[rows, place] = token
        self._last[rows] = torch.where(takes, token, self._last[rows])
        written = written + takes
        self._written[rows] = written
        self._ended[rows] |= ended
        self._done[rows] |= ended | (written >= self._budget[rows])

    def finished(self, slots: Iterable[int]) -> list[int]:
        """Which of these slots are done; waits for the device."""
        done = self._done.tolist()
        return [slot for slot in slots if done[slot]]

    def text(self, slot: int) -> Text:
        """What a slot wrote so far; waits for the device."""
        end = self._before + int(self._written[slot])
        return Text(self._text[slot, self._before : end].tolist(), bool(self._ended[slot]))

    def leave(self, slots: Sequence[int]) -> None:
        """Free these slots, whatever they were writing."""
        if slots:
            self._done[torch.tensor(slots, device=self._done.device)] = True


class _Cache:
    """The key-value cache, as the layers of transformers' decoder call it."""

    def __init__(self, layers: int, shape: tuple[int, int, int, int], like: torch.Tensor) -> None:
        self._keys, self._values = (
            [torch.zeros(shape, dtype=like.dtype, device=like.device) for _ in range(layers)]
            for _ in range(2)
        )
        self._rows, self._position, self._columns = torch.empty(0), torch.empty(0), 0

    def prefill(self, rows: torch.Tensor) -> None:
        """From now on, whole prompts of these rows come in."""
        self._rows, self._columns = rows, 0

    def decode(self, rows: torch.Tensor, position: torch.Tensor, columns: int) -> None:
        """From now on, one token of each row comes in and the first columns are looked at."""
        self._rows, self._position, self._columns = rows, position, columns

    def update(
        self, keys: torch.Tensor, values: torch.Tensor, layer: int, **_: object
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Store keys and values (rows, heads, places, head size); return those to attend to."""
        if not self._columns:
            places = keys.shape[2]
            self._keys[layer][self._rows, :, :places] = keys
            self._values[layer][self._rows, :, :places] = values
            return keys, values
        self._keys[layer][self._rows, :, self._position] = keys[:, :, 0]
        self._values[layer][self._rows, :, self._position] = values[:, :, 0]
        return (
            self._keys[layer][:, :, : self._columns],
            self._values[layer][:, :, : self._columns],
        )
