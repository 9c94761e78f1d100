"""What the host has, from programs that answer as docker and nvidia-smi do."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.compose import program  # noqa: F401

from stack.errors import StackError  # isort: skip
from stack.host import find_compose, find_host  # isort: skip


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def put(directory: Path, name: str, script: str) -> None:
    path = directory / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def docker(information: str, version: str = "2.40.3") -> str:
    return f"""case "$1" in
compose) echo '{version}' ;;
info) echo '{information}' ;;
esac"""


def test_a_host_without_docker(programs: Path) -> None:
    with pytest.raises(StackError, match="Install Docker Engine"):
        find_host()


def test_a_host_with_docker_without_compose(programs: Path) -> None:
    put(programs, "docker", "echo unknown command >&2; exit 1")

    with pytest.raises(StackError, match=r"Docker Compose is missing; version 2\.24\.4 or newer"):
        find_host()


def test_compose_that_is_too_old(programs: Path) -> None:
    put(programs, "docker-compose", "echo 1.29.2")

    with pytest.raises(StackError, match=r"docker-compose is 1\.29\.2"):
        find_compose()


def test_the_separate_program(programs: Path) -> None:
    put(programs, "docker", "exit 1")
    put(programs, "docker-compose", "echo v2.40.3")

    assert find_compose() == ["docker-compose"]


def test_a_daemon_that_does_not_answer(programs: Path) -> None:
    put(programs, "docker", docker('{"ServerErrors": ["Cannot connect to the Docker daemon"]}'))

    with pytest.raises(
        StackError, match=r"does not answer: Cannot connect.*systemctl start docker"
    ):
        find_host()


@pytest.mark.parametrize(
    ("information", "has_runtime"),
    [
        ('"Runtimes": {"runc": {}}', False),
        ('"Runtimes": {"runc": {}, "nvidia": {}}', True),
        ('"DiscoveredDevices": [{"Source": "cdi", "ID": "nvidia.com/gpu=0"}]', True),
    ],
)
def test_gpus_in_containers(programs: Path, information: str, has_runtime: bool) -> None:
    put(
        programs,
        "docker",
        docker(f'{{"ServerVersion": "29.0", "Architecture": "aarch64", {information}}}'),
    )
    put(programs, "nvidia-smi", "echo NVIDIA GB10")

    host = find_host()

    assert (host.compose, host.architecture) == (["docker", "compose"], "aarch64")
    assert host.has_nvidia_runtime == has_runtime
    assert host.gpus == ["NVIDIA GB10"]
    assert host.is_spark
