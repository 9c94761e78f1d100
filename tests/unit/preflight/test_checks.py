"""The checks before reading, and the Test button."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airflow_deepseek_ocr.cli import main
from airflow_deepseek_ocr.connection.settings import Settings
from airflow_deepseek_ocr.exceptions import MissingExtraError, UnavailableError
from airflow_deepseek_ocr.hardware.gpu import Gpu
from airflow_deepseek_ocr.hooks.deepseek_ocr import TEST_TIMEOUT_S, DeepSeekOCRHook
from airflow_deepseek_ocr.preflight import checks as preflight
from airflow_deepseek_ocr.preflight.check import Check, Level
from airflow_deepseek_ocr.preflight.checks import all_checks, quick_checks
from airflow_deepseek_ocr.preflight.torch_checks import check_kernels
from tests.conftest import TINY_MODEL
from tests.support.fakes.fault_server import Faults, fault_server

H100 = Gpu(0, "NVIDIA H100", (9, 0), 80_000_000_000, 70_000_000_000)


def settings(**extra: Any) -> Settings:
    return Settings.of({"model": str(TINY_MODEL), "engine": "in_process", **extra})


def levels(checks: Any) -> dict[str, Level]:
    return {check.name: check.level for check in checks}


def test_a_host_without_a_gpu_is_ready() -> None:
    checks = list(all_checks(settings(device="cpu")))
    assert {check.level for check in checks} == {Level.OK}, checks
    assert {check.name for check in checks} == {"version", "weights", "torch", "memory"}
    assert all("\n" not in check.message for check in checks)


@pytest.mark.parametrize(
    ("capability", "kernels", "level"),
    [
        ((9, 0), ["sm_80", "sm_90"], Level.OK),
        ((12, 0), ["sm_90", "sm_120"], Level.OK),
        ((12, 1), ["sm_90", "sm_120"], Level.WARNING),  # NVIDIA Spark
        ((8, 9), ["sm_80", "sm_90"], Level.WARNING),
        ((12, 1), ["sm_80", "compute_90"], Level.WARNING),
        ((12, 1), ["sm_80", "sm_90a"], Level.FAILURE),
        ((7, 0), ["sm_75", "sm_80", "compute_80"], Level.FAILURE),
        ((8, 0), ["sm_86"], Level.FAILURE),
        ((8, 0), [], Level.FAILURE),
    ],
)
def test_kernels_for_a_gpu(capability: tuple[int, int], kernels: list[str], level: Level) -> None:
    check = check_kernels(capability, kernels)
    assert check.level is level
    assert ".".join(map(str, capability)) in check.message


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Puts a GPU into the host, as far as driver and torch tell."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(preflight, "has_gpu", lambda: True)

    def put(gpus: list[Gpu] | Exception, **torch: Any) -> None:
        answer = {
            "torch": "2.13", "transformers": "5.23", "ours": preflight.__version__, "cuda": "13.0",
            "kernels": ["sm_90"], "capabilities": [[9, 0]], "bf16": True,
        }  # fmt: skip

        def driver() -> tuple[str, list[Gpu]]:
            if isinstance(gpus, Exception):
                raise gpus
            return "580.1", gpus

        monkeypatch.setattr(preflight, "driver_and_gpus", driver)
        monkeypatch.setattr(preflight, "_ask_torch", lambda _: answer | torch)

    return put


def test_a_gpu_that_does(gpu: Callable[..., None]) -> None:
    gpu([H100])
    found = levels(all_checks(settings(device="cuda:0")))
    assert set(found.values()) == {Level.OK}
    assert {"gpu", "memory", "kernels", "torch"} <= found.keys()


@pytest.mark.parametrize(
    ("gpus", "torch", "extra", "name", "message"),
    [
        ([], {}, {}, "gpu", "shows 0 GPUs"),
        ([H100], {}, {"device": "cuda:1"}, "gpu", "none of them"),
        (UnavailableError("no_driver", "No driver."), {}, {}, "gpu", "set the device to cpu"),
        ([Gpu(0, "small", (9, 0), 1, 1000)], {}, {}, "memory", "end what else uses it"),
        ([H100], {"capabilities": []}, {}, "kernels", "torch sees no GPU"),
        ([H100], {"kernels": ["sm_120"]}, {}, "kernels", "no kernels for compute capability 9.0"),
        ([H100], {"bf16": False}, {}, "bfloat16", "float16"),
    ],
)
def test_a_gpu_that_does_not(
    gpu: Callable[..., None], gpus: Any, torch: Any, extra: Any, name: str, message: str
) -> None:
    gpu(gpus, **torch)
    failures = [each for each in all_checks(settings(**extra)) if each.level is Level.FAILURE]
    assert [failure.name for failure in failures] == [name]
    assert message in failures[0].message


def test_what_is_only_worth_a_warning(gpu: Callable[..., None]) -> None:
    spark = Gpu(0, "NVIDIA GB10", (12, 1), None, None)
    gpu([spark], capabilities=[[12, 1]], kernels=["sm_120"], ours="0.0.1")
    checks = list(all_checks(settings()))
    assert {check.name for check in checks if check.level is Level.WARNING} == {
        "kernels",
        "version",
    }
    assert not [check for check in checks if check.level is Level.FAILURE]
    gpu(MissingExtraError("nvidia-ml-py", "transformers"))
    assert levels(all_checks(settings()))["gpu"] is Level.WARNING


def test_gpus_that_a_process_does_not_see(
    gpu: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    gpu([Gpu(0, "first", (9, 0), 1, 1), Gpu(1, "second", (9, 0), 1, 10**12)])
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    checks = {check.name: check for check in all_checks(settings())}
    assert checks["gpu"].message.startswith("second")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert levels(all_checks(settings()))["gpu"] is Level.FAILURE


def test_a_device_that_is_hidden_is_a_line_not_a_traceback(
    gpu: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    gpu([H100, H100])
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    for engine in ("resident", "vllm"):
        hidden = settings(device="cuda:1", engine=engine, vllm_command="sh")
        failed = {
            check.name: check.message
            for check in all_checks(hidden)
            if check.level is Level.FAILURE
        }
        assert failed.keys() == {"server", "gpu"}
        assert "CUDA_VISIBLE_DEVICES is '1'" in failed["server"]


def test_weights_that_are_cut_short(tmp_path: Path) -> None:
    for path in TINY_MODEL.iterdir():
        (tmp_path / path.name).write_bytes(
            path.read_bytes()[: 100_000 if "0000" in path.name else None]
        )
    (check,) = quick_checks(settings(model=str(tmp_path)))
    assert check.level is Level.FAILURE
    assert "has 100000 bytes" in check.message


def test_another_python_is_asked(tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho 'ModuleNotFoundError: No module named torch' >&2\nexit 1\n")
    python.chmod(0o755)
    checks = {
        check.name: check
        for check in all_checks(
            settings(engine="resident", device="cpu", server_python=str(python))
        )
    }
    assert checks["torch"].level is Level.FAILURE
    assert "No module named torch" in checks["torch"].message
    assert "airflow-deepseek-ocr[transformers]" in checks["torch"].message


def test_a_remote_server_and_its_guard() -> None:
    with fault_server(Faults(card={"id": "m"}, secret="right")) as faults:
        port = int(faults.url.rpartition(":")[2])

        def remote(secret: str = "right", **extra: Any) -> Settings:
            return Settings.of({"model": "m", **extra}, secret, host="127.0.0.1", port=port)

        assert levels(all_checks(remote())) == {"version": Level.OK, "server": Level.OK}
        for wrong, message in (
            (remote("wrong"), "refuses the secret"),
            (remote(model="n"), "Models there: m"),
            (remote(resolution="tiny"), "gundam only"),
        ):
            (check,) = quick_checks(wrong)
            assert check.level is Level.FAILURE
            assert message in check.message
        assert len(faults.requests) == 3, "the quick checks ask for another mode, if they have to"
        faults.modes = "read"
        (check,) = quick_checks(remote(resolution="tiny"))
        assert check.level is Level.OK
        assert "modes: tiny, small, base, large, gundam" in check.message
        faults.no_repeat_ngram = False
        failed = [each for each in all_checks(remote()) if each.level is Level.FAILURE]
        assert "NGramPerReqLogitsProcessor" in failed[0].message


def test_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [
        "preflight",
        "--model",
        str(TINY_MODEL),
        "--engine",
        "in_process",
        "--device",
        "cpu",
    ]
    assert main(arguments) == 0
    assert "ok       weights" in capsys.readouterr().out
    assert main(["preflight", "--host", "127.0.0.1", "--port", "9"]) == 1
    assert "failure  server" in capsys.readouterr().out


def define(
    monkeypatch: pytest.MonkeyPatch, *, test_timeout_s: float = TEST_TIMEOUT_S, **connection: Any
) -> DeepSeekOCRHook:
    value = {"conn_type": "deepseek_ocr", **connection}
    monkeypatch.setenv("AIRFLOW_CONN_DEEPSEEK_OCR_DEFAULT", json.dumps(value))
    return DeepSeekOCRHook(test_timeout_s=test_timeout_s)


def test_the_test_button(monkeypatch: pytest.MonkeyPatch) -> None:
    good, message = define(monkeypatch, extra={"model": str(TINY_MODEL)}).test_connection()
    assert good
    assert "complete" in message
    assert "No server runs on this host now" in message
    for connection, said in (
        ({"extra": {"engine": "remote"}}, "needs the server's host"),
        ({"host": "127.0.0.1", "port": 9}, "No connection"),
        ({"extra": {"model": "no model"}}, "is no model"),
    ):
        started = time.monotonic()
        good, message = define(monkeypatch, **connection).test_connection()
        assert (good, said in message) == (False, True), message
        assert time.monotonic() - started < 5


def test_the_test_button_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(*_: Any) -> list[Check]:
        time.sleep(10)
        return []

    monkeypatch.setattr(preflight, "quick_checks", slow)
    good, message = define(monkeypatch, test_timeout_s=0.3).test_connection()
    assert not good
    assert "No response" in message


def test_the_test_button_needs_no_torch_and_starts_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    define(monkeypatch, extra={"model": str(TINY_MODEL), "engine": "resident"})
    monkeypatch.setenv("DEEPSEEK_OCR_SERVERS", str(tmp_path / "servers"))
    script = (
        "import sys\n"
        "from airflow_deepseek_ocr.hooks.deepseek_ocr import DeepSeekOCRHook\n"
        "print(DeepSeekOCRHook().test_connection())\n"
        "print([name for name in ('torch', 'transformers', 'pypdfium2') if name in sys.modules])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=100, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"
    assert "(True," in done.stdout
    assert list((tmp_path / "servers").iterdir()) == []
