"""Probabilities in the responses of servers of several kinds."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

import pytest

from airflow_deepseek_ocr.engines.http.token_probabilities import ProbabilityReader
from airflow_deepseek_ocr.engines.protocol.chat_completions import OWN, Capabilities
from airflow_deepseek_ocr.engines.protocol.token_logprobs import COMPACT, to_compact, to_openai
from airflow_deepseek_ocr.ocr.token_probabilities import TokenProbabilities

TOKENS = TokenProbabilities(pieces=(b"re", b"ad"), log_probabilities=(-0.5, -0.25))
VLLM = Capabilities(model="m", token_probabilities=True)
OURS = replace(VLLM, version="1")
OPENAI: dict[str, Any] = {"choices": [{"logprobs": to_openai(TOKENS, 2)}]}
COMPACT_FORM: dict[str, Any] = {"choices": [{}], OWN: {COMPACT: to_compact(TOKENS)}}


def test_each_kind_of_server_has_its_form() -> None:
    reader = ProbabilityReader()
    assert reader.read(OPENAI, "read", VLLM) == TOKENS
    assert reader.read(COMPACT_FORM, "read", OURS) == TOKENS


def test_an_older_server_has_none(caplog: pytest.LogCaptureFixture) -> None:
    older = replace(OURS, token_probabilities=False)
    assert ProbabilityReader().read({"choices": [{}]}, "read", older) is None
    assert not caplog.records


@pytest.mark.parametrize(
    ("answer", "server"),
    [
        ({"choices": [{"logprobs": None}]}, VLLM),
        ({"choices": [{"logprobs": {"content": None}}]}, VLLM),
        ({"choices": [{}]}, OURS),
        ({"choices": [{}], OWN: {COMPACT: []}}, OURS),
    ],
)
def test_missing_and_malformed_ones_are_logged_once(
    answer: dict[str, Any], server: Capabilities, caplog: pytest.LogCaptureFixture
) -> None:
    reader = ProbabilityReader()
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            assert reader.read(answer, "read", server) is None
    assert len(caplog.records) == 1
    assert "no confidence" in caplog.text
