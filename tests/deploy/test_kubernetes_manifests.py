"""The manifests of deploy/kubernetes follow Kubernetes' schemas, the restricted profile, and each other."""

from __future__ import annotations

import copy
import subprocess
from typing import Any

import pytest
import yaml
from kubernetes_validate import ValidationError

from airflow_deepseek_ocr.model_server.main import DRAIN_S
from tests.support.kubernetes_manifests import (
    CUSTOM_KINDS,
    DIRECTORY,
    Manifest,
    Object,
    check_schema,
    containers,
    manifests,
    pod,
    pods,
)

CORE = [manifest for manifest in manifests() if manifest.kind not in CUSTOM_KINDS]
PODS = [pytest.param(content, id=origin) for origin, content in pods()]
TEMPLATES = manifests("Deployment", "Job")
DEPLOYMENTS = manifests("Deployment")


def labels_of(manifest: Manifest) -> dict[str, str]:
    """Return the labels of the pods that a Deployment or Job makes."""
    return dict(manifest.content["spec"]["template"]["metadata"]["labels"])


def selected(selector: dict[str, str]) -> list[Manifest]:
    """Return the Deployments and Jobs whose pods a selector matches."""
    return [each for each in TEMPLATES if selector.items() <= labels_of(each).items()]


def port_names(manifest: Manifest) -> set[str]:
    """Return the names of the ports that the pods of a Deployment listen on."""
    spec = manifest.content["spec"]["template"]["spec"]
    return {port["name"] for each in spec["containers"] for port in each.get("ports", ())}


