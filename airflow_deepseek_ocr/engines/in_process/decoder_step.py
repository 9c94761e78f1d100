"""The decoder's forward pass over slots: prompts at once, then one token per slot and step."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel

from airflow_deepseek_ocr.engines.in_process.decode_buffers import DecodeBuffers, TokenChoice
from airflow_deepseek_ocr.engines.in_process.kv_cache import KeyValueCache
from airflow_deepseek_ocr.engines.in_process.no_repeat_ngram import NoRepeatNgramConstraint


class DecoderStep:
    """Runs the decoder's layers on the buffers of all slots.

    :param model: the loaded model.
    :param buffers: state of the slots.
    :param cache: keys and values of the slots.
    :param constraint: no-repeat-n-gram constraints of the slots.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        *,
        buffers: DecodeBuffers,
        cache: KeyValueCache,
        constraint: NoRepeatNgramConstraint,
    ) -> None:
        self._decoder, self._head = model.model.language_model, model.lm_head
        parameters = inspect.signature(self._decoder.layers[0].forward).parameters
        # transformers 5.24 renamed it.
        self._cache_name = "cache" if "cache" in parameters else "past_key_values"
        self._buffers, self._cache, self._constraint = buffers, cache, constraint
        self._scores = TokenScores()

    @property
    def config(self) -> Any:
        """The decoder's configuration."""
        return self._decoder.config

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of the weights."""
        dtype: torch.dtype = self._head.weight.dtype
        return dtype

    def prefill(self, rows: torch.Tensor, embeddings: torch.Tensor, ends: torch.Tensor) -> None:
        """Run the decoder over prompts and append the first token of each text.

        :param rows: (pages,) their slots.
        :param embeddings: (pages, longest prompt, hidden), padded on the right.
        :param ends: (pages,) length of each prompt, in tokens.
        """
        columns = self._buffers.columns[: embeddings.shape[1]]
        # Padding is cached behind the prompt's end, where each column is written before it is read,
        # or in the null block.
        caches = self._cache.prefill(rows, columns)
        states = self._run(embeddings, columns[None], None, caches, call_layer)
        last = states.gather(1, (ends - 1)[:, None, None].expand(-1, 1, states.shape[2]))[:, 0]
        logits = self._head(last)
        self._append(rows, logits, logits.argmax(-1), call_layer)

    def __call__(
        self,
        rows: torch.Tensor,
        mask: Any,
        caches: Sequence[Any],
        call: Callable[..., Any],
    ) -> None:
        """Append one token to each of the first slots; never blocks.

        :param rows: (slots,) the order in which the layers get the slots.
        :param mask: what each slot attends to, as transformers' layers take it.
        :param caches: of each layer.
        :param call: calls a layer.
        """
        buffers, count = self._buffers, len(rows)
        self._cache.follow(rows)
        embeddings = self._decoder.embed_tokens(buffers.last[rows])[:, None]
        states = self._run(embeddings, buffers.position[rows, None], mask, caches, call)
        logits = self._head(torch.empty_like(states[:, 0]).index_copy_(0, rows, states[:, 0]))
        recent = buffers.recent(count)
        banned = self._constraint.banned(recent, logits.shape[1])
        tokens = logits.masked_fill(banned, float("-inf")).argmax(-1)
        self._constraint.record(recent, tokens)
        buffers.advance(count)
        self._append(buffers.rows[:count], logits, tokens, call)

    def _append(
        self,
        rows: torch.Tensor,
        logits: torch.Tensor,
        tokens: torch.Tensor,
        call: Callable[..., Any],
    ) -> None:
        choice = None
        if self._buffers.keeps_probabilities:
            choice = TokenChoice(*call(self._scores, logits, tokens=tokens))
        self._buffers.append(rows, tokens, choice)

    def _run(
        self,
        embeddings: torch.Tensor,
        positions: torch.Tensor,
        mask: Any,
        caches: Sequence[Any],
        call: Callable[..., Any],
    ) -> torch.Tensor:
        """Return the decoder's last states; without a mask attention is causal."""
        rotary = self._decoder.rotary_emb(embeddings, position_ids=positions)
        states = embeddings
        for layer, cache in zip(self._decoder.layers, caches, strict=True):
            states = call(
                layer,
                states,
                attention_mask=mask,
                position_embeddings=rotary,
                **{self._cache_name: cache},
            )
        last: torch.Tensor = self._decoder.norm(states)
        return last


class TokenScores(nn.Module):
    """Scores tokens, as a layer: compiled, it reads the logits of all slots, a hundred megabytes, twice."""

    def forward(
        self, logits: torch.Tensor, tokens: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the fields of a :class:`TokenChoice`, over the whole vocabulary.

        :param logits: (slots, vocabulary), before any constraint.
        :param tokens: (slots,) the chosen tokens.
        """
        values, chosen = logits.float(), tokens[:, None]
        best = values.amax(-1, keepdim=True)
        total = (values - best).exp().sum(-1, keepdim=True)
        columns = torch.arange(values.shape[1], device=values.device)
        others, ids = values.masked_fill(columns == chosen, float("-inf")).max(-1, keepdim=True)
        pairs = torch.cat([values.gather(1, chosen), others], 1)
        return pairs - best - total.log(), ids[:, 0]


def call_layer(layer: Any, states: torch.Tensor, **others: Any) -> Any:
    """Call a layer without compiling it."""
    return layer(states, **others)
