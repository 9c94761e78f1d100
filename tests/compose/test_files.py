"""What every deployment that `make up` can start has in common, as Compose merges its files."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.compose.program import DOCKER, merged

from stack import environment  # isort: skip
from stack.choices import compose_files  # isort: skip

DEPLOYMENTS = {
    ":".join(files): files
    for files in (
        compose_files(overlay, gpu)
        for overlay, gpu in [
            ("none", False),
            ("none", True),
            ("server", False),
            ("server", True),
            ("vllm", True),
            ("spark", True),
        ]
    )
}
AIRFLOW = ("init", "api-server", "scheduler", "dag-processor", "triggerer", "worker", "weights")
DAGS = {"/opt/airflow/dags/examples", "/opt/airflow/dags/own"}
ONE_SHOT = ("init", "weights")
#: Variables without which a part of Airflow does not work with the others.
SHARED = ("AIRFLOW__CORE__FERNET_KEY", "AIRFLOW__API__SECRET_KEY", "AIRFLOW__API_AUTH__JWT_SECRET")


@pytest.fixture(scope="module")
def variables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of variables as the first `make up` writes it."""
    path = tmp_path_factory.mktemp("compose") / ".env"
    environment.create(path, DOCKER / ".env.example")
    return path


@pytest.fixture(scope="module", params=DEPLOYMENTS)
def deployment(request: pytest.FixtureRequest, variables: Path) -> dict[str, Any]:
    """The merged model of one deployment."""
    return merged(DEPLOYMENTS[request.param], variables)


