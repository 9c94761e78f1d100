"""The build of torch, by its files."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from airflow_deepseek_ocr.hardware.torch_build import cuda_of_torch, has_cuda_torch


def test_this_python() -> None:
    import torch

    assert has_cuda_torch() == (torch.version.cuda is not None)
    assert cuda_of_torch() == torch.version.cuda


@pytest.mark.parametrize("cuda", [True, False])
def test_the_library_of_cuda_functions_decides(
    cuda: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The package itself is not imported."""
    package = tmp_path / "torch"
    (package / "lib").mkdir(parents=True)
    (package / "__init__.py").write_text("raise SystemExit('imported')")
    (package / "lib" / "libtorch_cpu.so").touch()
    if cuda:
        (package / "lib" / "libtorch_cuda.so").touch()
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    monkeypatch.syspath_prepend(str(tmp_path))
    assert has_cuda_torch() is cuda


def test_without_torch_there_is_no_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert not has_cuda_torch()
    assert cuda_of_torch() is None


@pytest.mark.parametrize(
    ("line", "version"),
    [
        ("cuda: Optional[str] = '13.0'", "13.0"),
        ('cuda = "12.8"', "12.8"),
        ("cuda: Optional[str] = None", None),
    ],
)
def test_the_version_of_cuda_is_read_from_torchs_file(
    line: str, version: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "__init__.py").touch()
    (tmp_path / "torch" / "version.py").write_text(f"__version__ = '2.11.0'\n{line}\nhip = '6'\n")
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    monkeypatch.syspath_prepend(str(tmp_path))
    assert cuda_of_torch() == version
