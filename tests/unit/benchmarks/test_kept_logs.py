"""Logs beside figures, and the errors in them."""

from __future__ import annotations

from pathlib import Path

from benchmarks.kept_logs import error_lines, log_file

#: What vLLM wrote as its engine ended for want of a module, shortened.
ENGINE_ENDED = """\
(APIServer pid=1) WARNING 11-28 22:39:05 [utils.py:255] Found ulimit of 20000 with error current limit
(EngineCore pid=2) INFO 11-28 22:39:20 [core.py:133] Initializing with error_limit=0
(EngineCore pid=2) ERROR 11-28 22:39:21 [core.py:1510] EngineCore failed to start.
(EngineCore pid=2) ERROR 11-28 22:39:21 [core.py:1510] Traceback (most recent call last):
(EngineCore pid=2) ERROR 11-28 22:39:21 [core.py:1510]   File "core.py", line 1482, in run_engine_core
(EngineCore pid=2) ERROR 11-28 22:39:21 [core.py:1510]     raise error
(EngineCore pid=2) ERROR 11-28 22:39:21 [core.py:1510] ModuleNotFoundError: No module named 'flashinfer'
(EngineCore pid=2) Traceback (most recent call last):
(EngineCore pid=2)     raise RuntimeError(
(EngineCore pid=2) ModuleNotFoundError: No module named 'flashinfer'
kernels:   0%| | 0/5\rCUDA error (template.h:200): device kernel image is invalid
    raise RuntimeError(
RuntimeError: Engine core initialization failed. See root cause above.
"""


def test_errors_come_without_frames_and_each_once(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text(ENGINE_ENDED + "progress\n" * 2000)
    assert error_lines(log).splitlines() == [
        "EngineCore failed to start.",
        "ModuleNotFoundError: No module named 'flashinfer'",
        "CUDA error (template.h:200): device kernel image is invalid",
        "RuntimeError: Engine core initialization failed. See root cause above.",
    ]


def test_many_errors_are_bounded_with_the_first_and_the_last(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"".join(b"Error %d: \xff%s\n" % (each, b"x" * 1000) for each in range(100)))
    lines = error_lines(log).splitlines()
    assert [line.split(":")[0] for line in (lines[0], lines[11], lines[13], lines[-1])] == [
        "Error 0",
        "Error 11",
        "Error 92",
        "Error 99",
    ]
    assert lines[12] == "... 80 more lines with errors"
    assert max(map(len, lines)) == 300
    assert len(lines) == 21


def test_a_log_without_errors_has_none(tmp_path: Path) -> None:
    assert error_lines(tmp_path / "missing") == ""
    (tmp_path / "log").write_text("loading\n")
    assert error_lines(tmp_path / "log") == ""


def test_the_log_of_a_way_lies_beside_the_figures() -> None:
    assert log_file(Path("a/bench-engines.jsonl"), "vllm") == Path("a/bench-engines.vllm.log")
    assert log_file(Path("figures"), "vllm") == Path("figures.vllm.log")
