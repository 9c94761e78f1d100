"""Every hour, read the new documents of a bucket into a database; each task's pod has a server with a GPU.

For the KubernetesExecutor. Set the parameters ``bucket`` and ``prefix``, and in this file the image, the
node selector and the claim of the weights. The guide "Kubernetes" has the values of Airflow's chart that
belong to it. In ``gpu_pods`` the model runs in the task's container. Connections as in ``s3_to_database``.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from airflow.sdk import DAG, Param

from airflow_deepseek_ocr.operators.deepseek_ocr import DeepSeekOCROperator
from airflow_deepseek_ocr.sensors.s3 import S3NewDocumentSensor

try:
    from kubernetes.client import models as k8s
except ImportError:
    k8s = None
    logging.getLogger(__name__).warning(
        "There is no DAG s3_to_database_pods: it needs the package kubernetes, which "
        "apache-airflow-providers-cncf-kubernetes installs."
    )

if k8s:
    # [START howto_pod_with_server]
    RUN = k8s.V1VolumeMount(name="run", mount_path="/run/deepseek-ocr")

    SERVER = k8s.V1Container(
        name="deepseek-ocr",
        image="registry.example/airflow-deepseek-ocr:server",
        # A native sidecar (Kubernetes 1.29 or later): it starts before the task, and ends after it.
        restart_policy="Always",
        args=[
            "deepseek-ai/DeepSeek-OCR",
            "--cache-dir=/models",
            "--socket=/run/deepseek-ocr/server.sock",
            "--api-key-file=/run/secrets/deepseek-ocr/api-key",
        ],
        env=[k8s.V1EnvVar(name="HF_HUB_OFFLINE", value="1")],
        # The task starts when the model is loaded.
        startup_probe=k8s.V1Probe(
            _exec=k8s.V1ExecAction(
                command=[
                    "curl",
                    "--fail",
                    "--silent",
                    "--max-time",
                    "4",
                    "--output",
                    "/dev/null",
                    "--unix-socket",
                    "/run/deepseek-ocr/server.sock",
                    "http://localhost/health/ready",
                ]
            ),
            period_seconds=5,
            timeout_seconds=5,
            failure_threshold=180,
        ),
        security_context=k8s.V1SecurityContext(
            run_as_non_root=True,
            allow_privilege_escalation=False,
            read_only_root_filesystem=True,
            capabilities=k8s.V1Capabilities(drop=["ALL"]),
            seccomp_profile=k8s.V1SeccompProfile(type="RuntimeDefault"),
        ),
        resources=k8s.V1ResourceRequirements(
            requests={"cpu": "2", "memory": "12Gi"},
            limits={"nvidia.com/gpu": "1", "memory": "24Gi"},
        ),
        volume_mounts=[
            RUN,
            k8s.V1VolumeMount(name="models", mount_path="/models"),
            k8s.V1VolumeMount(
                name="api-key",
                mount_path="/run/secrets/deepseek-ocr",
                read_only=True,
            ),
            k8s.V1VolumeMount(name="server-tmp", mount_path="/tmp"),
        ],
    )

    POD_WITH_SERVER = k8s.V1Pod(
        spec=k8s.V1PodSpec(
            init_containers=[SERVER],
            # The task's container is always named so.
            containers=[k8s.V1Container(name="base", volume_mounts=[RUN])],
            node_selector={"nvidia.com/gpu.present": "true"},
            tolerations=[
                k8s.V1Toleration(key="nvidia.com/gpu", operator="Exists", effect="NoSchedule")
            ],
            volumes=[
                k8s.V1Volume(
                    name="models",
                    persistent_volume_claim=k8s.V1PersistentVolumeClaimVolumeSource(
                        claim_name="deepseek-ocr-models"
                    ),
                ),
                k8s.V1Volume(
                    name="run",
                    empty_dir=k8s.V1EmptyDirVolumeSource(medium="Memory", size_limit="2Gi"),
                ),
                k8s.V1Volume(
                    name="api-key",
                    secret=k8s.V1SecretVolumeSource(
                        secret_name="deepseek-ocr",
                        default_mode=0o440,
                        items=[k8s.V1KeyToPath(key="api-key", path="api-key")],
                    ),
                ),
                k8s.V1Volume(
                    name="server-tmp",
                    empty_dir=k8s.V1EmptyDirVolumeSource(size_limit="2Gi"),
                ),
            ],
        )
    )
    # [END howto_pod_with_server]

    with DAG(
        "s3_to_database_pods",
        description=__doc__.splitlines()[0],
        doc_md=__doc__,
        schedule="@hourly",
        start_date=datetime(2026, 1, 1),
        catchup=False,
        # Two runs at once would find the same new documents.
        max_active_runs=1,
        params={
            "bucket": Param("documents", type="string", description="bucket of the documents"),
            "prefix": Param(None, type=["null", "string"], description="prefix of the keys"),
        },
        tags=["deepseek-ocr"],
    ):
        find = S3NewDocumentSensor(
            task_id="find",
            bucket="{{ params.bucket }}",
            prefix="{{ params.prefix or '' }}",
            deepseek_ocr_conn_id="deepseek_ocr_default",
            deferrable=True,  # waits in the triggerer, not in a pod
            poke_interval=60,
            timeout=timedelta(minutes=50).total_seconds(),
            manual_timeout=0,  # a run that is triggered by hand searches once
            soft_fail=True,  # an hour without new documents is skipped, not failed
        )
        # [START howto_task_with_server]
        DeepSeekOCROperator.partial(
            task_id="read",
            executor_config={"pod_override": POD_WITH_SERVER},
            retries=3,
            retry_delay=timedelta(minutes=2),
            # As many as there are GPUs: each mapped task has a pod with one.
            max_active_tis_per_dag=2,
        ).expand(documents=find.output)
        # [END howto_task_with_server]
