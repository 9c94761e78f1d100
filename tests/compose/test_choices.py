"""Arguments of `make up`, what they record, and what later calls without arguments take."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.compose.program import DOCKER

from stack.choices import PUBLISHED_MODEL, SMALL_MODEL, Arguments, choose  # isort: skip
from stack.errors import StackError  # isort: skip
from stack.host import Host  # isort: skip

PLAIN = Host(["docker", "compose"], "x86_64", has_nvidia_runtime=False)
GPU = Host(["docker", "compose"], "x86_64", has_nvidia_runtime=True, gpus=["NVIDIA H100"])
SPARK = Host(["docker", "compose"], "aarch64", has_nvidia_runtime=True, gpus=["NVIDIA GB10"])


def test_without_a_gpu_the_small_checkpoint() -> None:
    assert choose(Arguments(), {}, PLAIN) == {
        "OCR_MODEL": SMALL_MODEL,
        "OCR_REVISION": "",
        "COMPOSE_FILE": "compose.yaml",
        "TORCH_BACKEND": "cpu",
    }
    assert (DOCKER.parent / "models" / Path(SMALL_MODEL).name / "config.json").is_file()


def test_with_a_gpu_the_published_model() -> None:
    assert choose(Arguments(), {}, GPU) == {
        "OCR_MODEL": PUBLISHED_MODEL,
        "OCR_REVISION": "",
        "COMPOSE_FILE": "compose.yaml:gpu.yaml",
        "TORCH_BACKEND": "",
    }


def test_spark_is_recognised() -> None:
    assert choose(Arguments(), {}, SPARK)["COMPOSE_FILE"] == "compose.yaml:spark.yaml"
    assert (
        choose(Arguments(overlay="spark"), {}, SPARK)["COMPOSE_FILE"] == "compose.yaml:spark.yaml"
    )


@pytest.mark.parametrize(
    ("arguments", "files"),
    [
        (Arguments(gpu="0"), "compose.yaml"),
        (Arguments(gpu="1"), "compose.yaml:gpu.yaml"),
        (Arguments(overlay="server"), "compose.yaml:server.yaml:server-gpu.yaml"),
        (Arguments(overlay="server", gpu="0"), "compose.yaml:server.yaml"),
        (Arguments(overlay="vllm"), "compose.yaml:vllm.yaml"),
    ],
)
def test_arguments_choose_files(arguments: Arguments, files: str) -> None:
    assert choose(arguments, {}, GPU)["COMPOSE_FILE"] == files


@pytest.mark.parametrize(
    "arguments",
    [
        Arguments(model="owner/name", revision="abc", gpu="1"),
        Arguments(overlay="server", gpu="0"),
        Arguments(overlay="server", gpu="1"),
        Arguments(overlay="vllm"),
        Arguments(gpu="0"),
    ],
)
def test_a_later_call_without_arguments_changes_nothing(arguments: Arguments) -> None:
    recorded = choose(arguments, {}, GPU)

    assert choose(Arguments(), recorded, GPU) == recorded


def test_with_none_returns_to_the_worker() -> None:
    recorded = choose(Arguments(overlay="server"), {}, GPU)

    assert (
        choose(Arguments(overlay="none"), recorded, GPU)["COMPOSE_FILE"] == "compose.yaml:gpu.yaml"
    )


def test_another_model_has_no_revision_of_the_last() -> None:
    recorded = choose(Arguments(model="owner/name", revision="abc"), {}, PLAIN)

    assert choose(Arguments(model="owner/name"), recorded, PLAIN)["OCR_REVISION"] == "abc"
    assert choose(Arguments(model=PUBLISHED_MODEL), recorded, PLAIN)["OCR_REVISION"] == ""


def test_a_directory_of_the_host_is_mounted(tmp_path: Path) -> None:
    checkpoint = tmp_path / "mine"
    checkpoint.mkdir()
    with pytest.raises(StackError, match=r"no config\.json"):
        choose(Arguments(model=str(checkpoint)), {}, PLAIN)
    (checkpoint / "config.json").touch()

    values = choose(Arguments(model=str(checkpoint)), {}, PLAIN)

    assert (values["OCR_MODEL"], values["OCR_CHECKPOINTS"]) == ("/checkpoints/mine", str(tmp_path))


@pytest.mark.parametrize(
    ("arguments", "host", "message"),
    [
        (Arguments(gpu="1"), PLAIN, r"GPU=1 needs a GPU in containers\. .*Container Toolkit"),
        (Arguments(gpu="2"), GPU, "Give 0, 1 or auto"),
        (Arguments(overlay="vllm"), PLAIN, r"WITH=vllm needs a GPU in containers"),
        (Arguments(overlay="vllm", gpu="0"), GPU, "leave out GPU=0"),
        (Arguments(overlay="spark"), GPU, "this host is x86_64"),
        (Arguments(overlay="triton"), GPU, "Give one of none, server, vllm, spark"),
        (Arguments(model="name"), GPU, "Give a hub id"),
        (Arguments(model="owner/name"), GPU, "needs REVISION="),
        (Arguments(model="s3://bucket/x", overlay="vllm"), GPU, "fetches no s3:// models"),
    ],
)
def test_arguments_that_cannot_work_are_refused(
    arguments: Arguments, host: Host, message: str
) -> None:
    with pytest.raises(StackError, match=message):
        choose(arguments, {}, host)


def test_a_gpu_that_containers_cannot_use_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    host = Host(["docker", "compose"], "x86_64", has_nvidia_runtime=False, gpus=["NVIDIA RTX 4090"])

    assert choose(Arguments(), {}, host)["OCR_MODEL"] == SMALL_MODEL
    assert "Not used: NVIDIA RTX 4090" in capsys.readouterr().out
