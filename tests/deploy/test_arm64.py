"""Every dependency but one has a wheel for Linux on ARM64, and torch is a build with CUDA there.

The resolver reads metadata from PyPI; nothing is installed, and no ARM64 machine is needed.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.conftest import ROOT

#: The resolver waits for PyPI, half a minute.
pytestmark = pytest.mark.slow

#: glibc 2.28: Debian 10, Ubuntu 20.04 and RHEL 8 have it, and torch's wheels need it.
PLATFORM = "aarch64-manylinux_2_28"
PYTHONS = ("3.11", "3.12", "3.13")
EXTRAS = ("transformers", "heif", "postgres", "mysql")
#: The driver for MySQL has wheels for Windows and macOS only: it is built on every Linux. The Makefile
#: names the packages that this takes.
BUILT = "mysqlclient"
#: Packages of CUDA that a torch for GPUs cannot do without.
CUDA = {"nvidia-cublas", "nvidia-cudnn-cu13", "nvidia-cuda-nvrtc"}
OLDEST = "oldest torch"

Resolutions = dict[str, Future[dict[str, str]]]


@pytest.fixture(scope="module")
def resolutions(tmp_path_factory: pytest.TempPathFactory) -> Resolutions:
    """Name and version of each package, by version of Python; most of the time is waiting for PyPI."""
    old = tmp_path_factory.mktemp("constraints") / "old.txt"
    old.write_text("torch<2.12")
    with ThreadPoolExecutor() as pool:
        found = {python: pool.submit(resolve, python) for python in PYTHONS}
        found[OLDEST] = pool.submit(resolve, "3.12", "--constraint", str(old))
    return found


def resolve(python: str, *options: str) -> dict[str, str]:
    """Return name and version of each package that an installation on ARM64 gets.

    :param python: version of Python.
    :param options: further options of ``uv pip compile``.
    """
    # Directories of wheels and settings of this host would hide gaps of PyPI.
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("UV_", "PIP_")) or name == "UV_CACHE_DIR"
    }
    done = subprocess.run(
        [
            *(Path(sys.executable).with_name("uv"), "pip", "compile", "--no-config", "--quiet"),
            *("--no-header", "--no-annotate", "--only-binary", ":all:", "--no-binary", BUILT),
            *("--python-platform", PLATFORM, "--python-version", python),
            *(part for extra in EXTRAS for part in ("--extra", extra)),
            *options,
            ROOT / "pyproject.toml",
        ],
        env=environment | {"UV_HTTP_TIMEOUT": "120"},
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )
    if done.returncode and re.search(r"error sending request|dns error|timed out", done.stderr):
        pytest.skip(f"PyPI does not answer: {done.stderr[-300:]}")
    assert done.returncode == 0, done.stderr
    return dict(re.findall(r"^([a-z0-9-]+)(?:\[[^]]*\])?==(\S+)", done.stdout, re.MULTILINE))


@pytest.mark.parametrize("python", PYTHONS)
def test_all_dependencies_have_wheels_and_torch_has_cuda(
    python: str, resolutions: Resolutions
) -> None:
    packages = set(resolutions[python].result())
    assert packages >= {"apache-airflow", "transformers", "pi-heif", "psycopg2-binary", BUILT}
    assert packages >= CUDA


def test_the_oldest_torch_allowed_on_arm64_has_cuda(resolutions: Resolutions) -> None:
    """Torch 2.9 and 2.10 have wheels for ARM64 too, without CUDA and without a warning."""
    packages = resolutions[OLDEST].result()
    assert packages["torch"] == "2.11.0"
    assert set(packages) >= CUDA
