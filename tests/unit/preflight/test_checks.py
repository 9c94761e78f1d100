"""All checks of a worker."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_deepseek_ocr.connection.settings import Settings
from airflow_deepseek_ocr.engines.supervisor.registry import DIRECTORY_VARIABLE
from airflow_deepseek_ocr.exceptions import ErrorCode, UnavailableError
from airflow_deepseek_ocr.hardware.gpu import Gpu
from airflow_deepseek_ocr.preflight.check import Level
from airflow_deepseek_ocr.preflight.checks import all_checks, check_prompt
from airflow_deepseek_ocr.preflight.host import Host
from tests.conftest import ROOT
from tests.support import spark_preflight
from tests.support.fakes.fault_server import Faults, fault_server
from tests.unit.preflight.conftest import (
    GB10,
    GB10_TORCH,
    H100,
    failures,
    host,
    levels,
    settings,
)


def test_a_host_without_a_gpu_is_ready() -> None:
    checks = list(all_checks(settings(device="cpu")))
    assert {check.level for check in checks} == {Level.OK}, checks
    assert {check.name for check in checks} == {"version", "sandbox", "weights", "torch", "memory"}
    assert all("\n" not in check.message for check in checks)


def test_a_prompt_that_the_model_s_publisher_does_not_document_is_a_warning() -> None:
    second = {"model": "deepseek-ai/DeepSeek-OCR-2", "resolution": "base"}
    assert not list(check_prompt(settings(**second)))
    assert not list(check_prompt(settings(prompt="describe")))
    (found,) = check_prompt(settings(**second, prompt="describe"))
    assert (found.name, found.level) == ("prompt", Level.WARNING)
    assert "documents the prompts free, markdown, not describe" in found.message


def test_a_host_with_a_gpu_is_ready() -> None:
    found = levels(all_checks(settings(device="cuda:0"), host=host([H100])))
    assert set(found.values()) == {Level.OK}
    assert found.keys() == {"version", "sandbox", "weights", "torch", "kernels", "gpu", "memory"}


@pytest.mark.parametrize(
    ("broken", "extra", "name"),
    [
        (host([]), {}, "gpu"),
        (host([H100]), {"device": "cuda:1"}, "gpu"),
        (host(UnavailableError(ErrorCode.NO_DRIVER, "No driver.")), {}, "gpu"),
        (host([Gpu(0, "small", (9, 0), 1, 1000)]), {}, "memory"),
        (host([H100], capabilities=()), {}, "kernels"),
        (host([H100], kernels=("sm_120",)), {}, "kernels"),
        (host([H100], bfloat16=False), {}, "bfloat16"),
    ],
)
def test_one_fault_is_one_failure(broken: Host, extra: dict[str, str], name: str) -> None:
    assert list(failures(all_checks(settings(**extra), host=broken))) == [name]


def test_a_spark_is_ready_with_one_warning() -> None:
    """The warning is that kernels for 12.0 run on a GPU of 12.1."""
    spark = host([GB10], driver="580.95.05", available_bytes=118_500_000_000, **GB10_TORCH)
    checks = {check.name: check for check in all_checks(settings(engine="auto"), host=spark)}
    warned = {name for name, check in checks.items() if check.level is not Level.OK}
    assert warned == {"kernels"}, checks
    assert checks["kernels"].level is Level.WARNING
    assert "unified" in checks["memory"].message


def test_a_spark_with_an_older_torch_fails() -> None:
    older = host(
        [GB10], **GB10_TORCH | {"torch": "2.10.0", "cuda": None, "capabilities": (), "kernels": ()}
    )
    failed = failures(all_checks(settings(engine="resident"), host=older))
    assert failed.keys() == {"kernels"}
    assert "torch>=2.11" in failed["kernels"]


def test_the_guide_quotes_what_a_spark_answers() -> None:
    guide = (ROOT / "docs" / "guides" / "nvidia-spark.md").read_text()
    failed = [line for line in spark_preflight.with_older_torch() if line.startswith("failure")]
    for name, lines in (("ready", spark_preflight.ready()), ("older torch", failed)):
        _, _, rest = guide.partition(f"<!-- spark preflight: {name} -->\n```\n")
        assert rest.partition("\n```")[0].splitlines() == lines


def test_vllm_on_a_spark_is_a_warning() -> None:
    spark = host([GB10], **GB10_TORCH)
    checks = list(all_checks(settings(engine="vllm", vllm_command="sh"), host=spark))
    assert [check.level for check in checks if check.name == "vllm"] == [Level.OK, Level.WARNING]


def test_a_missing_gpu_fails_only_if_the_connection_asks_for_one() -> None:
    none = Host(has_gpu=lambda: False, driver_and_gpus=host([]).driver_and_gpus)
    assert failures(all_checks(settings(), host=none)) == {}
    assert failures(all_checks(settings(device="cuda"), host=none)).keys() == {"gpu"}


@pytest.mark.parametrize("engine", ["resident", "vllm"])
def test_a_hidden_device_is_a_line_and_no_traceback(
    engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    hidden = settings(device="cuda:1", engine=engine, vllm_command="sh")
    other = Gpu(1, "NVIDIA H100", (9, 0), 80_000_000_000, 70_000_000_000)
    failed = failures(all_checks(hidden, host=host([H100, other])))
    assert failed.keys() == {"server", "gpu"}
    assert "CUDA_VISIBLE_DEVICES is '1'" in failed["server"]


def test_vllm_needs_its_program_and_no_torch_here() -> None:
    found = levels(all_checks(settings(engine="vllm", vllm_command="/no/vllm"), host=host([H100])))
    assert found["vllm"] is Level.FAILURE
    assert "torch" not in found


def test_a_directory_that_is_not_there_is_a_failure() -> None:
    failed = failures(all_checks(settings(model="/nowhere/model", device="cpu")))
    assert "/nowhere/model does not exist on this host" in failed["weights"]


def test_no_server_is_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(DIRECTORY_VARIABLE, str(tmp_path / "servers"))
    checks = {check.name: check for check in all_checks(settings(engine="resident", device="cpu"))}
    assert "No server runs on this host" in checks["server"].message
    assert list((tmp_path / "servers").iterdir()) == []


def test_a_remote_server_needs_no_weights_here() -> None:
    with fault_server(Faults(card={"id": "m"})) as server:
        port = int(server.url.rpartition(":")[2])
        remote = Settings.of({"model": "m"}, host="127.0.0.1", port=port)
        names = ("version", "sandbox", "server")
        assert levels(all_checks(remote)) == dict.fromkeys(names, Level.OK)
        assert len(server.requests) == 3, (
            "one for the modes, one for the no-repeat-n-gram constraint, one for probabilities"
        )
