"""The provider's metadata."""

from __future__ import annotations

import importlib
import json
from importlib.metadata import entry_points
from pathlib import Path

import airflow
import jsonschema

from airflow_deepseek_ocr.get_provider_info import get_provider_info


def test_provider_metadata_is_valid_and_found() -> None:
    info = get_provider_info()
    schema = json.loads((Path(airflow.__file__).parent / "provider_info.schema.json").read_text())
    jsonschema.validate(info, schema)
    (point,) = (
        point
        for point in entry_points(group="apache_airflow_provider")
        if point.dist and point.dist.name == info["package-name"]
    )
    assert point.load() is get_provider_info


def test_every_class_and_module_of_the_metadata_exists() -> None:
    info = get_provider_info()
    for kind in ("hooks", "operators", "sensors", "triggers"):
        for each in info[kind]:
            for module in each["python-modules"]:
                importlib.import_module(module)
    names = [each["hook-class-name"] for each in info["connection-types"]]
    names += [each["class-name"] for each in info["task-decorators"]]
    for name in names:
        module, _, attribute = name.rpartition(".")
        assert hasattr(importlib.import_module(module), attribute)
