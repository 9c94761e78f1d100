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
from tests.conftest import GOLDEN, ROOT


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


def test_the_vision_tower_has_at_least_the_memory_that_was_measured() -> None:
    """Eight pages in gundam on an H200, compiled, in bfloat16; docs/measurements/engines.md."""
    row = next(
        line
        for line in (ROOT / "docs" / "measurements" / "engines.md").read_text().splitlines()
        if line.startswith("| memory of the encoder for 8 pages in gundam, GiB |")
    )
    measured = [float(cell) for cell in row.split("|")[2:4]]
    assert len(measured) == len(ARCHITECTURES)
    for gib, architecture in zip(measured, ARCHITECTURES.values(), strict=True):
        assert architecture.vision_bytes(2) >= gib * 2**30 / 8
        assert architecture.vision_bytes(4) == 2 * architecture.vision_bytes(2)
