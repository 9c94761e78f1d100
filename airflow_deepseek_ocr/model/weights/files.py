"""Is a model directory whole? Answered from file names and headers, without torch or transformers."""

from __future__ import annotations

import json
import os
import struct
from pathlib import Path
from typing import Any

from airflow_deepseek_ocr.exceptions import ErrorCode, UnavailableError
from airflow_deepseek_ocr.regular_file import open_regular_file, read_regular_file

CONFIG = "config.json"
TOKENIZER = "tokenizer.json"
INDEX = "model.safetensors.index.json"
SINGLE_FILE = "model.safetensors"

#: Files fetched from a hub or a mirror; the repository's Python files are never needed.
PATTERNS = ("*.json", "*.safetensors")

#: A safetensors header is never larger (limit of the format's reference implementation), in bytes.
_MAX_HEADER = 100_000_000
#: Largest JSON file of a model, in bytes. The published tokenizer has 10 MB; those with the largest
#: vocabularies (Gemma 3: 262,000 tokens) have 33 MB.
_MAX_JSON = 64 << 20


def weight_files(directory: Path) -> list[Path]:
    """The safetensors files the directory's index names, sorted; they may be missing.

    :raises UnavailableError: ``model_incomplete`` if the index is missing or not JSON.
    """
    if (directory / SINGLE_FILE).is_file():
        return [directory / SINGLE_FILE]
    index = _read_json(directory, INDEX)
    try:
        return sorted({directory / Path(name).name for name in index["weight_map"].values()})
    except (KeyError, AttributeError, TypeError) as error:
        raise _incomplete(directory, f"{INDEX} names no files of weights") from error


def check_model_directory(directory: Path) -> int:
    """Total size in bytes of the weights of a complete model directory.

    :raises UnavailableError: ``model_incomplete``, naming the file that is missing or cut short.
    """
    if not directory.is_dir():
        raise UnavailableError(
            ErrorCode.MODEL_MISSING,
            f"The model directory {directory} does not exist on this host; check the path.",
        )
    for name in (CONFIG, TOKENIZER):
        _read_json(directory, name)
    return sum(_checked_size(path) for path in weight_files(directory))


def _read_json(directory: Path, name: str) -> Any:
    """Return the content of a JSON file, which another program may have replaced by anything."""
    try:
        content = read_regular_file(directory / name, _MAX_JSON)
    except FileNotFoundError as error:
        raise _incomplete(directory, f"{name} is missing") from error
    except OSError as error:
        raise _incomplete(directory, f"{name} cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise _incomplete(directory, f"{name} {error}") from error
    try:
        return json.loads(content)
    except RecursionError:
        raise _incomplete(directory, f"{name} is nested too deep") from None
    except ValueError as error:
        raise _incomplete(directory, f"{name} is not JSON") from error


def _checked_size(path: Path) -> int:
    try:
        with open_regular_file(path) as file:
            size = os.fstat(file.fileno()).st_size
            (length,) = struct.unpack("<Q", file.read(8))
            if length > _MAX_HEADER:
                raise ValueError("header too large")
            header = json.loads(file.read(length))
        ends = [
            entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"
        ]
        expected = 8 + length + max(ends, default=0)
    except FileNotFoundError as error:
        raise _incomplete(path.parent, f"{path.name} is missing") from error
    except (
        OSError,
        ValueError,
        struct.error,
        KeyError,
        TypeError,
        AttributeError,
        IndexError,
        RecursionError,
    ) as error:
        raise _incomplete(path.parent, f"{path.name} is not a safetensors file") from error
    if size != expected:
        raise _incomplete(path.parent, f"{path.name} has {size} bytes instead of {expected}")
    return size


def _incomplete(directory: Path, what: str) -> UnavailableError:
    return UnavailableError(
        ErrorCode.MODEL_INCOMPLETE,
        f"The model directory {directory} is incomplete: {what}. "
        "Copy it again, or fetch it with: airflow-deepseek-ocr pull MODEL",
    )
