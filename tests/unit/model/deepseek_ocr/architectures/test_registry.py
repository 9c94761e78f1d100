"""Each family has an architecture that transformers has a class for."""

from __future__ import annotations

import json

import pytest

from airflow_deepseek_ocr.exceptions import ConfigurationError
from airflow_deepseek_ocr.model.deepseek_ocr.architectures.registry import (
    ARCHITECTURES,
    architecture_of_config,
)
from airflow_deepseek_ocr.ocr.families.registry import FAMILIES
from tests.conftest import GOLDEN


def test_each_family_has_one() -> None:
    assert ARCHITECTURES.keys() == FAMILIES.keys()
    for architecture in ARCHITECTURES.values():
        assert architecture.native_class().__name__ == architecture.model_class


def test_a_configuration_leads_to_its_architecture() -> None:
    for vectors, architecture in zip(GOLDEN, ARCHITECTURES.values(), strict=True):
        published = json.loads((vectors / "config.json").read_text())
        assert architecture_of_config(published) is architecture


def test_a_configuration_that_only_looks_alike_is_refused() -> None:
    published = json.loads((GOLDEN[0] / "config.json").read_text())
    published |= {"architectures": ["UnlimitedOCRForCausalLM"], "model_type": "unlimited-ocr"}
    with pytest.raises(ConfigurationError, match="UnlimitedOCRForCausalLM"):
        architecture_of_config(published)
