"""Which family a name, a configuration or a setting means."""

from __future__ import annotations

import copy
import itertools
import json
from typing import Any

import pytest

from airflow_deepseek_ocr.exceptions import ConfigurationError, ErrorCode
from airflow_deepseek_ocr.ocr.families.deepseek_ocr import DEEPSEEK_OCR
from airflow_deepseek_ocr.ocr.families.deepseek_ocr_2 import DEEPSEEK_OCR_2
from airflow_deepseek_ocr.ocr.families.registry import (
    DEFAULT_RESOLUTION,
    FAMILIES,
    RESOLUTION_NAMES,
    check_resolution_name,
    family_of_config,
    family_of_model,
    get_family,
    require_family,
)
from airflow_deepseek_ocr.ocr.prompts import PROMPTS
from tests.conftest import ROOT

PUBLISHED = json.loads((ROOT / "tests" / "corpus" / "golden" / "config.json").read_text())


@pytest.mark.parametrize(
    ("model", "family"),
    [
        ("deepseek-ai/DeepSeek-OCR", DEEPSEEK_OCR),
        ("deepseek-ai/DeepSeek-OCR-2", DEEPSEEK_OCR_2),
        ("someone/deepseek_ocr2-invoices", DEEPSEEK_OCR_2),
        ("/models/deepseek-ocr-2/snapshots/4f0", DEEPSEEK_OCR_2),
        ("/models/deepseek-ocr-2/DeepSeek-OCR/", DEEPSEEK_OCR),
        ("s3://models/DeepSeek-OCR-2/v1", DEEPSEEK_OCR_2),
        ("/models/deepseek-ocr-2026", DEEPSEEK_OCR),
        ("/models/weights", DEEPSEEK_OCR),
        ("", DEEPSEEK_OCR),
    ],
)
def test_the_name_of_a_model_tells_its_family(model: str, family: object) -> None:
    assert family_of_model(model) is family


def test_a_configuration_tells_its_family() -> None:
    assert family_of_config(PUBLISHED) is DEEPSEEK_OCR
    second = copy.deepcopy(PUBLISHED) | {"architectures": ["DeepseekOCR2ForCausalLM"]}
    second["vision_config"]["width"]["qwen2-0-5b"] = {"dim": 896}
    assert family_of_config(second) is DEEPSEEK_OCR_2


@pytest.mark.parametrize(
    "other",
    [
        # The vision part, the names of the weights and the fields are DeepSeek-OCR's.
        PUBLISHED | {"architectures": ["UnlimitedOCRForCausalLM"], "model_type": "unlimited-ocr"},
        PUBLISHED | {"architectures": ["UnlimitedOCRForCausalLM"]},
        PUBLISHED | {"model_type": "unlimited-ocr"},
        PUBLISHED | {"architectures": ["DeepseekOCR3ForCausalLM"]},
        {"architectures": ["LlamaForCausalLM"], "model_type": "llama"},
        {},
        [],
    ],
)
def test_other_models_are_refused_with_the_list_of_those_that_are_known(other: Any) -> None:
    with pytest.raises(
        ConfigurationError, match=r"DeepseekOCRForCausalLM.*DeepSeek-OCR-2"
    ) as caught:
        family_of_config(other, "/m/config.json")
    assert caught.value.code is ErrorCode.MODEL_CONFIG
    assert str(caught.value).startswith("/m/config.json is of no model")


def test_a_long_value_of_a_foreign_configuration_is_shortened() -> None:
    with pytest.raises(ConfigurationError) as caught:
        family_of_config({"architectures": ["x" * 5000]})
    assert len(str(caught.value)) < 700


def test_the_settings_family_must_be_that_of_the_checkpoint() -> None:
    assert require_family(DEEPSEEK_OCR, DEEPSEEK_OCR, "The model") is DEEPSEEK_OCR
    assert require_family(DEEPSEEK_OCR, None, "The model") is DEEPSEEK_OCR
    with pytest.raises(ConfigurationError, match="model family to deepseek_ocr_2") as caught:
        require_family(DEEPSEEK_OCR_2, DEEPSEEK_OCR, "The model in /m")
    assert caught.value.code is ErrorCode.MODEL_FAMILY


def test_families_by_name() -> None:
    assert all(get_family(name) is family for name, family in FAMILIES.items())
    for name in ("unlimited_ocr", None, ["deepseek_ocr"]):
        with pytest.raises(ConfigurationError, match="deepseek_ocr, deepseek_ocr_2"):
            get_family(name)


def test_modes_before_the_model_is_known() -> None:
    for name in RESOLUTION_NAMES:
        check_resolution_name(name)
    for name in ("huge", "auto", "", None, ["base"]):
        with pytest.raises(ConfigurationError, match="tiny, small, base, large, gundam") as caught:
            check_resolution_name(name)
        assert caught.value.code is ErrorCode.UNKNOWN_RESOLUTION


@pytest.mark.parametrize("family", FAMILIES.values(), ids=lambda family: family.name)
def test_every_family_has_what_the_package_relies_on(family: Any) -> None:
    assert {"small", "base", DEFAULT_RESOLUTION} <= set(family.modes)
    assert set(family.auto_modes) <= set(family.modes)
    assert family.documented_prompts <= set(PROMPTS)
    assert family.revision


@pytest.mark.parametrize("family", FAMILIES.values(), ids=lambda family: family.name)
def test_the_guide_has_the_family_s_figures(family: Any) -> None:
    guide = (ROOT / "docs" / "guides" / "models.md").read_text("utf-8")
    assert f"`{family.hub_id}`" in guide
    assert f"{family.ngram_size} tokens in {family.ngram_window}" in guide
    assert ", ".join(family.modes) in guide
    assert ", ".join(f"`{label}`" for label in family.labels) in guide
    gundam = family.resolution(DEFAULT_RESOLUTION)
    assert f"{gundam.vision_tokens(gundam.grid(1191, 1684)):,}" in guide


def test_a_blank_image_s_tokens_tell_family_and_mode() -> None:
    """The probe of a server counts on it, whatever some tokens of the prompt's line add."""
    counts = sorted(
        family.resolution(mode).vision_tokens()
        for family in FAMILIES.values()
        for mode in ("small", DEFAULT_RESOLUTION)
    )
    assert all(after - before > 15 for before, after in itertools.pairwise(counts))