@pytest.fixture(scope="module")
def secrets() -> dict[str, set[str]]:
    """Keys of the Secrets that make-secrets prints, by the Secret's name."""
    done = subprocess.run(
        [DIRECTORY / "make-secrets", "https://deepseek-ocr:8808"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    found = list(yaml.safe_load_all(done.stdout))
    for each in found:
        check_schema(each)
    return {each["metadata"]["name"]: set(each["stringData"]) for each in found}


@pytest.mark.parametrize("manifest", CORE, ids=str)
def test_a_manifest_follows_the_schemas(manifest: Manifest) -> None:
    check_schema(manifest.content)


@pytest.mark.parametrize("content", PODS)
def test_a_pod_of_manifests_and_values_follows_the_schemas(content: Object) -> None:
    check_schema(content)


@pytest.mark.parametrize(("field", "value"), [("nodeSelektor", {}), ("enableServiceLinks", "no")])
def test_the_schemas_refuse_wrong_fields(field: str, value: Any) -> None:
    deployment = copy.deepcopy(DEPLOYMENTS[0].content)
    deployment["spec"]["template"]["spec"][field] = value
    with pytest.raises(ValidationError):
        check_schema(deployment)


@pytest.mark.parametrize("content", PODS)
def test_a_pod_keeps_to_the_restricted_profile(content: Object) -> None:
    """https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted"""
    spec = content["spec"]
    of_pod = spec["securityContext"]
    assert of_pod["seccompProfile"]["type"] == "RuntimeDefault"
    assert of_pod["runAsNonRoot"] is True
    assert of_pod["runAsUser"] == 50000
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(spec)
    for each in containers(spec):
        assert each["securityContext"]["allowPrivilegeEscalation"] is False
        assert each["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert each["securityContext"].get("runAsNonRoot", True) is True
    for volume in spec["volumes"]:
        assert set(volume) - {"name"} <= {"emptyDir", "secret", "persistentVolumeClaim"}


@pytest.mark.parametrize("manifest", TEMPLATES, ids=str)
def test_a_pod_has_no_token_no_writable_root_and_limits(manifest: Manifest) -> None:
    spec = manifest.content["spec"]["template"]["spec"]
    assert spec["automountServiceAccountToken"] is False
    for each in containers(spec):
        assert each["securityContext"]["readOnlyRootFilesystem"] is True
        assert each["resources"]["limits"]["memory"]
        assert each["resources"]["requests"].keys() >= {"cpu", "memory"}
        paths = [mount["mountPath"] for mount in each["volumeMounts"]]
        assert "/tmp" in paths


@pytest.mark.parametrize("content", PODS)
def test_mounts_name_volumes_and_memory_is_bounded(content: Object) -> None:
    volumes = {volume["name"]: volume for volume in content["spec"]["volumes"]}
    mounted = {
        mount["name"]
        for each in containers(content["spec"])
        for mount in each.get("volumeMounts", ())
    }
    assert mounted == set(volumes)
    for volume in volumes.values():
        assert "emptyDir" not in volume or volume["emptyDir"]["sizeLimit"]


@pytest.mark.parametrize("content", PODS)
def test_secrets_and_claims_exist(content: Object, secrets: dict[str, set[str]]) -> None:
    spec = content["spec"]
    claims = {manifest.name for manifest in manifests("PersistentVolumeClaim")}
    for volume in spec["volumes"]:
        if claim := volume.get("persistentVolumeClaim"):
            assert claim["claimName"] in claims
        if secret := volume.get("secret"):
            keys = {item["key"] for item in secret.get("items", ())}
            assert keys <= secrets[secret["secretName"]]
            # The server refuses files that other users may read.
            assert secret["defaultMode"] == 0o440
    for each in containers(spec):
        for variable in each.get("env", ()):
            if reference := variable.get("valueFrom", {}).get("secretKeyRef"):
                assert reference["key"] in secrets[reference["name"]]


@pytest.mark.parametrize("content", PODS)
def test_one_pod_has_one_gpu(content: Object) -> None:
    limits = [each.get("resources", {}).get("limits", {}) for each in containers(content["spec"])]
    gpus = [each["nvidia.com/gpu"] for each in limits if "nvidia.com/gpu" in each]
    pulls = any(each["name"] == "pull" for each in containers(content["spec"]))
    assert gpus == ([] if pulls else [1])
    assert content["spec"]["nodeSelector"] == {"nvidia.com/gpu.present": "true"}


@pytest.mark.parametrize("manifest", DEPLOYMENTS, ids=str)
def test_a_deployment_selects_its_pods_and_needs_no_second_gpu(manifest: Manifest) -> None:
    spec = manifest.content["spec"]
    assert selected(spec["selector"]["matchLabels"]) == [manifest]
    assert spec["strategy"]["rollingUpdate"] == {"maxSurge": 0, "maxUnavailable": 1}


@pytest.mark.parametrize("manifest", DEPLOYMENTS, ids=str)
def test_a_rollout_waits_for_the_start_that_the_probe_allows(manifest: Manifest) -> None:
    (server,) = manifest.content["spec"]["template"]["spec"]["containers"]
    probe = server["startupProbe"]
    start_s = probe["periodSeconds"] * probe["failureThreshold"]
    assert start_s >= 900
    assert manifest.content["spec"]["progressDeadlineSeconds"] > start_s


def test_the_server_has_the_time_to_finish_its_pages() -> None:
    (deployment,) = (each for each in DEPLOYMENTS if each.name == "deepseek-ocr")
    spec = deployment.content["spec"]["template"]["spec"]
    sleep, seconds = spec["containers"][0]["lifecycle"]["preStop"]["exec"]["command"]
    assert sleep == "sleep"
    assert spec["terminationGracePeriodSeconds"] >= DRAIN_S + int(seconds) + 15


@pytest.mark.parametrize("manifest", manifests("Service"), ids=str)
def test_a_service_leads_to_a_port_of_its_pods(manifest: Manifest) -> None:
    spec = manifest.content["spec"]
    (deployment,) = selected(spec["selector"])
    assert deployment.name == manifest.name
    (port,) = spec["ports"]
    assert port["targetPort"] in port_names(deployment)
    containers_ = deployment.content["spec"]["template"]["spec"]["containers"]
    assert [each["containerPort"] for each in containers_[0]["ports"]] == [port["port"]]


@pytest.mark.parametrize("manifest", manifests("PodDisruptionBudget"), ids=str)
def test_a_disruption_budget_belongs_to_a_deployment(manifest: Manifest) -> None:
    (deployment,) = selected(manifest.content["spec"]["selector"]["matchLabels"])
    assert deployment.name == manifest.name


@pytest.mark.parametrize("manifest", manifests("NetworkPolicy"), ids=str)
def test_a_network_policy_matches_pods_and_their_ports(manifest: Manifest) -> None:
    spec = manifest.content["spec"]
    (target,) = selected(spec["podSelector"]["matchLabels"])
    for rule in spec["ingress"]:
        assert rule["from"], "an empty list allows everything"
        assert {port["port"] for port in rule["ports"]} <= port_names(target)


@pytest.mark.parametrize("manifest", TEMPLATES, ids=str)
def test_every_pod_has_a_policy_and_servers_reach_nothing(manifest: Manifest) -> None:
    policies = [
        each.content["spec"]
        for each in manifests("NetworkPolicy")
        if each.content["spec"]["podSelector"]["matchLabels"].items() <= labels_of(manifest).items()
    ]
    assert any(set(each["policyTypes"]) == {"Ingress", "Egress"} for each in policies)
    leaving = [each["egress"] for each in policies if each.get("egress")]
    assert bool(leaving) == (manifest.kind == "Job")


@pytest.mark.parametrize("manifest", manifests("Kustomization"), ids=str)
def test_a_kustomization_names_all_files_and_the_image(manifest: Manifest) -> None:
    directory = (DIRECTORY / manifest.file).parent
    files = {path.name for path in directory.glob("*.yaml")} - {"kustomization.yaml"}
    assert set(manifest.content["resources"]) == files
    images = {
        each["image"]
        for template in TEMPLATES
        if template.file.startswith(f"{directory.name}/")
        for each in containers(template.content["spec"]["template"]["spec"])
    }
    (image,) = manifest.content["images"]
    assert images == {f"{image['name']}:{image['newTag']}"}


def test_pods_of_a_user_pass_the_check_that_refuses_mistakes() -> None:
    """The check of pods works: a pod without a container is refused."""
    with pytest.raises(ValidationError):
        check_schema(pod({}))
