"""The connection's fields: names, values, defaults."""

from __future__ import annotations

import re
from typing import Any

import pytest

from airflow_deepseek_ocr.connection.fields import ENGINES, FIELDS, ConnectionField, check
from airflow_deepseek_ocr.exceptions import ConfigurationError, ErrorCode
from airflow_deepseek_ocr.ocr.families.deepseek_ocr import DEEPSEEK_OCR

BY_NAME = {each.name: each for each in FIELDS}


def test_no_field_is_masked() -> None:
    from airflow.sdk._shared.secrets_masker import should_hide_value_for_key

    assert should_hide_value_for_key("max_new_tokens")
    assert not [each.name for each in FIELDS if should_hide_value_for_key(each.name)]


@pytest.mark.parametrize(
    "each", [each for each in FIELDS if each.default is not None], ids=lambda f: f.name
)
def test_a_default_is_a_valid_value(each: ConnectionField) -> None:
    assert check(each, each.default) == each.default


@pytest.mark.parametrize(
    ("name", "value", "valid"),
    [
        ("batch_size", "3", 3),
        ("device", " cuda:1 ", "cuda:1"),
        ("vllm_options", "--x 1", "--x 1"),
    ],
)
def test_values_take_the_fields_type(name: str, value: Any, valid: Any) -> None:
    assert check(BY_NAME[name], value) == valid


@pytest.mark.parametrize(
    ("name", "value"),
    [("batch_size", 0), ("idle_seconds", "x"), ("dtype", "int4"), ("device", "cuda:0,1")],
)
def test_an_invalid_value_is_refused_with_the_valid_ones(name: str, value: Any) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(BY_NAME[name].label)) as caught:
        check(BY_NAME[name], value)
    assert caught.value.code is ErrorCode.CONNECTION
    assert repr(value) in str(caught.value)


def test_units_are_in_the_labels() -> None:
    numbers = [each for each in FIELDS if each.type == "integer"]
    assert len(numbers) == 5
    assert all(re.search(r"\((tokens|pages|seconds|processes)\)$", each.label) for each in numbers)


def test_the_form_gives_vision_tokens_as_the_model_counts_them() -> None:
    text = BY_NAME["resolution"].description
    for name in ("tiny", "small", "base", "large"):
        assert f"{name} {DEEPSEEK_OCR.resolutions[name].vision_tokens()}" in text
    assert "gundam up to 1,263" in text


def test_fields_of_single_engines_say_so_in_their_help() -> None:
    assert BY_NAME["vllm_options"].help.endswith(". Used by: vllm")
    assert BY_NAME["page_timeout"].help.endswith(". Used by: resident, vllm, remote")
    assert BY_NAME["prompt"].help == BY_NAME["prompt"].description
    for each in FIELDS:
        assert set(each.engines) <= set(ENGINES) - {"auto"}, each.name
