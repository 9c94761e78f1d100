"""The manifests of ``deploy/kubernetes``, and the pods in them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import kubernetes_validate
import yaml

from tests.support.house.paths import ROOT

DIRECTORY = ROOT / "deploy" / "kubernetes"
VALUES = sorted((DIRECTORY / "airflow").glob("values-*.yaml"))
#: The first with native sidecars by default, and a recent one.
VERSIONS = ("1.29", "1.37")
#: Kinds that operators define; Kubernetes has no schema of them.
CUSTOM_KINDS = {"ScaledObject", "PodMonitor", "Kustomization"}

Object = dict[str, Any]


@dataclass(frozen=True)
class Manifest:
    """An object of a file.

    :param file: relative to :data:`DIRECTORY`.
    :param content: as parsed.
    """

    file: str
    content: Object

    @property
    def kind(self) -> str:
        """Kind of the object."""
        return str(self.content["kind"])

    @property
    def name(self) -> str:
        """Name of the object."""
        return str(self.content["metadata"]["name"])

    def __str__(self) -> str:
        return f"{self.file}:{self.kind}"


def manifests(*kinds: str) -> list[Manifest]:
    """Return the objects of these kinds, or all of them, in all files but the values of Airflow's chart."""
    found = [
        Manifest(str(path.relative_to(DIRECTORY)), content)
        for path in sorted(DIRECTORY.rglob("*.yaml"))
        if path not in VALUES
        for content in yaml.safe_load_all(path.read_text("utf-8"))
    ]
    return [manifest for manifest in found if not kinds or manifest.kind in kinds]


def check_schema(content: Object) -> None:
    """Raise unless the object, without unknown fields, follows the schemas of :data:`VERSIONS`."""
    for version in VERSIONS:
        kubernetes_validate.validate(content, version, strict=True)


def pod(spec: Object, labels: dict[str, str] | None = None) -> Object:
    """Return a pod with that specification, for :func:`check_schema`."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "checked", "labels": labels or {}},
        "spec": spec,
    }


def worker_sets() -> list[Object]:
    """Return the sets of Celery workers in the values of Airflow's chart."""
    return [
        each
        for values in VALUES
        for each in yaml.safe_load(values.read_text("utf-8"))
        .get("workers", {})
        .get("celery", {})
        .get("sets", [])
    ]


def worker_set_pod(values: Object) -> Object:
    """Return the pod of a set of workers, with the chart's own container reduced to its name and image."""
    worker = {
        "name": "worker",
        "image": "worker",
        "env": values["env"],
        "resources": values["resources"],
        "securityContext": values["securityContexts"]["container"],
        "volumeMounts": values["extraVolumeMounts"],
    }
    return pod(
        {
            "nodeSelector": values["nodeSelector"],
            "tolerations": values["tolerations"],
            "terminationGracePeriodSeconds": values["terminationGracePeriodSeconds"],
            "securityContext": values["securityContexts"]["pod"],
            "initContainers": values["extraInitContainers"],
            "containers": [worker],
            "volumes": values["extraVolumes"],
        }
    )


def pods() -> Iterator[tuple[str, Object]]:
    """Yield (origin, pod) of every pod that the manifests and values define."""
    for manifest in manifests("Deployment", "Job"):
        template = manifest.content["spec"]["template"]
        yield str(manifest), pod(template["spec"], template["metadata"]["labels"])
    for each in worker_sets():
        yield f"worker set {each['name']}", worker_set_pod(each)


def containers(spec: Object) -> list[Object]:
    """Return all containers of a pod's specification."""
    return [*spec.get("initContainers", ()), *spec["containers"]]
