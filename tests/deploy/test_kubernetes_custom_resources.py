"""KEDA's and the Prometheus operator's objects have only fields that their definitions have."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from cloudcoil.models.keda.v1alpha1 import ScaledObject
from cloudcoil.models.prometheus_operator.v1 import PodMonitor
from pydantic import ValidationError

from tests.support.kubernetes_manifests import CUSTOM_KINDS, Manifest, Object, manifests

#: Models that are generated from the definitions of KEDA 2.16 and the Prometheus operator 0.80.
MODELS: dict[str, Any] = {"ScaledObject": ScaledObject, "PodMonitor": PodMonitor}
CUSTOM = manifests(*MODELS)


def known_fields(content: Object) -> Object:
    """Return the object without fields that its definition lacks.

    :raises ValidationError: a field is missing or has a wrong type.
    """
    model = MODELS[content["kind"]].model_validate(content)
    known: Object = model.model_dump(mode="json", by_alias=True, exclude_unset=True)
    return known | {"apiVersion": content["apiVersion"], "kind": content["kind"]}


def of_kind(kind: str) -> Object:
    """Return the object of that kind."""
    (manifest,) = manifests(kind)
    return copy.deepcopy(manifest.content)


def test_every_custom_kind_has_a_model_or_is_kustomizes() -> None:
    assert set(MODELS) | {"Kustomization"} == CUSTOM_KINDS
    assert len(CUSTOM) == 2


@pytest.mark.parametrize("manifest", CUSTOM, ids=str)
def test_all_fields_are_known(manifest: Manifest) -> None:
    assert known_fields(manifest.content) == manifest.content


def test_unknown_fields_and_wrong_types_are_found() -> None:
    monitor = of_kind("PodMonitor")
    monitor["spec"]["podMetricsEndpoints"][0]["bearer"] = "x"
    assert known_fields(monitor) != monitor
    scaled = of_kind("ScaledObject")
    scaled["spec"]["maxReplicaCount"] = "many"
    with pytest.raises(ValidationError):
        known_fields(scaled)


def test_the_autoscaler_scales_the_server() -> None:
    spec = of_kind("ScaledObject")["spec"]
    (server,) = (each for each in manifests("Deployment") if each.name == "deepseek-ocr")
    assert spec["scaleTargetRef"]["name"] == server.name
    assert 1 == spec["minReplicaCount"] < spec["maxReplicaCount"]
    (trigger,) = spec["triggers"]
    # https://keda.sh/docs/latest/scalers/prometheus/: the fields that this trigger needs.
    assert trigger["metadata"].keys() == {"serverAddress", "query", "threshold"}
    assert int(trigger["metadata"]["threshold"]) > 0


def test_the_monitor_selects_the_servers_pods_and_authenticates() -> None:
    spec = of_kind("PodMonitor")["spec"]
    (server,) = (each for each in manifests("Deployment") if each.name == "deepseek-ocr")
    template = server.content["spec"]["template"]
    assert spec["selector"]["matchLabels"] == template["metadata"]["labels"]
    (endpoint,) = spec["podMetricsEndpoints"]
    ports = [port["name"] for port in template["spec"]["containers"][0]["ports"]]
    assert endpoint["port"] in ports
    assert endpoint["authorization"]["credentials"] == {"name": "deepseek-ocr", "key": "api-key"}
    (service,) = (each for each in manifests("Service") if each.name == "deepseek-ocr")
    assert endpoint["tlsConfig"]["serverName"] == service.name
