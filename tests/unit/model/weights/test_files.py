"""A model directory is checked by names, headers and sizes."""

from __future__ import annotations

import json
import shutil
import struct
from pathlib import Path

import pytest

from airflow_deepseek_ocr.exceptions import ErrorCode, UnavailableError
from airflow_deepseek_ocr.model.weights.files import check_model_directory, weight_files
from tests.conftest import TINY_MODEL


def test_a_missing_directory_has_its_own_code(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError) as caught:
        check_model_directory(tmp_path / "none")
    assert caught.value.code is ErrorCode.MODEL_MISSING


def test_the_files_of_the_index_are_sorted_and_stay_in_the_directory(tmp_path: Path) -> None:
    index = {"weight_map": {"a": "b.safetensors", "b": "../a.safetensors", "c": "b.safetensors"}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    assert weight_files(tmp_path) == [tmp_path / "a.safetensors", tmp_path / "b.safetensors"]


def test_a_single_file_needs_no_index(tmp_path: Path) -> None:
    for name in ("config.json", "tokenizer.json"):
        shutil.copy(TINY_MODEL / name, tmp_path)
    header = json.dumps({"t": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}).encode()
    whole = struct.pack("<Q", len(header)) + header + bytes(8)
    (tmp_path / "model.safetensors").write_bytes(whole)
    assert check_model_directory(tmp_path) == len(whole)
    (tmp_path / "model.safetensors").write_bytes(whole[:-1])
    with pytest.raises(UnavailableError, match="bytes instead of") as caught:
        check_model_directory(tmp_path)
    assert caught.value.code is ErrorCode.MODEL_INCOMPLETE
