"""The published config.json in the terms of transformers' native classes."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from airflow_deepseek_ocr.exceptions import ConfigurationError, ErrorCode
from airflow_deepseek_ocr.model.deepseek_ocr.architectures.deepseek_ocr import translate_config
from tests.conftest import ROOT

IMAGE_TOKEN = 128815
PUBLISHED = json.loads((ROOT / "tests" / "corpus" / "golden" / "config.json").read_text())


@pytest.fixture
def published() -> dict[str, Any]:
    return copy.deepcopy(PUBLISHED)


def test_every_layer_attends_to_all_tokens(published: dict[str, Any]) -> None:
    text = translate_config(published, IMAGE_TOKEN).text_config
    assert text.layer_types == ["full_attention"] * 3


def test_the_text_model_has_the_published_sizes(published: dict[str, Any]) -> None:
    config = translate_config(published, IMAGE_TOKEN)
    text = config.text_config
    assert config.image_token_id == IMAGE_TOKEN
    assert (text.vocab_size, text.hidden_size, text.intermediate_size) == (129280, 64, 96)
    assert (text.num_attention_heads, text.num_key_value_heads) == (2, 2)
    assert (text.n_routed_experts, text.n_shared_experts, text.num_experts_per_tok) == (8, 2, 3)
    assert text.moe_intermediate_size == 32
    assert text.mlp_layer_types == ["dense", "sparse", "sparse"]
    assert text.max_position_embeddings == 8192


def test_absent_fields_have_the_published_code_s_defaults(published: dict[str, Any]) -> None:
    text = translate_config(published, IMAGE_TOKEN).text_config
    assert text.rms_norm_eps == 1e-6
    assert text.routed_scaling_factor == 1.0
    assert text.rope_parameters["rope_theta"] == 10000.0


def test_present_fields_replace_the_defaults(published: dict[str, Any]) -> None:
    published["language_config"] |= {"rms_norm_eps": 1e-5, "rope_theta": 5e5}
    text = translate_config(published, IMAGE_TOKEN).text_config
    assert text.rms_norm_eps == 1e-5
    assert text.rope_parameters["rope_theta"] == 5e5


def test_the_vision_towers_have_the_widths_of_the_weights(published: dict[str, Any]) -> None:
    vision = translate_config(published, IMAGE_TOKEN).vision_config
    sam, clip = vision.sam_config, vision.encoder_config
    assert (sam.hidden_size, sam.num_hidden_layers, sam.num_attention_heads) == (768, 12, 12)
    assert (sam.mlp_dim, sam.output_channels, sam.image_size) == (3072, 256, 1024)
    assert list(sam.global_attn_indexes) == [2, 5, 8, 11]
    assert (clip.hidden_size, clip.num_hidden_layers, clip.intermediate_size) == (1024, 24, 4096)
    assert (clip.image_size, clip.patch_size) == (224, 14)


@pytest.mark.parametrize(
    "path",
    [("language_config",), ("language_config", "n_group"), ("vision_config", "width", "sam_vit_b")],
)
def test_an_absent_field_is_named(published: dict[str, Any], path: tuple[str, ...]) -> None:
    parent = published
    for name in path[:-1]:
        parent = parent[name]
    del parent[path[-1]]
    with pytest.raises(ConfigurationError, match=path[-1]) as caught:
        translate_config(published, IMAGE_TOKEN)
    assert caught.value.code == ErrorCode.MODEL_CONFIG
