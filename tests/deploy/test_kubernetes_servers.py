"""Options, probes and metrics that deploy/kubernetes names exist in this version of the package."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from airflow_deepseek_ocr.cli.listening import listen_address
from airflow_deepseek_ocr.cli.main import build_parser
from airflow_deepseek_ocr.engines.supervisor.server_spec import ServerPaths
from airflow_deepseek_ocr.engines.supervisor.vllm_server import VllmServerSpec
from airflow_deepseek_ocr.model.weights.source import DEFAULT_MODEL, DEFAULT_REVISION
from airflow_deepseek_ocr.model_server.app import make_app
from airflow_deepseek_ocr.model_server.metrics import Metrics
from tests.support.kubernetes_manifests import Object, containers, manifests, pods
from tests.support.kubernetes_pods import pod_with_server

ALL_PODS = [*pods(), ("pod_override", pod_with_server())]
#: Containers with our server, and the pods around them.
SERVERS = [
    pytest.param(container, content, id=origin)
    for origin, content in ALL_PODS
    for container in containers(content["spec"])
    if container["image"].endswith(":server") and "args" in container
]


def option(container: Object, name: str) -> str:
    """Return the value of an option in a container's arguments; empty without it."""
    return next((arg.partition("=")[2] for arg in container["args"] if arg.startswith(name)), "")


def mounts(container: Object) -> dict[str, str]:
    """Return the volumes of a container by their path."""
    return {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}


def test_the_servers_of_all_ways_are_checked() -> None:
    assert len(SERVERS) == 3


@pytest.mark.parametrize(("container", "content"), SERVERS)
def test_the_server_takes_its_arguments(container: Object, content: Object) -> None:
    options = build_parser().parse_args(["serve", *container["args"]])
    address = listen_address(options)
    assert options.model == DEFAULT_MODEL
    paths = mounts(container)
    assert paths[str(options.cache_dir)] == "models"
    assert paths[str(options.api_key_file.parent)] == "api-key"
    if address.socket_path is None:
        assert address.host == "0.0.0.0"
        assert [port["containerPort"] for port in container["ports"]] == [address.port]
        assert paths[str(options.tls_key.parent)] == "tls"
    else:
        others = [each for each in containers(content["spec"]) if each is not container]
        # Both containers see the socket under one path, which the page files' names need too.
        for each in (container, *others):
            assert mounts(each)[str(address.socket_path.parent)] == "run"


@pytest.mark.parametrize(("container", "content"), SERVERS)
def test_only_the_server_sees_the_api_key_file(container: Object, content: Object) -> None:
    for each in containers(content["spec"]):
        assert ("api-key" in mounts(each).values()) == (each is container)


@pytest.mark.parametrize(("container", "content"), SERVERS)
def test_probes_ask_paths_that_the_server_has(container: Object, content: Object) -> None:
    routes = {route.path for route in make_app(object(), "key").routes}  # type: ignore[arg-type,attr-defined]
    for name in ("startupProbe", "readinessProbe", "livenessProbe"):
        if probe := container.get(name):
            path = (
                probe["httpGet"]["path"]
                if "httpGet" in probe
                else urlsplit(probe["exec"]["command"][-1]).path
            )
            assert path in routes
            assert path.endswith("live") == (name == "livenessProbe")
    socket = option(container, "--socket")
    if socket:
        command = container["startupProbe"]["exec"]["command"]
        assert command[command.index("--unix-socket") + 1] == socket
        assert container["restartPolicy"] == "Always"


def test_the_weights_are_fetched_into_the_servers_cache() -> None:
    (job,) = manifests("Job")
    (pull,) = job.content["spec"]["template"]["spec"]["containers"]
    program, *arguments = pull["command"]
    options = build_parser().parse_args(arguments)
    assert (program, options.model) == ("airflow-deepseek-ocr", DEFAULT_MODEL)
    assert mounts(pull)[str(options.cache_dir)] == "models"


def test_vllm_serves_the_fetched_weights_with_the_flags_of_managed_servers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("VLLM_USE_V2_MODEL_RUNNER", raising=False)
    (deployment,) = (each for each in manifests("Deployment") if each.name.endswith("-vllm"))
    (container,) = deployment.content["spec"]["template"]["spec"]["containers"]
    directory, *arguments = container["args"]
    # As the hub's client lays out its cache.
    owner, name = DEFAULT_MODEL.split("/")
    assert directory == f"/models/hub/models--{owner}--{name}/snapshots/{DEFAULT_REVISION}"
    paths = ServerPaths(
        socket=tmp_path / "s",
        api_key_file=tmp_path / "k",
        record_file=tmp_path / "r",
        log_file=tmp_path / "l",
    )
    managed = VllmServerSpec(model_directory=tmp_path, model=DEFAULT_MODEL, idle_s=60)
    command = managed.launch_command(paths)
    after = list(command.arguments).index("auto") + 1
    given = [part for argument in arguments for part in argument.split("=", 1)]
    assert set(given) >= {*list(command.arguments)[after:], "--trust-request-mm-kwargs"}
    assert option(container, "--served-model-name") == DEFAULT_MODEL
    assert option(container, "--port") == str(container["ports"][0]["containerPort"])
    assert mounts(container)[str(Path(option(container, "--ssl-keyfile")).parent)] == "tls"
    environment = {each["name"]: each.get("value") for each in container["env"]}
    assert environment.items() >= command.environment.items()


def test_metrics_of_the_autoscaler_exist() -> None:
    (scaled,) = manifests("ScaledObject")
    named = {
        name
        for trigger in scaled.content["spec"]["triggers"]
        for name in re.findall(r"deepseek_ocr_\w+", trigger["metadata"]["query"])
    }
    exposed = re.findall(r"^# TYPE (\w+) ", Metrics().text().decode(), re.MULTILINE)
    assert named
    assert named <= set(exposed)
