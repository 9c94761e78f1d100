"""A model family: its modes, and the checkpoints that belong to it."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from airflow_deepseek_ocr.exceptions import ConfigurationError, ErrorCode
from airflow_deepseek_ocr.ocr.families.deepseek_ocr import DEEPSEEK_OCR
from airflow_deepseek_ocr.ocr.families.family import by_name
from airflow_deepseek_ocr.ocr.resolution import Resolution
from tests.conftest import ROOT

PUBLISHED = json.loads((ROOT / "tests" / "corpus" / "golden" / "config.json").read_text())


def test_modes_keep_their_order() -> None:
    assert list(by_name([Resolution("b", 64), Resolution("a", 64)])) == ["b", "a"]


@pytest.mark.parametrize("name", ["huge", "auto", "", None, ["base"]])
def test_modes_that_do_not_exist(name: Any) -> None:
    with pytest.raises(ConfigurationError, match="tiny, small, base, large, gundam") as caught:
        DEEPSEEK_OCR.resolution(name)
    assert caught.value.code is ErrorCode.UNKNOWN_RESOLUTION


def test_decoding_has_the_family_s_constraint() -> None:
    decoding = DEEPSEEK_OCR.decoding(100, forced=True)
    assert (decoding.max_output_length, decoding.forced) == (100, True)
    assert (decoding.ngram_size, decoding.ngram_window) == (30, 90)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("architectures",), ["UnlimitedOCRForCausalLM"]),
        (("architectures",), "DeepseekOCRForCausalLM"),
        (("architectures",), []),
        (("model_type",), "unlimited-ocr"),
        (("model_type",), ["deepseek_vl_v2"]),
        (("vision_config",), None),
        (("vision_config", "width"), ["sam_vit_b", "clip-l-14-224"]),
        (("vision_config", "width"), {"sam_vit_b": {}}),
    ],
)
def test_each_mark_of_a_config_counts(path: tuple[str, ...], value: Any) -> None:
    config = copy.deepcopy(PUBLISHED)
    assert DEEPSEEK_OCR.has_config(config)
    parent = config
    for name in path[:-1]:
        parent = parent[name]
    parent[path[-1]] = value
    assert not DEEPSEEK_OCR.has_config(config)
