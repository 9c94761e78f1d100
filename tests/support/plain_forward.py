"""Log-probabilities of a page's tokens by one forward pass of the model, without batches and caches."""

from __future__ import annotations

import torch

from airflow_deepseek_ocr.engines.in_process.engine import InProcessEngine
from airflow_deepseek_ocr.engines.in_process.page_embedding import PreparedPage
from airflow_deepseek_ocr.ocr.engine_protocol import PageRequest
from airflow_deepseek_ocr.ocr.token_probabilities import TokenProbabilities


def largest_difference(
    engine: InProcessEngine, request: PageRequest, tokens: TokenProbabilities
) -> float:
    """Return the largest difference to the plain pass: of a token, or of its runner-up."""
    return float(differences(engine, request, tokens).max())


@torch.inference_mode()
def differences(
    engine: InProcessEngine, request: PageRequest, tokens: TokenProbabilities
) -> torch.Tensor:
    """Return (2, tokens) differences to the plain pass: of each token, and of its runner-up."""
    ids = _ids_of(engine, tokens.pieces)
    expected = plain_log_probabilities(engine, request, ids)
    rows, chosen = torch.arange(len(ids)), torch.tensor(ids)
    of_tokens = expected[rows, chosen]
    expected[rows, chosen] = float("-inf")
    of_runners_up = expected.amax(-1)
    assert tokens.runner_up is not None
    found = torch.tensor([tokens.log_probabilities, tokens.runner_up])
    return (found - torch.stack([of_tokens, of_runners_up])).abs()


def plain_log_probabilities(
    engine: InProcessEngine, request: PageRequest, ids: list[int]
) -> torch.Tensor:
    """Return (tokens, vocabulary) log-probabilities of the tokens of that text."""
    page = engine.prepare(request)
    assert isinstance(page, PreparedPage)
    text = engine.model.get_input_embeddings()(torch.tensor([ids], device=engine.device))
    inputs = torch.cat([engine.embed([page]), text], dim=1)
    states = engine.model.model.language_model(inputs_embeds=inputs).last_hidden_state
    logits = engine.model.lm_head(states[0, len(page.prompt_ids) - 1 : -1])
    return torch.log_softmax(logits.float(), -1).cpu()


def _ids_of(engine: InProcessEngine, pieces: tuple[bytes, ...]) -> list[int]:
    ids = range(len(engine.tokenizer))
    of_bytes = dict(zip(engine.pieces(ids), ids, strict=True))
    assert len(of_bytes) == len(ids), "the tokens of the small checkpoint have different bytes"
    return [of_bytes[piece] for piece in pieces]
