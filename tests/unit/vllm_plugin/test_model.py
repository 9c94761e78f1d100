"""The plugin for vLLM as far as it needs no vLLM; ``make test-vllm`` has the rest."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from pathlib import Path
from types import SimpleNamespace

import pytest

from airflow_deepseek_ocr.ocr.families.registry import FAMILIES
from airflow_deepseek_ocr.vllm_plugin import register
from tests.conftest import ROOT

DISTRIBUTION = ROOT / "packages" / "airflow-deepseek-ocr-vllm"
NAME = "airflow_deepseek_ocr"


def test_the_distribution_has_what_the_plugin_imports_and_no_more(tmp_path: Path) -> None:
    shared = tomllib.loads((DISTRIBUTION / "pyproject.toml").read_text())
    included = shared["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    plugin = f"{NAME}/vllm_plugin"
    assert {target for target in included.values() if target != plugin} == _imported()
    for source, target in included.items():
        assert (DISTRIBUTION / source).resolve() == ROOT / target
        files = (ROOT / target).glob("*.py") if target == plugin else [ROOT / target]
        for file in files:
            copy = tmp_path / file.relative_to(ROOT)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(file.read_bytes())
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        f"import {NAME}.vllm_plugin, {NAME}.vllm_plugin.request as request\n"
        f"assert request.__file__.startswith({str(tmp_path)!r})\n"
        "print(*{name.partition('.')[0] for name in sys.modules})"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert not {"airflow", "torch", "httpx", "sqlalchemy"} & set(done.stdout.split())


def test_vllm_gets_a_class_for_each_family(monkeypatch: pytest.MonkeyPatch) -> None:
    """Registered by name: vLLM is not installed here, and must not be imported before it forks."""
    registered: dict[str, str] = {}
    registry = SimpleNamespace(register_model=registered.__setitem__)
    monkeypatch.setitem(sys.modules, "vllm", SimpleNamespace(ModelRegistry=registry))
    register()
    assert registered.keys() == {family.architecture for family in FAMILIES.values()}
    for name in registered.values():
        module, _, found = name.partition(":")
        tree = ast.parse((ROOT / f"{module.replace('.', '/')}.py").read_text())
        assert found in {node.name for node in tree.body if isinstance(node, ast.ClassDef)}


def test_both_distributions_name_the_same_entry_point() -> None:
    here, there = (
        tomllib.loads((directory / "pyproject.toml").read_text())["project"]["entry-points"]
        for directory in (ROOT, DISTRIBUTION)
    )
    assert here["vllm.general_plugins"] == there["vllm.general_plugins"]
    assert there["vllm.general_plugins"]


def _imported() -> set[str]:
    """Files of this package, besides the plugin's, that it imports, as paths from the root."""
    waiting = list((ROOT / NAME / "vllm_plugin").glob("*.py"))
    found: set[Path] = set()
    while waiting:
        file = waiting.pop()
        if file in found:
            continue
        found.add(file)
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(NAME):
                path = ROOT / (node.module or "").replace(".", "/")
                waiting.append(path.with_suffix(".py"))
                packages = [each for each in path.parents if each.is_relative_to(ROOT / NAME)]
                waiting += [each / "__init__.py" for each in packages]
    names = {str(file.relative_to(ROOT)) for file in found}
    return {name for name in names if "vllm_plugin" not in name}
