"""The provider's metadata."""

from __future__ import annotations

import importlib
import inspect
import json
import tomllib
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import airflow
import jsonschema
import pytest
from airflow.providers.common.compat.sdk import BaseHook, BaseOperator, BaseSensorOperator
from airflow.providers_manager import ProvidersManager
from airflow.triggers.base import BaseTrigger

from airflow_deepseek_ocr.get_provider_info import get_provider_info
from tests.support.house.paths import PACKAGE, ROOT

SCHEMAS = Path(airflow.__file__).parent
#: What a class of each kind inherits from. A sensor is an operator as well.
KINDS = {
    "hooks": BaseHook,
    "operators": BaseOperator,
    "sensors": BaseSensorOperator,
    "triggers": BaseTrigger,
}


def schema(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((SCHEMAS / name).read_text("utf-8"))
    return loaded


def test_provider_metadata_is_valid_and_found() -> None:
    info = get_provider_info()
    jsonschema.validate(info, schema("provider_info.schema.json"))
    (point,) = (
        point
        for point in entry_points(group="apache_airflow_provider")
        if point.dist and point.dist.name == info["package-name"]
    )
    assert point.load() is get_provider_info


def test_it_has_no_key_that_airflow_does_not_know() -> None:
    """The schema of Airflow's own providers refuses unknown keys, which the loose one ignores."""
    strict = schema("provider.yaml.schema.json")
    connection = strict["properties"]["connection-types"]["items"]["properties"]
    if "conn-fields" not in connection:
        pytest.skip("before Airflow 3.2 the schema has neither conn-fields nor all tags")
    # A release of Airflow's own providers has these.
    of_a_release = {"state": "ready", "source-date-epoch": 0}
    jsonschema.validate(get_provider_info() | of_a_release, strict)


@pytest.mark.parametrize("kind", KINDS)
def test_every_public_class_is_named_by_its_module(kind: str) -> None:
    named = [name for each in get_provider_info()[kind] for name in each["python-modules"]]
    assert len(set(named)) == len(named)
    modules = [f"airflow_deepseek_ocr.{kind}.{path.stem}" for path in _modules(kind)]
    assert sorted(named) == [name for name in modules if _classes(name, KINDS[kind])]


def test_every_class_of_the_metadata_exists() -> None:
    info = get_provider_info()
    names = [each["hook-class-name"] for each in info["connection-types"]]
    names += [each["class-name"] for each in info["task-decorators"]]
    for name in names + info["extra-links"]:
        module, _, attribute = name.rpartition(".")
        assert hasattr(importlib.import_module(module), attribute)


def test_every_operators_link_is_named() -> None:
    info = get_provider_info()
    links = {
        f"{type(link).__module__}.{type(link).__name__}"
        for kind in ("operators", "sensors")
        for each in info[kind]
        for module in each["python-modules"]
        for operator in _classes(module, BaseOperator)
        for link in operator.operator_extra_links
    }
    assert links == set(info["extra-links"])


def test_its_guides_and_its_logo_are_there() -> None:
    (integration,) = get_provider_info()["integrations"]
    assert integration["how-to-guide"]
    for path in [*integration["how-to-guide"], integration["logo"]]:
        assert path.startswith("/docs/")
        assert (ROOT / path.removeprefix("/")).is_file(), path
    logo = ROOT / integration["logo"].removeprefix("/")
    assert logo.stat().st_size < 10_000
    assert ElementTree.parse(logo).getroot().get("viewBox")


def test_the_plugin_is_loaded_once() -> None:
    """Airflow refuses a plugin that both an entry point and the metadata name."""
    points = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["entry-points"]
    assert points["airflow.plugins"]
    assert "plugins" not in get_provider_info()


def test_airflow_has_its_classes_and_its_configuration() -> None:
    """What ``airflow providers hooks``, ``triggers`` and ``configs`` print."""
    info, manager = get_provider_info(), ProvidersManager()
    package = info["package-name"]
    (connection,) = info["connection-types"]
    kind = connection["connection-type"]
    assert manager.providers[package].version == info["versions"][0]
    hook = manager.hooks[kind]
    assert hook is not None
    assert (hook.hook_class_name, hook.package_name) == (connection["hook-class-name"], package)
    triggers = {each.trigger_class_name for each in manager.trigger if each.package_name == package}
    assert triggers == {name for each in info["triggers"] for name in each["python-modules"]}
    assert dict(manager.provider_configs)[package] == info["config"]
    decorators = {each["name"] for each in info["task-decorators"]}
    assert decorators <= set(manager.taskflow_decorators)


@pytest.mark.slow
def test_airflow_has_its_links_and_its_form() -> None:
    """What ``airflow providers links``, ``behaviours`` and ``widgets`` print: it imports all providers."""
    info, manager = get_provider_info(), ProvidersManager()
    (connection,) = info["connection-types"]
    kind = connection["connection-type"]
    assert set(info["extra-links"]) <= set(manager.extra_links_class_names)
    # Before 3.2 Airflow asks the hook for its fields, and only if flask_appbuilder is installed.
    if "conn-fields" not in json.dumps(schema("provider.yaml.schema.json")):
        return
    assert kind in manager.field_behaviours
    widgets = {name.removeprefix(f"extra__{kind}__") for name in manager.connection_form_widgets}
    assert set(connection["conn-fields"]) <= widgets


def _modules(kind: str) -> list[Path]:
    return sorted(path for path in (PACKAGE / kind).glob("*.py") if path.stem != "__init__")


def _classes(module: str, base: type[Any]) -> list[type[Any]]:
    """Return the public classes of a kind that a module defines."""
    return [
        each
        for name, each in inspect.getmembers(importlib.import_module(module), inspect.isclass)
        if each.__module__ == module and not name.startswith("_") and issubclass(each, base)
    ]
