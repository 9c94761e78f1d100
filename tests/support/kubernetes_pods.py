"""A task's pod with our server, as Airflow's KubernetesExecutor builds it from the example DAG."""

from __future__ import annotations

import importlib.util
from functools import cache
from types import ModuleType
from typing import Any

import yaml
from airflow.providers.cncf.kubernetes.pod_generator import PodGenerator
from kubernetes.client import ApiClient

from tests.support.kubernetes_manifests import DIRECTORY, Object, pod
from tests.support.servers.airflow import DAGS

VALUES = DIRECTORY / "airflow" / "values-kubernetes-executor.yaml"


@cache
def example_dag(name: str = "s3_to_database_pods") -> ModuleType:
    """Return the module of an example DAG for the KubernetesExecutor."""
    specification = importlib.util.spec_from_file_location(name, DAGS / f"{name}.py")
    assert specification and specification.loader
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def base_pod() -> Object:
    """Return a pod as the values describe it: what Airflow's chart makes, reduced to that."""
    values = yaml.safe_load(VALUES.read_text("utf-8"))
    worker, (secret,) = values["workers"]["kubernetes"], values["secret"]
    reference = {"name": secret["secretName"], "key": secret["secretKey"]}
    base = {
        "name": "base",
        "image": "registry.example/airflow-deepseek-ocr:airflow",
        "env": [{"name": secret["envName"], "valueFrom": {"secretKeyRef": reference}}],
        "resources": worker["resources"],
        "securityContext": worker["securityContexts"]["container"],
    }
    spec = {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": worker["terminationGracePeriodSeconds"],
        "securityContext": worker["securityContexts"]["pod"],
        "containers": [base],
    }
    return pod(spec, {"tier": "airflow", "component": "worker"})


def task_pod(base: Object, override: Any) -> Object:
    """Return the pod that the KubernetesExecutor creates.

    :param base: the pod template.
    :param override: the task's ``executor_config``.
    """
    built = PodGenerator.construct_pod(
        dag_id="s3_to_database_pods",
        task_id="read",
        pod_id="s3-to-database-pods-read",
        try_number=1,
        kube_image=base["spec"]["containers"][0]["image"],
        date=None,
        args=["airflow", "tasks", "run"],
        pod_override_object=PodGenerator.from_obj(override),
        base_worker_pod=PodGenerator.deserialize_model_dict(base),
        namespace="airflow",
        scheduler_job_id="1",
    )
    content: Object = ApiClient().sanitize_for_serialization(built)
    return content


def pod_with_server() -> Object:
    """Return the pod of the example DAG's task."""
    return task_pod(base_pod(), {"pod_override": example_dag().POD_WITH_SERVER})
