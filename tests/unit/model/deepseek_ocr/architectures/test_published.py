"""The decoder and SAM of a published configuration."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from airflow_deepseek_ocr.exceptions import ConfigurationError, ErrorCode
from airflow_deepseek_ocr.model.deepseek_ocr.architectures.published import (
    named_fields,
    sam_config,
    text_config,
)
from tests.conftest import GOLDEN

PUBLISHED = json.loads((GOLDEN[0] / "config.json").read_text())


def test_the_decoder_is_the_same_in_all_families() -> None:
    second = json.loads((GOLDEN[1] / "config.json").read_text())
    assert text_config(PUBLISHED) == text_config(second)


def test_sam_s_hidden_width_is_not_that_of_the_file() -> None:
    sam = sam_config(PUBLISHED["vision_config"])
    assert (sam["hidden_size"], sam["mlp_dim"], sam["output_channels"]) == (768, 3072, 256)


@pytest.mark.parametrize("error", [KeyError("heads"), TypeError("heads"), IndexError("heads")])
def test_a_missing_field_is_named(error: Exception) -> None:
    expected = pytest.raises(ConfigurationError, match=r"DeepSeek-OCR-2 layout: .*heads")
    with expected as caught, named_fields("DeepSeek-OCR-2"):
        raise error
    assert caught.value.code is ErrorCode.MODEL_CONFIG


def test_a_decoder_without_a_field_is_refused() -> None:
    config: dict[str, Any] = copy.deepcopy(PUBLISHED)
    del config["language_config"]["n_group"]
    with pytest.raises(KeyError, match="n_group"):
        text_config(config)
