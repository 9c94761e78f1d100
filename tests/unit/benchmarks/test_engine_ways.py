"""Servers of a benchmark: what is left of one that does not start."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_deepseek_ocr.exceptions import UnavailableError
from benchmarks.engine_ways import Job, vllm
from tests.conftest import TINY_MODEL


def test_a_server_that_does_not_start_leaves_its_whole_log_and_its_errors(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    program = tmp_path / "vllm"
    program.write_text(
        "#!/bin/sh\n"
        "echo loading the model\n"
        "echo '(EngineCore pid=7) ERROR 11-28 22:39:21 [core.py:1] CUDA error: image is invalid'\n"
        "i=0; while [ $i -lt 300 ]; do echo 'INFO waiting for the engine'; i=$((i+1)); done\n"
        "exit 1\n"
    )
    program.chmod(0o700)
    job = Job(
        model=TINY_MODEL,
        pages=1,
        modes=("gundam",),
        share=0.05,
        device="auto",
        dtype="auto",
        batch_size=None,
        command=str(program),
        vllm_batch_size=1,
        options="",
        scanned=False,
        probabilities=False,
        out=tmp_path / "figures.jsonl",
    )
    with pytest.raises(UnavailableError):
        vllm(job, lambda *_, **__: None)
    assert "CUDA error: image is invalid" in capfd.readouterr().err.splitlines()
    lines = (tmp_path / "figures.vllm.log").read_text().splitlines()
    assert lines[0] == "loading the model"
    assert lines.count("INFO waiting for the engine") == 300
