"""The watchdog of vLLM, with programs that stand for vLLM."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from airflow_deepseek_ocr.engines.protocol.api_key import create_api_key
from airflow_deepseek_ocr.engines.supervisor.registry import ServerRecord, load_record
from airflow_deepseek_ocr.engines.supervisor.vllm_watchdog import sum_metrics
from airflow_deepseek_ocr.exceptions import ErrorCode
from tests.support.fixtures.server_records import own_record
from tests.support.waiting import eventually

#: The first line of each program: what follows waits for a line that the test writes when the watchdog is
#: registered, as it may end before.
GATE = "while [ ! -e go ]; do sleep 0.05; done; "

METRICS = """\
# HELP vllm:num_requests_running Number of requests in model execution batches.
vllm:num_requests_running{engine="0"} 2.0
vllm:num_requests_running{engine="1"} 1.0
vllm:num_requests_waiting{engine="0"} 4.0
vllm:request_success_total{finished_reason="stop"} 5.0
vllm:request_success_total{finished_reason="length"} 1.0
"""


def watch(directory: Path, *command: str) -> psutil.Popen:
    """Start the watchdog, registered as ``k``, for a command; the file ``go`` opens its gate."""
    api_key_file = directory / "k.api_key"
    create_api_key(api_key_file)
    process = psutil.Popen(
        [
            *(sys.executable, "-m", "airflow_deepseek_ocr.engines.supervisor.vllm_watchdog"),
            *("--record", directory / "k.json", "--api-key-file", api_key_file),
            *("--socket", directory / "k.sock", "--idle-seconds", "60", "--", *command),
        ],
        cwd=directory,
        stderr=subprocess.PIPE,
        text=True,
    )
    own_record(directory, pid=process.pid, created=process.create_time()).save(directory)
    (directory / "go").touch()
    return process


def registered(directory: Path) -> ServerRecord:
    record = load_record(directory, "k")
    assert record is not None
    return record


@pytest.mark.timeout(100)
@pytest.mark.parametrize(
    ("script", "code"),
    [("exit 3", ErrorCode.SERVER_FAILED), ("kill -9 $$", ErrorCode.SERVER_BROKEN)],
)
def test_a_vllm_that_ends_is_registered(tmp_path: Path, script: str, code: ErrorCode) -> None:
    """A signal may kill a vLLM whose options are right."""
    process = watch(tmp_path, "sh", "-c", GATE + script)
    errors = process.communicate(timeout=60)[1]
    assert process.returncode == 1
    assert "vLLM ended with status" in errors
    failure = registered(tmp_path).failure
    assert failure is not None
    assert failure.code is code


@pytest.mark.timeout(100)
def test_a_signal_stops_both_and_is_no_failure(tmp_path: Path) -> None:
    script = f"{GATE} echo $$ $VLLM_API_KEY > started; exec sleep 100"
    process = watch(tmp_path, "sh", "-c", script)
    eventually(lambda: (tmp_path / "started").exists() and (tmp_path / "started").read_text())
    pid, api_key = (tmp_path / "started").read_text().split()
    assert api_key == (tmp_path / "k.api_key").read_text().strip()
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 0
    assert not psutil.pid_exists(int(pid))
    assert load_record(tmp_path, "k") is None


@pytest.mark.timeout(100)
def test_vllm_ends_when_the_watchdog_is_killed(tmp_path: Path) -> None:
    process = watch(tmp_path, "sh", "-c", f"{GATE} echo $$ > started; exec sleep 100")
    eventually(lambda: (tmp_path / "started").exists() and (tmp_path / "started").read_text())
    vllm = psutil.Process(int((tmp_path / "started").read_text()))
    process.kill()
    process.communicate(timeout=60)
    eventually(lambda: not vllm.is_running() or vllm.status() == psutil.STATUS_ZOMBIE)


@pytest.mark.timeout(100)
def test_a_missing_program_is_an_error_of_the_connection(tmp_path: Path) -> None:
    create_api_key(tmp_path / "key")
    arguments = ["--api-key-file", tmp_path / "key", "--socket", "/no", "--idle-seconds", "1"]
    done = subprocess.run(
        [
            *(sys.executable, "-m", "airflow_deepseek_ocr.engines.supervisor.vllm_watchdog"),
            *(*arguments, "/no/vllm"),
        ],
        capture_output=True,
        text=True,
        timeout=60,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.returncode == 1
    assert "'/no/vllm' cannot be started" in done.stderr
    assert "path of the program vllm" in done.stderr


def test_metrics_are_summed_over_labels() -> None:
    assert sum_metrics(METRICS, ("vllm:num_requests_running",)) == 3
    assert sum_metrics(METRICS, ("vllm:num_requests_running", "vllm:num_requests_waiting")) == 7
    assert sum_metrics(METRICS, ("vllm:request_success_total",)) == 6
    assert sum_metrics(METRICS, ("vllm:missing",)) == sum_metrics("", ("vllm:",)) == 0
