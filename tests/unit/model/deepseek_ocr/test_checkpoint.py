"""The published checkpoint in transformers' native classes: whole, or refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from airflow_deepseek_ocr.exceptions import ConfigurationError, ErrorCode, UnavailableError
from airflow_deepseek_ocr.model.deepseek_ocr.checkpoint import (
    SpecialTokens,
    load_checkpoint,
    load_tokenizer,
)
from tests.conftest import TINY_MODEL

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return Path(shutil.copytree(TINY_MODEL, tmp_path / "model"))


def rewrite_first_shard(directory: Path, *, without: str = "", extra: str = "") -> None:
    shard = min(directory.glob("*.safetensors"))
    tensors = load_file(shard)
    if without:
        tensors.pop(next(name for name in tensors if without in name))
    if extra:
        tensors[extra] = torch.zeros(2)
    save_file(tensors, shard, metadata={"format": "pt"})


def test_special_tokens_are_found_by_their_names() -> None:
    assert SpecialTokens.of(load_tokenizer(TINY_MODEL)) == SpecialTokens(
        bos=0, eos=1, pad=2, image=3, table_cells=(9, 10)
    )


def test_the_tokenizer_reproduces_text_with_its_spaces() -> None:
    tokenizer = load_tokenizer(TINY_MODEL)
    text = "Total : 1 , 234.50 € ."
    assert tokenizer.decode(tokenizer.encode(text, add_special_tokens=False)) == text


def test_another_tokenizer_is_refused(directory: Path) -> None:
    path = directory / "tokenizer.json"
    path.write_text(path.read_text("utf-8").replace("<image>", "<picture>"), "utf-8")
    with pytest.raises(ConfigurationError, match="<image>") as caught:
        SpecialTokens.of(load_tokenizer(directory))
    assert caught.value.code == ErrorCode.MODEL_TOKENIZER


def test_the_model_holds_the_tensors_of_the_files() -> None:
    model, tokenizer = load_checkpoint(TINY_MODEL, "cpu", torch.float32)
    assert not model.training
    assert model.config.image_token_id == SpecialTokens.of(tokenizer).image
    stored = {
        name: tensor
        for shard in TINY_MODEL.glob("*.safetensors")
        for name, tensor in load_file(shard).items()
    }
    assert torch.equal(model.lm_head.weight, stored["lm_head.weight"].float())


def test_a_missing_tensor_is_refused(directory: Path) -> None:
    rewrite_first_shard(directory, without="mlp")
    with pytest.raises(UnavailableError, match="do not fit the architecture") as caught:
        load_checkpoint(directory, "cpu", torch.float32)
    assert caught.value.code == ErrorCode.MODEL_INCOMPLETE


def test_an_unexpected_tensor_is_refused(directory: Path) -> None:
    rewrite_first_shard(directory, extra="model.adapter.weight")
    with pytest.raises(UnavailableError, match=r"unexpected_keys: 1, such as .*adapter"):
        load_checkpoint(directory, "cpu", torch.float32)


def test_another_architecture_is_refused(directory: Path) -> None:
    (directory / "config.json").write_text(json.dumps({"model_type": "llama"}))
    with pytest.raises(
        ConfigurationError, match="of no model that this package can read"
    ) as caught:
        load_checkpoint(directory, "cpu", torch.float32)
    assert caught.value.code == ErrorCode.MODEL_CONFIG
