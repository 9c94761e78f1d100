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


def test_the_files_of_the_index_are_sorted(tmp_path: Path) -> None:
    index = {"weight_map": {"a": "b.safetensors", "b": "a-1.safetensors", "c": "b.safetensors"}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    assert weight_files(tmp_path) == [tmp_path / "a-1.safetensors", tmp_path / "b.safetensors"]


@pytest.mark.parametrize(
    "name",
    [
        *(
            "../a.safetensors",
            "sub/a.safetensors",
            "./a.safetensors",
            "/etc/a.safetensors",
            "..",
            ".",
        ),
        *("a.bin", "pytorch_model.bin", "a.safetensors.bin", "a.pt", "a.json", "", ".safetensors"),
        *(
            "sub\\a.safetensors",
            "a.safetensors\n",
            "a\0.safetensors",
            "a*.safetensors",
            "a.SAFETENSORS",
        ),
        *("~a.safetensors", "-a.safetensors", "https://x/a.safetensors", "a.safetensors/"),
    ],
)
def test_the_index_names_safetensors_files_beside_it_only(tmp_path: Path, name: str) -> None:
    """transformers would load the name as it is: the file that was checked must be the one."""
    index = {"weight_map": {"a": "a.safetensors", "b": name}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    (tmp_path / "a.safetensors").touch()
    with pytest.raises(UnavailableError, match=r"is no \.safetensors file beside it") as caught:
        weight_files(tmp_path)
    assert caught.value.code is ErrorCode.MODEL_INCOMPLETE


def test_two_answers_to_which_weights_are_refused(tmp_path: Path) -> None:
    """transformers would load the single file, and vLLM those of the index."""
    (tmp_path / "model.safetensors").touch()
    index = tmp_path / "model.safetensors.index.json"
    index.write_text('{"weight_map": {"a": "model.safetensors"}}')
    assert weight_files(tmp_path) == [tmp_path / "model.safetensors"]
    index.write_text('{"weight_map": {"a": "a.safetensors"}}')
    with pytest.raises(UnavailableError, match="remove one of the two"):
        weight_files(tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("config.json", '{"transformers_weights": "other.safetensors"}', "names other weights"),
        ("config.json", "[]", "is no JSON object"),
        ("adapter_config.json", "{}", "would load an adapter"),
    ],
)
def test_files_that_would_load_others_are_refused(
    tmp_path: Path, name: str, content: str, said: str
) -> None:
    shutil.copytree(TINY_MODEL, tmp_path / "model")
    assert check_model_directory(tmp_path / "model")
    (tmp_path / "model" / name).write_text(content)
    with pytest.raises(UnavailableError, match=rf"{name} {said}"):
        check_model_directory(tmp_path / "model")


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
    "index",
    [
        *([], {}, 1, None, "a", {"weight_map": []}, {"weight_map": None}, {"weight_map": {}}),
        *({"weight_map": {"a": each}} for each in (1, None, [], {}, ["a.safetensors"], 1.5, True)),
    ],
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
