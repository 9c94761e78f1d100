"""Random weights in the published layout; here of small width, through the same steps."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from airflow_deepseek_ocr.model.checkpoint_family import checkpoint_family
from airflow_deepseek_ocr.model.deepseek_ocr.checkpoint import load_checkpoint
from airflow_deepseek_ocr.ocr.families.registry import FAMILIES
from benchmarks import full_size
from tests.conftest import GOLDEN
from tests.support.golden import published_widths

SMALL = {
    "hidden_size": 64,
    "intermediate_size": 96,
    "moe_intermediate_size": 32,
    "n_routed_experts": 8,
    "num_attention_heads": 2,
    "num_experts_per_tok": 3,
    "num_hidden_layers": 3,
    "num_key_value_heads": 2,
}


@pytest.mark.parametrize(
    "family",
    [
        pytest.param(family, id=family.name, marks=[pytest.mark.slow] if not number else [])
        for number, family in enumerate(FAMILIES.values())
    ],
)
def test_a_directory_is_complete_and_of_its_family(
    family: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vectors = GOLDEN[list(FAMILIES).index(family.name)]
    config = published_widths(json.loads((vectors / "config.json").read_text()))
    copied = tmp_path / "tests" / "corpus" / vectors.name
    copied.mkdir(parents=True)
    (copied / "config.json").write_text(json.dumps(config | {"tiny_vision": {}}))
    monkeypatch.setattr(full_size, "ROOT", tmp_path)
    monkeypatch.setattr(full_size, "TEXT", full_size.TEXT | SMALL)
    monkeypatch.setattr(full_size, "_SHARD_SIZE", "10MB")
    directory = full_size.build(tmp_path / "model", "cpu", family)
    assert full_size.is_random(directory)
    assert checkpoint_family(directory) is family
    model, _ = load_checkpoint(directory, "cpu", torch.bfloat16)
    assert model.config.text_config.vocab_size == full_size.VOCABULARY
    assert full_size.build(directory, "cpu", family) == directory
