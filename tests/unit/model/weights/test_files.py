"""A model directory is checked by names, headers and sizes."""

from __future__ import annotations

import json
import os
import shutil
import struct
import time
from collections.abc import Callable
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


def _write(content: bytes) -> Callable[[Path], None]:
    return lambda path: path.write_bytes(content) and None


def _sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1_000_000_000)


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors.index.json"])
@pytest.mark.parametrize(
    ("make", "said"),
    [
        (os.mkfifo, "is a named pipe"),
        (Path.mkdir, "is a directory"),
        (lambda path: path.symlink_to("/dev/zero"), "is a device"),
        (_sparse, "has 1,000,000,000 bytes, more than"),
        (_write(b"[" * 200_000), "is nested too deep"),
        (_write(b'{"a":' * 200_000), "is nested too deep"),
        (_write(b"\xff\xfe\x00"), "is not JSON"),
        (_write(b"{"), "is not JSON"),
        (lambda path: None, "is missing"),
    ],
)
def test_a_file_that_is_none_is_named_at_once(
    tmp_path: Path, name: str, make: Callable[[Path], None], said: str
) -> None:
    for each in ("config.json", "tokenizer.json"):
        shutil.copy(TINY_MODEL / each, tmp_path)
    (tmp_path / name).unlink(missing_ok=True)
    make(tmp_path / name)
    started = time.monotonic()
    with pytest.raises(UnavailableError, match=rf"incomplete: {name} {said}") as caught:
        check_model_directory(tmp_path)
    assert caught.value.code is ErrorCode.MODEL_INCOMPLETE
    assert time.monotonic() - started < 2


@pytest.mark.parametrize(
    "index", [[], {}, {"weight_map": []}, {"weight_map": {"a": 1}}, {"weight_map": None}, 1, None]
)
def test_an_index_without_names_is_refused(tmp_path: Path, index: object) -> None:
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(UnavailableError, match="names no files of weights"):
        weight_files(tmp_path)


def _header(header: bytes) -> Callable[[Path], None]:
    return _write(struct.pack("<Q", len(header)) + header)


@pytest.mark.parametrize(
    "make",
    [
        os.mkfifo,
        Path.mkdir,
        lambda path: path.symlink_to("/dev/zero"),
        _header(b"[" * 200_000),
        _header(b"[]"),
        _header(b'{"a": {"data_offsets": []}}'),
        _write(b"\xff" * 16),
        _write(b""),
    ],
)
def test_weights_that_are_none_are_refused_at_once(
    tmp_path: Path, make: Callable[[Path], None]
) -> None:
    for each in ("config.json", "tokenizer.json"):
        shutil.copy(TINY_MODEL / each, tmp_path)
    index = {"weight_map": {"a": "a.safetensors"}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    make(tmp_path / "a.safetensors")
    with pytest.raises(UnavailableError, match=r"a\.safetensors is not a safetensors file"):
        check_model_directory(tmp_path)
