"""The model families that this package knows, and the one that a name or a checkpoint belongs to."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from airflow_deepseek_ocr.exceptions import ConfigurationError, ErrorCode
from airflow_deepseek_ocr.ocr.families.deepseek_ocr import DEEPSEEK_OCR
from airflow_deepseek_ocr.ocr.families.deepseek_ocr_2 import DEEPSEEK_OCR_2
from airflow_deepseek_ocr.ocr.families.family import ModelFamily

FAMILIES: dict[str, ModelFamily] = {
    family.name: family for family in (DEEPSEEK_OCR, DEEPSEEK_OCR_2)
}

#: Family of a model whose name tells none, and of servers that report none.
DEFAULT_FAMILY = DEEPSEEK_OCR

#: The mode of connections and servers without another; every family has it.
DEFAULT_RESOLUTION = "gundam"

#: Names of the modes of all families, in the order in which they are listed to users.
RESOLUTION_NAMES: tuple[str, ...] = tuple(
    dict.fromkeys(name for family in FAMILIES.values() for name in family.modes)
)

#: Longest value of a foreign config.json that an error quotes, in characters.
_MAX_QUOTED = 80


def get_family(name: Any) -> ModelFamily:
    """Return the family of that name.

    :param name: a key of :data:`FAMILIES`; other values have no family.
    :raises ConfigurationError: ``model_family``, with the names of those that there are.
    """
    found = FAMILIES.get(name) if isinstance(name, str) else None
    if found is None:
        raise ConfigurationError(
            ErrorCode.MODEL_FAMILY,
            f"There is no model family {_quoted(name)}. Use one of: {', '.join(FAMILIES)}.",
        )
    return found


def family_of_model(model: str) -> ModelFamily:
    """Return the family that the name of a model tells; :data:`DEFAULT_FAMILY` if it tells none.

    Hub ids, directories and S3 prefixes may have the publisher's name with another owner, upper or lower
    case, other separators and additions: ``/models/deepseek_ocr_2-finetuned``. The last part that has a name
    counts.

    :param model: hub id, directory or S3 prefix.
    """
    for part in reversed(model.split("/")):
        words = _words(part)
        # The longest name first: the first family's is the beginning of the second's.
        for family in sorted(FAMILIES.values(), key=lambda each: -len(each.title)):
            if f"-{_words(family.title)}-" in f"-{words}-":
                return family
    return DEFAULT_FAMILY


def family_of_config(published: Any, source: str = "config.json") -> ModelFamily:
    """Return the family of a checkpoint.

    :param published: the parsed ``config.json``.
    :param source: the file, for the error.
    :raises ConfigurationError: ``model_config`` if it is of no known family. Other models have
        configurations of the same form, and would be read wrongly without an error.
    """
    config = published if isinstance(published, Mapping) else {}
    for family in FAMILIES.values():
        if family.has_config(config):
            return family
    found = ", ".join(
        f"{name} {_quoted(config.get(name))}" for name in ("architectures", "model_type")
    )
    known = "; ".join(
        f"{family.title} ({family.architecture}, {family.model_type}, "
        f"vision_config.width with {' and '.join(sorted(family.vision_widths))})"
        for family in FAMILIES.values()
    )
    raise ConfigurationError(
        ErrorCode.MODEL_CONFIG,
        f"{source} is of no model that this package can read: it has {found}. Models: {known}. Point the "
        "connection's model at a directory, hub id or s3:// prefix of one of these.",
    )


def require_family(found: ModelFamily, expected: ModelFamily | None, where: str) -> ModelFamily:
    """Return the family that was found, if the settings were made for it.

    :param found: of the checkpoint or server.
    :param expected: of the settings; None for any.
    :param where: the checkpoint or server, as the beginning of a sentence.
    :raises ConfigurationError: ``model_family``.
    """
    if expected is not None and found is not expected:
        raise ConfigurationError(
            ErrorCode.MODEL_FAMILY,
            f"{where} is {found.title}, but the connection's settings are for {expected.title}: modes, "
            f"prompts and stored configuration differ. Set the connection's model family to {found.name}, or "
            f"use a model of {expected.title}.",
        )
    return found


def check_resolution_name(name: Any) -> None:
    """Raise unless some family has that mode, for settings whose model is not known yet.

    :raises ConfigurationError: ``unknown_resolution``, with the names of all modes.
    """
    if not isinstance(name, str) or name not in RESOLUTION_NAMES:
        raise ConfigurationError(
            ErrorCode.UNKNOWN_RESOLUTION,
            f"There is no resolution mode {name!r}. Use one of: {', '.join(RESOLUTION_NAMES)}.",
        )


def _words(name: str) -> str:
    """Return the words of a name in lower case, separated by hyphens."""
    return "-".join(re.findall(r"[a-z]+|[0-9]+", name.lower()))


def _quoted(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _MAX_QUOTED else f"{text[:_MAX_QUOTED]}..."
