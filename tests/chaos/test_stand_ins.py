"""Stand-ins and preloaded modules fail loudly when a module has moved."""

from __future__ import annotations

import importlib.util
import subprocess
import sys

import pytest

from tests.chaos.model_server import ENGINE, ScriptedModel, replace_module
from tests.chaos.worker import PRELOADED


@pytest.mark.parametrize("name", [*PRELOADED, ENGINE])
def test_modules_named_as_strings_exist(name: str) -> None:
    assert importlib.util.find_spec(name) is not None


def test_the_engine_is_replaced_where_the_server_imports_it() -> None:
    code = (
        "from tests.chaos.model_server import ENGINE, ScriptedModel, replace_module\n"
        "replace_module(ENGINE, InProcessEngine=ScriptedModel)\n"
        f"from {ENGINE} import InProcessEngine\n"
        "assert InProcessEngine is ScriptedModel"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


@pytest.mark.parametrize(
    ("module", "name"),
    [("airflow_deepseek_ocr.moved", "InProcessEngine"), (ENGINE, "NoSuchEngine")],
)
def test_a_wrong_name_is_an_error(module: str, name: str) -> None:
    with pytest.raises(ImportError):
        replace_module(module, **{name: ScriptedModel})
