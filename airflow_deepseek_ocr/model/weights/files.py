"""Is a model directory whole? Answered from file names and headers, without torch or transformers."""

from __future__ import annotations

import json
import os
import re
import struct
from pathlib import Path
from typing import Any

from airflow_deepseek_ocr.exceptions import ErrorCode, UnavailableError
from airflow_deepseek_ocr.regular_file import open_regular_file, read_regular_file

CONFIG = "config.json"
TOKENIZER = "tokenizer.json"
INDEX = "model.safetensors.index.json"
SINGLE_FILE = "model.safetensors"

#: Files fetched from a hub or a mirror, if they are there, beside those of the weights: this package,
#: transformers and vLLM read these of DeepSeek-OCR. Others, such as Python files and adapters, would change
#: the model.
SMALL_FILES = (
    *(CONFIG, TOKENIZER, INDEX, "tokenizer_config.json", "special_tokens_map.json"),
    *("added_tokens.json", "generation_config.json", "processor_config.json"),
    "preprocessor_config.json",
)
#: A file of weights lies beside the index and is no other format: ``.bin`` files are pickles.
_WEIGHTS_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*\.safetensors")
#: Files and fields by which transformers loads other weights than :func:`weight_files` names.
_ADAPTER = "adapter_config.json"
_OTHER_WEIGHTS = "transformers_weights"

#: A safetensors header is never larger (limit of the format's reference implementation), in bytes.
_MAX_HEADER = 100_000_000
#: Largest JSON file of a model, in bytes. The published tokenizer has 10 MB; those with the largest
#: vocabularies (Gemma 3: 262,000 tokens) have 33 MB.
_MAX_JSON = 64 << 20


def weight_names(index: Any) -> list[str]:
    """Return the names of the files that an index of weights lists, sorted.

    :param index: content of the JSON file.
    :raises ValueError: it has another form, or names something else than a safetensors file beside it; the
        message says what.
    """
    names = index.get("weight_map") if isinstance(index, dict) else None
    if not isinstance(names, dict) or not names:
        raise ValueError("names no files of weights")
    for name in names.values():
        if not isinstance(name, str):
            raise ValueError("names no files of weights")
        if not _WEIGHTS_NAME.fullmatch(name):
            raise ValueError(f"names {name[:100]!r}, which is no .safetensors file beside it")
    return sorted(set(names.values()))


def weight_files(directory: Path) -> list[Path]:
    """The safetensors files the directory's index names, sorted; they may be missing.

    :raises UnavailableError: ``model_incomplete`` if the index is missing or not JSON.
    """
    single, indexed = (directory / SINGLE_FILE).is_file(), (directory / INDEX).exists()
    if single and not indexed:
        return [directory / SINGLE_FILE]
    try:
        names = weight_names(_read_json(directory, INDEX))
    except ValueError as error:
        raise _incomplete(directory, f"{INDEX} {error}") from error
    if single and names != [SINGLE_FILE]:
        # transformers loads the single file, vLLM those of the index.
        raise _incomplete(
            directory, f"it has {SINGLE_FILE}, and {INDEX} names {names[0]}; remove one of the two"
        )
    return [directory / name for name in names]


def check_model_directory(directory: Path) -> int:
    """Total size in bytes of the weights of a complete model directory.

    :raises UnavailableError: ``model_missing``; ``model_incomplete``, naming the file that is missing or cut
        short.
    """
    config = read_config(directory)
    _read_json(directory, TOKENIZER)
    if _OTHER_WEIGHTS in config:
        raise _incomplete(
            directory, f"{CONFIG} names other weights in {_OTHER_WEIGHTS}; remove that field"
        )
    if (directory / _ADAPTER).exists():
        raise _incomplete(
            directory,
            f"{_ADAPTER} would load an adapter; merge it into the weights, or remove that file",
        )
    return sum(_checked_size(path) for path in weight_files(directory))


def read_config(directory: Path) -> dict[str, Any]:
    """Return the content of ``config.json``.

    :param directory: a model directory.
    :raises UnavailableError: ``model_missing``, ``model_incomplete``.
    """
    if not directory.is_dir():
        raise UnavailableError(
            ErrorCode.MODEL_MISSING,
            f"The model directory {directory} does not exist on this host; check the path.",
        )
    config = _read_json(directory, CONFIG)
    if not isinstance(config, dict):
        raise _incomplete(directory, f"{CONFIG} is no JSON object")
    return config


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
