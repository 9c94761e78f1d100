"""The line that says why a server ended; the logs have vLLM's form of several versions, shortened."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from airflow_deepseek_ocr.engines.supervisor.log_reason import find_reason, reason_in
from tests.conftest import ROOT

LOGS = ROOT / "tests" / "corpus" / "vllm_logs"
REASONS = {
    "abort_in_cpp": "what():  CUDA driver error: invalid device context",
    "during_handling": "ValueError: The checkpoint you are trying to load has model type `deepseek_vl_v2`",
    "free_memory": "ValueError: Free memory on device (31.44/47.38 GiB) on startup is less than desired",
    "killed_core": "RuntimeError: Engine core initialization failed. See root cause above. "
    "Failed core proc(s): {'EngineCore_DP0': -9}",
    "missing_library": "ImportError: libcudart.so.12: cannot open shared object file",
    "model_not_supported": "pydantic_core._pydantic_core.ValidationError: 1 validation error for "
    "ModelConfig Value error, Model architectures ['DeepseekOCRForCausalLM'] are not supported",
    "out_of_memory_tensor_parallel": "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 50.00",
    "triton_global": "NameError: Cannot access global variable LOG2E from within @jit'ed function",
    "unknown_option": "vllm: error: unrecognized arguments: --gpu-memory-utilisation 0.5",
}


@pytest.mark.parametrize("path", sorted(LOGS.glob("*.txt")), ids=lambda path: path.stem)
def test_the_reason_is_found_wherever_it_is(path: Path) -> None:
    assert find_reason(path).startswith(REASONS[path.stem])


@pytest.mark.parametrize("path", sorted(LOGS.glob("*.txt")), ids=lambda path: path.stem)
def test_noise_after_the_reason_does_not_hide_it(path: Path) -> None:
    """Far more of it than the end of a log that is quoted, and colours, and the watchdog's lines."""
    noise = "".join(
        f"(EngineCore pid=7) INFO 11-28 07:05:{each % 60:02} [loggers.py:4] Engine 000: idle\n"
        for each in range(3000)
    )
    text = path.read_text().replace("ERROR", "\x1b[31mERROR\x1b[0m")
    assert reason_in(f"{noise}{text}{noise}").startswith(REASONS[path.stem])


def test_each_log_has_a_reason() -> None:
    assert {path.stem for path in LOGS.glob("*.txt")} == set(REASONS)


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("raise ValueError('no such mode')", "ValueError: no such mode"),
        ("import not_there_at_all", "ModuleNotFoundError: No module named 'not_there_at_all'"),
        ("class Odd(Exception): pass\nraise Odd('by name')", "Odd: by name"),
        ("assert 1 == 2", "AssertionError"),
        ("try: {}['k']\nexcept KeyError: raise OSError(98, 'in use')", "OSError: [Errno 98] in use"),
        ("try: {}['k']\nexcept KeyError as e: raise ValueError('outer') from e", "KeyError: 'k'"),
        ("raise ExceptionGroup('some', [ValueError('inner')])", "ValueError: inner"),
        ("x = (", "SyntaxError: '(' was never closed"),
        ("import argparse; argparse.ArgumentParser('vllm serve').parse_args(['--x'])",
         "vllm serve: error: unrecognized arguments: --x"),
        ("class A:\n def __del__(self): 1/0\ndef f(): a = A(); raise OSError('first')\nf()",
         "OSError: first"),
        ("print('hello')", ""),
    ],
)  # fmt: skip
def test_reasons_of_programs_that_end(script: str, reason: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60
    )
    assert reason_in(done.stdout + done.stderr) == reason


@pytest.mark.parametrize(
    "command", [("/bin/sh", "-c", "no_such_program"), (sys.executable, "-m", "no_such_module")]
)
def test_programs_that_cannot_be_run(command: tuple[str, ...]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert "no_such" in reason_in(done.stdout + done.stderr)


def test_a_warnings_traceback_is_no_reason() -> None:
    text = (
        "WARNING 11-28 07:04:00 [usage.py:1] Traceback (most recent call last):\n"
        "WARNING 11-28 07:04:00 [usage.py:1] OSError: no network\n"
        "ERROR 11-28 07:04:01 [launcher.py:9] The port cannot be used\n"
    )
    assert reason_in(text) == "The port cannot be used"


def test_a_long_line_is_cut_and_a_missing_log_has_no_reason(tmp_path: Path) -> None:
    assert len(reason_in("RuntimeError: " + "x" * 5000)) == 600
    assert find_reason(tmp_path / "missing") == ""
    (tmp_path / "binary").write_bytes(b"\xff\x00\n" * 5 + b"ValueError: \xff\n")
    assert find_reason(tmp_path / "binary") == "ValueError: \ufffd"
