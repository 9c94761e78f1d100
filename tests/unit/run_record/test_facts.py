"""Facts that a run depends on."""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from airflow_deepseek_ocr import __version__
from airflow_deepseek_ocr.connection.options import OcrOptions
from airflow_deepseek_ocr.connection.settings import Settings
from airflow_deepseek_ocr.exceptions import ErrorCode, UnavailableError
from airflow_deepseek_ocr.hardware.gpu import Gpu
from airflow_deepseek_ocr.preflight.host import Host
from airflow_deepseek_ocr.run_record.facts import (
    file_facts,
    host_facts,
    settings_facts,
    version_facts,
)
from tests.conftest import TINY_MODEL


def test_the_host_without_a_gpu() -> None:
    facts = dict(host_facts(Host(has_gpu=lambda: False)))
    assert facts["Architecture"] == platform.machine()
    assert platform.release() in facts["Operating system"]
    assert "usable cores" in facts["CPU"]
    assert facts["GPU"] == "none"


def test_gpus_and_driver() -> None:
    gpus = [
        Gpu(0, "NVIDIA GB10", (12, 1), None, None),
        Gpu(1, "NVIDIA H100", (9, 0), 80_000_000_000, 1),
    ]
    host = Host(has_gpu=lambda: True, driver_and_gpus=lambda: ("580.95.05", gpus))
    facts = dict(host_facts(host))
    assert facts["NVIDIA driver"] == "580.95.05"
    assert facts["GPU 0"] == "NVIDIA GB10, compute capability 12.1, memory shared with the CPU"
    assert facts["GPU 1"] == "NVIDIA H100, compute capability 9.0, 80.0 GB"


def test_a_driver_that_does_not_answer_is_a_fact_too() -> None:
    def no_driver() -> tuple[str, list[Gpu]]:
        raise UnavailableError(ErrorCode.NO_DRIVER, "No driver.")

    host = Host(has_gpu=lambda: True, driver_and_gpus=no_driver)
    assert dict(host_facts(host))["GPU"] == "unknown: No driver."


def test_only_known_variables_are_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s3cret")
    facts = dict(host_facts(Host(has_gpu=lambda: False)))
    assert facts["CUDA_VISIBLE_DEVICES"] == "1"
    assert "s3cret" not in str(facts)


def test_logins_in_addresses_are_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "https://user:hunter2@hub.example:8443/path")
    facts = dict(host_facts())
    assert facts["HF_ENDPOINT"] == "https://***@hub.example:8443/path"


def test_versions() -> None:
    facts = dict(version_facts())
    assert (facts["airflow-deepseek-ocr"], facts["Python"]) == (
        __version__,
        platform.python_version(),
    )
    assert ", CUDA " in facts["torch"]
    assert {"transformers", "pypdfium2"} <= facts.keys()


def test_the_facts_need_no_torch() -> None:
    """A task of a light worker records them as well."""
    code = (
        "import sys\n"
        "from airflow_deepseek_ocr.run_record.facts import host_facts, version_facts\n"
        "host_facts(), version_facts()\n"
        "sys.exit(any(name in sys.modules for name in ('torch', 'transformers', 'pypdfium2')))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, timeout=120, env=os.environ)
    assert done.returncode == 0


def test_the_line_that_is_sent_is_recorded_with_its_name() -> None:
    settings = Settings.of({"model": "/m", "engine": "resident", "dtype": "float16"})
    config = settings.processing_config(
        OcrOptions(prompt="locate:Total", resolution="gundam", pages="1-3")
    )
    facts = dict(settings_facts(settings, config))
    assert facts["Prompt"] == "locate:Total"
    assert facts["Line sent after the image"] == "Locate <|ref|>Total<|/ref|> in the image."
    assert (facts["Resolution mode"], facts["Pages"]) == ("gundam", "1-3")
    assert (facts["Engine"], facts["Data type"], facts["Revision"]) == (
        "resident",
        "float16",
        "none",
    )


def test_files_of_the_model_have_size_and_hash() -> None:
    facts = dict(file_facts(TINY_MODEL))
    assert len([name for name in facts if name.endswith(".safetensors")]) == 2
    content = (TINY_MODEL / "config.json").read_bytes()
    assert facts["config.json"] == (
        f"{len(content)} bytes, sha256 {hashlib.sha256(content).hexdigest()}"
    )


def test_an_incomplete_model_has_no_files(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError) as caught:
        file_facts(tmp_path)
    assert caught.value.code is ErrorCode.MODEL_INCOMPLETE
