"""What a Python has installed."""

from __future__ import annotations

import importlib.util
import json
import platform
import shutil
import sys
from pathlib import Path

import pytest

from airflow_deepseek_ocr import __version__
from airflow_deepseek_ocr.exceptions import MissingExtraError
from airflow_deepseek_ocr.preflight.torch_probe import TorchProbeError, probe_torch

ANSWER = {
    "torch": "2.13",
    "transformers": "5.23",
    "package": "0.1",
    "cuda": None,
    "kernels": ["sm_90"],
    "capabilities": [[9, 0]],
    "bfloat16": True,
    "machine": "aarch64",
    "triton": "3.6.0",
    "c_compiler": True,
    "python_headers": False,
}


def python(directory: Path, script: str) -> Path:
    """Return a program that stands for a Python."""
    path = directory / "python"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


@pytest.mark.timeout(300)
def test_this_python() -> None:
    import torch
    import transformers

    installed = probe_torch(Path(sys.executable))
    assert installed.torch == torch.__version__
    assert installed.transformers == transformers.__version__
    assert installed.package == __version__
    assert installed.cuda == torch.version.cuda
    assert len(installed.capabilities) == torch.cuda.device_count()
    assert installed.machine == platform.machine()
    assert (installed.triton is None) == (importlib.util.find_spec("triton") is None)
    assert installed.c_compiler == bool(shutil.which("cc") or shutil.which("gcc"))


def test_the_last_line_is_the_answer(tmp_path: Path) -> None:
    """Imported packages may print lines of their own."""
    installed = probe_torch(python(tmp_path, f"echo hello\necho '{json.dumps(ANSWER)}'"))
    assert (installed.package, installed.cuda) == ("0.1", None)
    assert (installed.kernels, installed.capabilities) == (("sm_90",), ((9, 0),))
    assert (installed.machine, installed.triton) == ("aarch64", "3.6.0")
    assert (installed.c_compiler, installed.python_headers) == (True, False)


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("echo 'Traceback' >&2; echo 'ModuleNotFoundError: No torch' >&2; exit 1", "No torch"),
        ("exit 3", "exit status 3"),
        ("true", "list index out of range"),
        ("echo not JSON", "Expecting value"),
        ("echo '{}'", "'torch'"),
        ("echo '[]'", "list indices"),
    ],
)
def test_a_python_that_cannot_be_asked(tmp_path: Path, script: str, message: str) -> None:
    with pytest.raises(TorchProbeError, match=message) as caught:
        probe_torch(python(tmp_path, script))
    assert "\n" not in str(caught.value)


def test_a_missing_python() -> None:
    with pytest.raises(TorchProbeError, match="No such file"):
        probe_torch(Path("/nowhere/python"))


def test_a_missing_torch_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingExtraError, match=r"\[transformers\]"):
        probe_torch(Path(sys.executable))
