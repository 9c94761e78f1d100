"""The family of a checkpoint on disk."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from airflow_deepseek_ocr.exceptions import ConfigurationError, ErrorCode, UnavailableError
from airflow_deepseek_ocr.model.checkpoint_family import (
    SMALLEST_PRINT,
    checkpoint_family,
    smallest_print,
)
from airflow_deepseek_ocr.ocr.families.deepseek_ocr import DEEPSEEK_OCR
from airflow_deepseek_ocr.ocr.families.deepseek_ocr_2 import DEEPSEEK_OCR_2
from tests.conftest import TINY_MODEL


def test_the_small_checkpoint_is_of_the_first_family() -> None:
    assert checkpoint_family(TINY_MODEL) is DEEPSEEK_OCR
    assert checkpoint_family(TINY_MODEL, DEEPSEEK_OCR) is DEEPSEEK_OCR


def test_a_contradiction_names_the_directory_and_the_setting() -> None:
    with pytest.raises(ConfigurationError, match="to deepseek_ocr, ") as caught:
        checkpoint_family(TINY_MODEL, DEEPSEEK_OCR_2)
    assert caught.value.code is ErrorCode.MODEL_FAMILY
    assert str(TINY_MODEL) in str(caught.value)


def test_another_model_in_the_directory_is_refused(tmp_path: Path) -> None:
    config = {"architectures": ["UnlimitedOCRForCausalLM"], "model_type": "unlimited-ocr"}
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(ConfigurationError, match="UnlimitedOCRForCausalLM") as caught:
        checkpoint_family(tmp_path, DEEPSEEK_OCR)
    assert caught.value.code is ErrorCode.MODEL_CONFIG


def test_a_directory_without_a_configuration(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match=r"config\.json is missing"):
        checkpoint_family(tmp_path)


def test_a_checkpoint_may_name_the_smallest_print_that_it_reads(tmp_path: Path) -> None:
    config = json.loads((TINY_MODEL / "config.json").read_text())
    assert smallest_print(TINY_MODEL, DEEPSEEK_OCR) == config.pop(SMALLEST_PRINT)
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert smallest_print(tmp_path, DEEPSEEK_OCR) == DEEPSEEK_OCR.smallest_print


@pytest.mark.parametrize("value", [0, -1, True, "12", None, float("inf"), float("nan")])
def test_a_smallest_print_that_is_no_height(tmp_path: Path, value: object) -> None:
    (tmp_path / "config.json").write_text(json.dumps({SMALLEST_PRINT: value}))
    with pytest.raises(ConfigurationError, match="Write a number of pixels") as caught:
        smallest_print(tmp_path, DEEPSEEK_OCR)
    assert caught.value.code is ErrorCode.MODEL_CONFIG
