"""DeepSeek-OCR-2's published config.json in the terms of transformers' native classes."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from airflow_deepseek_ocr.exceptions import ConfigurationError, ErrorCode
from airflow_deepseek_ocr.model.deepseek_ocr.architectures.deepseek_ocr_2 import translate_config
from tests.conftest import GOLDEN

IMAGE_TOKEN = 128815
PUBLISHED = json.loads((GOLDEN[1] / "config.json").read_text())


@pytest.fixture
def published() -> dict[str, Any]:
    return copy.deepcopy(PUBLISHED)


def test_the_encoder_has_the_sizes_that_the_published_code_hard_codes(
    published: dict[str, Any],
) -> None:
    encoder = translate_config(published, IMAGE_TOKEN).vision_config.encoder_config
    assert (encoder.hidden_size, encoder.num_hidden_layers, encoder.intermediate_size) == (
        896,
        24,
        4864,
    )
    assert (encoder.num_attention_heads, encoder.num_key_value_heads) == (14, 2)
    assert encoder.rms_norm_eps == 1e-6


def test_the_encoder_rotates_with_its_own_theta(published: dict[str, Any]) -> None:
    config = translate_config(published, IMAGE_TOKEN)
    assert config.vision_config.encoder_config.rope_parameters["rope_theta"] == 1_000_000
    assert config.text_config.rope_parameters["rope_theta"] == 10_000


def test_sam_leads_to_the_encoder_s_width_whatever_the_file_says(published: dict[str, Any]) -> None:
    sam = translate_config(published, IMAGE_TOKEN).vision_config.sam_config
    assert published["vision_config"]["width"]["sam_vit_b"]["downsample_channels"] == [512, 1024]
    assert list(sam.downsample_channels) == [512, 896]
    assert sam.mlp_dim == 3072


def test_the_decoder_has_full_attention_and_names_its_kinds_of_layers(
    published: dict[str, Any],
) -> None:
    config = translate_config(published, IMAGE_TOKEN)
    assert config.image_token_id == IMAGE_TOKEN
    assert config.text_config.mlp_layer_types == ["dense", "sparse", "sparse"]
    assert getattr(config.text_config, "sliding_window", None) is None


@pytest.mark.parametrize(
    "path", [("language_config",), ("vision_config", "width", "qwen2-0-5b", "dim")]
)
def test_an_absent_field_is_named(published: dict[str, Any], path: tuple[str, ...]) -> None:
    parent = published
    for name in path[:-1]:
        parent = parent[name]
    del parent[path[-1]]
    with pytest.raises(ConfigurationError, match=path[-1]) as caught:
        translate_config(published, IMAGE_TOKEN)
    assert caught.value.code == ErrorCode.MODEL_CONFIG
