"""The model family of a checkpoint on disk, told by its own ``config.json``; without torch."""

from __future__ import annotations

import math
from pathlib import Path

from airflow_deepseek_ocr.exceptions import ConfigurationError, ErrorCode
from airflow_deepseek_ocr.model.weights.files import CONFIG, read_config
from airflow_deepseek_ocr.ocr.families.family import ModelFamily
from airflow_deepseek_ocr.ocr.families.registry import family_of_config, require_family

#: Field of ``config.json`` for :func:`smallest_print`.
SMALLEST_PRINT = "smallest_print_px"


def checkpoint_family(directory: Path, expected: ModelFamily | None = None) -> ModelFamily:
    """Return the family of the checkpoint in a directory.

    :param directory: a model directory.
    :param expected: family that the settings are for; None for any.
    :raises UnavailableError: ``model_missing`` without a directory, ``model_incomplete`` if ``config.json``
        cannot be read.
    :raises ConfigurationError: ``model_config`` if no family is like it; ``model_family`` if another than the
        expected one is.
    """
    found = family_of_config(read_config(directory), str(directory / CONFIG))
    return require_family(found, expected, f"The model in {directory}")


def smallest_print(directory: Path, family: ModelFamily) -> float:
    """Return the height of the smallest print that a checkpoint reads, in pixels of a view or tile.

    A small checkpoint has an additional field for it in ``config.json``, which other programs ignore.

    :param directory: a model directory.
    :param family: the checkpoint's family, whose height holds for published checkpoints.
    :raises UnavailableError: ``model_incomplete`` if ``config.json`` cannot be read.
    :raises ConfigurationError: ``model_config`` if the field is no positive number.
    """
    value = read_config(directory).get(SMALLEST_PRINT, family.smallest_print)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
        raise ConfigurationError(
            ErrorCode.MODEL_CONFIG,
            f"{SMALLEST_PRINT} in {directory / CONFIG} is {value!r}. Write a number of pixels, or remove it.",
        )
    return float(value)
