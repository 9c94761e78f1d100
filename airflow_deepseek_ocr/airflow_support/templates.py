"""Checks of arguments that Airflow may still have to render."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, fields
from datetime import timedelta
from typing import Any

from airflow_deepseek_ocr.airflow_support.error_mapping import airflow_errors
from airflow_deepseek_ocr.connection.options import DiscoveryOptions, OcrOptions
from airflow_deepseek_ocr.connection.values import Convert, has_template

#: A valid value for a required argument that is a template; only ``bucket`` is required.
_PLACEHOLDER = "bucket"


def check_literals(kind: type[OcrOptions | DiscoveryOptions], owner: object) -> None:
    """Check the arguments of an operator that have their final values when the DAG is parsed.

    Templates and outputs of other tasks are skipped; ``kind.of(owner)`` checks them after rendering.

    :param kind: the options that the arguments belong to.
    :param owner: the operator, with the arguments as attributes.
    :raises AirflowFailException: an argument has an invalid value; the message names the valid ones.
    """
    literals: dict[str, Any] = {}
    for each in fields(kind):
        value = getattr(owner, each.name)
        if _is_literal(value):
            literals[each.name] = value
        elif each.default is MISSING:
            literals[each.name] = _PLACEHOLDER
    with airflow_errors():
        kind(**literals)


def check_values(kinds: Mapping[str, Convert], owner: object) -> None:
    """Check further arguments as :func:`check_literals` does.

    :param kinds: how each argument is converted.
    :param owner: the operator, with the arguments as attributes.
    :raises AirflowFailException: an argument has an invalid value.
    """
    with airflow_errors():
        for name, convert in kinds.items():
            if _is_literal(value := getattr(owner, name)):
                convert(name, value)


def _is_literal(value: Any) -> bool:
    if isinstance(value, str):
        return not has_template(value)
    if isinstance(value, list | tuple):
        return all(map(_is_literal, value))
    return value is None or isinstance(value, int | float | timedelta)
