"""The model family of a checkpoint on disk, told by its own ``config.json``; without torch."""

from __future__ import annotations

from pathlib import Path

from airflow_deepseek_ocr.model.weights.files import CONFIG, read_config
from airflow_deepseek_ocr.ocr.families.family import ModelFamily
from airflow_deepseek_ocr.ocr.families.registry import family_of_config, require_family


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
