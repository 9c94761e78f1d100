"""Values for Airflow's chart and the example DAG for the KubernetesExecutor.

With ``AIRFLOW_CHART``, a directory or archive of the chart, the values are rendered by Helm as well.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.kubernetes_manifests import (
    VALUES,
    Object,
    check_schema,
    containers,
    manifests,
    worker_set_pod,
    worker_sets,
)
from tests.support.kubernetes_pods import base_pod, example_dag, pod_with_server, task_pod

CHART = os.environ.get("AIRFLOW_CHART", "")
needs_chart = pytest.mark.skipif(not CHART, reason="AIRFLOW_CHART names no chart")


def test_the_tasks_pod_has_the_server_and_the_template() -> None:
    content = pod_with_server()
    check_schema(content)
    (server,), (base,) = content["spec"]["initContainers"], content["spec"]["containers"]
    assert server["restartPolicy"] == "Always"
    assert base["args"] == ["airflow", "tasks", "run"]
    assert base["image"].endswith(":airflow")
    # The connection of the template and the socket of the override.
    assert base["env"][0]["name"] == "AIRFLOW_CONN_DEEPSEEK_OCR_DEFAULT"
    assert [mount["name"] for mount in base["volumeMounts"]] == ["run"]
    assert content["metadata"]["labels"].items() >= {"component": "worker"}.items()
    assert "nvidia.com/gpu" not in str(base["resources"])


def test_the_pod_of_the_model_has_a_gpu_and_the_template() -> None:
    dag = example_dag("gpu_pods")
    content = task_pod(base_pod(), {"pod_override": dag.GPU_POD})
    check_schema(content)
    (base,) = content["spec"]["containers"]
    assert base["args"] == ["airflow", "tasks", "run"]
    # The image and the GPU of the override, the connection of the template.
    assert base["image"].endswith(":worker")
    assert base["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert base["env"][0]["name"] == "AIRFLOW_CONN_DEEPSEEK_OCR_DEFAULT"
    assert content["spec"]["nodeSelector"] == {"nvidia.com/gpu.present": "true"}
    assert content["spec"]["tolerations"][0]["key"] == "nvidia.com/gpu"
    (volume,), (mount,) = content["spec"]["volumes"], base["volumeMounts"]
    (claim,) = manifests("PersistentVolumeClaim")
    assert volume["persistentVolumeClaim"]["claimName"] == claim.name
    assert (mount["name"], mount["mountPath"]) == (volume["name"], "/models")


def test_the_server_comes_after_the_templates_init_containers() -> None:
    """Such as git-sync, which must have ended before the worker starts."""
    base = base_pod()
    base["spec"]["initContainers"] = [{"name": "git-sync", "image": "git-sync"}]
    built = task_pod(base, {"pod_override": example_dag().POD_WITH_SERVER})
    names = [each["name"] for each in built["spec"]["initContainers"]]
    assert names == ["git-sync", "deepseek-ocr"]


def test_airflow_stores_the_override_with_the_dag() -> None:
    from airflow.serialization.serialized_objects import BaseSerialization

    config = {"pod_override": example_dag().POD_WITH_SERVER}
    stored: Any = BaseSerialization.serialize(config)
    restored = BaseSerialization.deserialize(stored)
    assert task_pod(base_pod(), restored) == pod_with_server()


def test_the_set_and_the_override_have_the_same_server() -> None:
    """One server, written twice: in YAML for the chart and in Python for the executor."""
    (from_values,) = worker_sets()[0]["extraInitContainers"]
    (from_dag,) = pod_with_server()["spec"]["initContainers"]
    # A task's pod ends with the task, so it has no liveness probe.
    liveness = from_values.pop("livenessProbe")
    assert liveness["exec"]["command"][-1].endswith("/health/live")
    from_values["resources"]["limits"] = {
        name: str(value) for name, value in from_values["resources"]["limits"].items()
    }

    def by_path(mounts: list[Object]) -> dict[str, Object]:
        return {mount["mountPath"]: mount for mount in mounts}

    assert by_path(from_values.pop("volumeMounts")) == by_path(from_dag.pop("volumeMounts"))
    assert from_values == from_dag


def test_the_number_of_tasks_of_a_worker_is_that_of_the_autoscaler() -> None:
    (workers,) = worker_sets()
    (concurrency,) = (each["value"] for each in workers["env"])
    assert f"/ {concurrency})" in workers["keda"]["query"]
    assert f"queue='{workers['queue']}'" in workers["keda"]["query"]


@pytest.mark.parametrize("path", VALUES, ids=lambda path: str(path.stem))
def test_values_name_the_connections_secret(path: Path) -> None:
    (secret,) = yaml.safe_load(path.read_text("utf-8"))["secret"]
    assert secret["envName"] == "AIRFLOW_CONN_DEEPSEEK_OCR_DEFAULT"
    assert (secret["secretName"], secret["secretKey"]) == ("deepseek-ocr", "connection")


def render(path: Path) -> dict[str, list[Object]]:
    """Return the objects that the chart makes of the values, by template; Helm checks the values."""
    helm = pytest.importorskip("helm_python", reason="pip install helm-python-sdk")
    values = yaml.safe_load(path.read_text("utf-8"))
    with helm.Chart.load(CHART) as chart:
        chart.validate_schema(values)
        rendered = chart.render(values, name="airflow", namespace="airflow")
    return {
        name.partition("/templates/")[2]: [each for each in yaml.safe_load_all(text) if each]
        for name, text in rendered.items()
        if name.endswith(".yaml")
    }


@pytest.fixture(scope="module", params=VALUES, ids=lambda path: str(path.stem))
def rendered(request: pytest.FixtureRequest) -> Iterator[tuple[str, dict[str, list[Object]]]]:
    yield request.param.stem, render(request.param)


@needs_chart
def test_the_chart_takes_the_values(rendered: tuple[str, dict[str, list[Object]]]) -> None:
    _, objects = rendered
    for each in objects["workers/worker-deployment.yaml"]:
        check_schema(each)


@needs_chart
def test_the_policies_match_the_charts_workers(
    rendered: tuple[str, dict[str, list[Object]]],
) -> None:
    name, objects = rendered
    if "kubernetes" in name:
        (config,) = (
            each for each in objects["configmaps/configmap.yaml"] if each["kind"] == "ConfigMap"
        )
        template = yaml.safe_load(config["data"]["pod_template_file.yaml"])
        check_schema(task_pod(template, {"pod_override": example_dag().POD_WITH_SERVER}))
        labels = [template["metadata"]["labels"]]
    else:
        labels = [
            each["spec"]["template"]["metadata"]["labels"]
            for each in objects["workers/worker-deployment.yaml"]
        ]
    callers = [
        peer["podSelector"]["matchLabels"]
        for policy in manifests("NetworkPolicy")
        if policy.name != "deepseek-ocr-metrics"
        for rule in policy.content["spec"]["ingress"]
        for peer in rule["from"]
    ]
    assert callers and labels
    assert all(each.items() >= caller.items() for each in labels for caller in callers)


@needs_chart
def test_the_chart_gives_the_set_its_server() -> None:
    (path,) = (each for each in VALUES if "sidecar" in each.stem)
    default, workers = render(path)["workers/worker-deployment.yaml"]
    assert default["metadata"]["name"] == "airflow-worker"
    assert workers["metadata"]["name"] == "airflow-worker-ocr"
    spec = workers["spec"]["template"]["spec"]
    wanted = worker_set_pod(worker_sets()[0])["spec"]
    server = wanted["initContainers"][0]
    assert spec["initContainers"][-1] == server
    assert spec["securityContext"] == wanted["securityContext"]
    assert spec["terminationGracePeriodSeconds"] == wanted["terminationGracePeriodSeconds"]
    worker = next(each for each in containers(spec) if each["name"] == "worker")
    assert {"name": "run", "mountPath": "/run/deepseek-ocr"} in worker["volumeMounts"]
    others = containers(default["spec"]["template"]["spec"])
    assert "deepseek-ocr" not in {each["name"] for each in others}
    environment = {each["name"]: each for each in worker["env"]}
    reference = environment["AIRFLOW_CONN_DEEPSEEK_OCR_DEFAULT"]["valueFrom"]["secretKeyRef"]
    assert reference == {"name": "deepseek-ocr", "key": "connection"}