def services(deployment: dict[str, Any]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = deployment["services"]
    return found


def test_every_overlay_is_part_of_a_deployment() -> None:
    used = {file for files in DEPLOYMENTS.values() for file in files}

    assert used == {path.name for path in DOCKER.glob("*.yaml")}


def test_every_service_is_restricted(deployment: dict[str, Any]) -> None:
    for name, service in services(deployment).items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert "cap_add" not in service, name
        assert "no-new-privileges:true" in service["security_opt"], name
        assert not service.get("privileged"), name
        assert service["user"] not in ("", "0", "root"), name


def test_every_service_has_limits(deployment: dict[str, Any]) -> None:
    for name, service in services(deployment).items():
        assert int(service["mem_limit"]) >= 1 << 28, name
        assert service["pids_limit"] > 0, name
        assert service["logging"]["options"] == {"max-size": "10m", "max-file": "3"}, name
        assert any(entry.startswith("/tmp:size=") for entry in service["tmpfs"]), name


def test_every_service_has_a_health_check_or_ends(deployment: dict[str, Any]) -> None:
    for name, service in services(deployment).items():
        if name in ONE_SHOT:
            assert service["restart"] == "no", name
        else:
            assert service["restart"] == "unless-stopped", name
            assert service["healthcheck"]["test"][0] in ("CMD", "CMD-SHELL"), name


def test_ports_are_on_the_loopback_only(deployment: dict[str, Any]) -> None:
    ports = {
        name: service["ports"]
        for name, service in services(deployment).items()
        if "ports" in service
    }

    assert set(ports) == {"api-server", "s3"}
    assert {port["host_ip"] for listed in ports.values() for port in listed} == {"127.0.0.1"}


def test_databases_are_on_a_network_without_a_way_out(deployment: dict[str, Any]) -> None:
    assert deployment["networks"]["data"]["internal"] is True
    for name in ("postgres", "valkey"):
        assert set(services(deployment)[name]["networks"]) == {"data"}


def test_parts_of_airflow_share_their_secrets(deployment: dict[str, Any], variables: Path) -> None:
    parts = [services(deployment)[name] for name in AIRFLOW if name != "weights"]

    for variable in SHARED:
        assert len({part["environment"][variable] for part in parts}) == 1, variable
    for part in parts:
        assert part["environment"]["AIRFLOW_CONFIG"].startswith("/tmp/")
        assert part.get("init", False) is False


def test_secrets_are_on_no_command_line(deployment: dict[str, Any], variables: Path) -> None:
    values = environment.read(variables)
    secrets = [values[name] for name in environment.SECRETS]

    for name, service in services(deployment).items():
        lines = [
            service.get("command"),
            service.get("entrypoint"),
            service.get("healthcheck"),
            service.get("build"),
        ]
        assert not [secret for secret in secrets if secret in json.dumps(lines)], name


def test_images_are_pinned(deployment: dict[str, Any]) -> None:
    for name, service in services(deployment).items():
        if "build" in service:
            assert service["build"]["context"] == str(DOCKER.parent), name
            assert (DOCKER.parent / service["build"]["dockerfile"]).is_file(), name
            assert re.search(r":[\w.-]*\d", service["build"]["args"]["BASE"]), name
        else:
            assert re.search(r":[\w.-]*\d", service["image"]), name


def test_the_model_runs_where_the_gpu_is(deployment: dict[str, Any]) -> None:
    with_gpu = [
        name for name, service in services(deployment).items() if "devices" in json.dumps(service)
    ]
    light = services(deployment)["worker"]["image"] == "airflow-deepseek-ocr:airflow"
    model_server = {"server", "vllm"} & set(services(deployment))

    assert light == bool(model_server)
    assert set(with_gpu) <= (model_server or {"worker"})


def test_a_light_worker_has_no_weights(deployment: dict[str, Any]) -> None:
    worker = services(deployment)["worker"]
    targets = {volume["target"] for volume in worker["volumes"]}

    assert {*DAGS, "/opt/airflow/config", "/opt/airflow/logs"} <= targets
    assert ("/models" in targets) == (worker["image"] == "airflow-deepseek-ocr:worker")
    assert all(each["read_only"] for each in worker["volumes"] if each["target"] in DAGS)


def test_every_variable_is_described() -> None:
    described = set(
        re.findall(r"^#?([A-Z][A-Z0-9_]*)=", (DOCKER / ".env.example").read_text(), re.MULTILINE)
    )
    used = {
        names
        for file in DOCKER.glob("*.yaml")
        for names in re.findall(
            # In a value, or passed on as it is.
            r"(?<!\$)\$\{([A-Z0-9_]+)|^ +([A-Z0-9_]+):$",
            file.read_text(),
            re.MULTILINE,
        )
    } | {("COMPOSE_FILE", "")}

    assert {first or second for first, second in used} == described


def test_no_file_has_a_secret() -> None:
    for file in DOCKER.glob("*.yaml"):
        for name in environment.SECRETS:
            for default in re.findall(rf"\$\{{{name}(.*?)\}}", file.read_text()):
                assert default.startswith(":?"), f"{file.name}: {name}"


def test_without_variables_compose_says_what_to_run(tmp_path: Path) -> None:
    empty = tmp_path / ".env"
    empty.touch()

    with pytest.raises(AssertionError, match=r"run docker/up"):
        merged(["compose.yaml"], empty)


def test_each_required_variable_says_what_to_run() -> None:
    # Compose reports one missing variable, not always the same.
    required = [
        (path.name, *found)
        for path in sorted(DOCKER.glob("*.yaml"))
        for found in re.findall(r"\$\{(\w+):?\?([^}]*)\}", path.read_text())
    ]
    assert required
    assert [each for each in required if each[2] != "run docker/up"] == []


def test_defaults_in_files_and_in_the_description_are_the_same() -> None:
    example = (DOCKER / ".env.example").read_text()
    described = dict(re.findall(r"^#?([A-Z][A-Z0-9_]*)=(.+)$", example, re.MULTILINE))
    defaults = dict(
        re.findall(r"(?<!\$)\$\{([A-Z0-9_]+):-([^}]+)\}", (DOCKER / "compose.yaml").read_text())
    )

    assert {name: described.get(name) for name in defaults if name != "TORCH_BACKEND"} == {
        name: default for name, default in defaults.items() if name != "TORCH_BACKEND"
    }


def test_the_commands_need_the_standard_library_only() -> None:
    for file in (DOCKER / "stack").glob("*.py"):
        imported = re.findall(r"^\s*(?:from|import) (\w+)", file.read_text(), re.MULTILINE)
        assert set(imported) <= set(sys.stdlib_module_names) | {"stack"}, file.name
