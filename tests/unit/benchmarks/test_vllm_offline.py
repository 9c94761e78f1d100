"""The offline batch of vLLM: its job, its program with a stand-in for vLLM, and its figures."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks import vllm_offline as module
from benchmarks.engine_ways import Job
from benchmarks.engines import WAYS
from benchmarks.vllm_offline import interpreter, vllm_offline, write_job
from tests.conftest import ROOT, TINY_MODEL

STAND_IN = ROOT / "tests" / "support" / "fakes" / "vllm_package"


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Job:
    """A job whose vLLM is the stand-in, in an environment of its own."""
    monkeypatch.setenv("VLLM_STAND_IN_NOTES", str(tmp_path / "notes.json"))
    binaries = tmp_path / "bin"
    binaries.mkdir()
    program, python = binaries / "vllm", binaries / "python"
    program.write_text("#!/bin/sh\n")
    python.write_text(f'#!/bin/sh\nPYTHONPATH={STAND_IN} exec {sys.executable} "$@"\n')
    for each in (program, python):
        each.chmod(0o700)
    return Job(
        model=TINY_MODEL,
        pages=20,
        modes=("gundam", "base"),
        share=0.05,
        device="auto",
        dtype="auto",
        batch_size=None,
        command=f"{program} --log",
        vllm_batch_size=512,
        options="--api-server-count 4 --load_format dummy",
        scanned=False,
        probabilities=True,
        out=tmp_path / "figures.jsonl",
    )


def figures_of(job: Job) -> list[dict[str, Any]]:
    lines: list[dict[str, Any]] = []
    vllm_offline(job, lambda part, **line: lines.append({"part": part, **line}))
    return lines


def test_each_mode_has_its_figures_with_the_lengths_that_were_asked_for(
    job: Job, tmp_path: Path
) -> None:
    lines = figures_of(job)
    assert [(line["way"], line["mode"], line["pages"]) for line in lines] == [
        ("vllm_offline", "gundam", 20),
        ("vllm_offline", "base", 20),
    ]
    assert [line["vision_tokens_per_page"] for line in lines] == [903, 273]
    for line in lines:
        assert line["lengths_as_asked"] == line["pages_with_probabilities"] == 20
        assert line["tokens_per_page"] == sum(job.texts()) / 20
        assert line["pages_per_s"] == pytest.approx(20 / line["seconds"])
        assert line["ready_s"] > 0
    loaded = json.loads((tmp_path / "notes.json").read_text())
    assert loaded["model"] == str(TINY_MODEL)
    assert loaded["max_num_seqs"] == "512"
    assert loaded["load_format"] == "dummy"
    assert loaded["logits_processors"].endswith(":NGramPerReqLogitsProcessor")


def test_pages_ask_for_what_a_task_asks_of_the_server(
    job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", "/of/the/task")
    environment = write_job(job, tmp_path)
    assert "PYTHONPATH" not in environment
    assert environment["VLLM_USE_V2_MODEL_RUNNER"] == "0"
    written = json.loads((tmp_path / "job.json").read_text())
    assert [page["max_tokens"] for page in written["pages"]] == job.texts()
    assert len(written["images"]) == 16
    page = written["pages"][0]
    assert page["ignore_eos"] is True
    assert page["skip_special_tokens"] is False
    assert page["temperature"] == 0
    assert (page["extra_args"]["ngram_size"], page["extra_args"]["window_size"]) == (30, 90)
    assert page["logprobs"] == 2
    write_job(replace(job, probabilities=False), tmp_path)
    assert "logprobs" not in json.loads((tmp_path / "job.json").read_text())["pages"][0]


def test_a_batch_that_ends_early_is_an_error_with_those_of_its_log(
    job: Job, tmp_path: Path
) -> None:
    with pytest.raises(RuntimeError, match="ended early") as caught:
        figures_of(replace(job, options="--load-format fails"))
    log = tmp_path / "figures.vllm_offline.log"
    assert f"{log} says:\nValueError: the weights are gone\nRuntimeError: " in str(caught.value)
    assert "a line of the log" not in str(caught.value)
    assert log.read_text().startswith("a line of the log, which is no figure\n")


def test_a_batch_that_takes_too_long_is_ended(
    job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "waits.py"
    program.write_text("import threading; threading.Event().wait()")
    monkeypatch.setattr(module, "_PROGRAM", program)
    monkeypatch.setattr(module, "START_TIMEOUT_S", 0.1)
    monkeypatch.setattr(module, "_MODE_TIMEOUT_S", 0.1)
    with pytest.raises(RuntimeError, match="was ended after 0 s"):
        figures_of(job)


def test_modes_that_vllm_lacks_are_named(
    job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "without_plugin.py"
    program.write_text("""print('{"mode": "base", "skipped": "no plugin"}\\n{"end": true}')""")
    monkeypatch.setattr(module, "_PROGRAM", program)
    line = {"part": "engines", "way": "vllm_offline", "mode": "base", "skipped": "no plugin"}
    assert figures_of(job) == [line]


def test_the_way_is_skipped_without_vllm(job: Job, tmp_path: Path) -> None:
    assert interpreter("no-such-program") is None
    assert (
        "There is no interpreter"
        in figures_of(replace(job, command="no-such-program"))[0]["skipped"]
    )
    (tmp_path / "bin" / "python").unlink()
    assert interpreter(job.command) is None
    assert WAYS["vllm_offline"] is vllm_offline
