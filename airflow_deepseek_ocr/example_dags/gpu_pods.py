"""Every hour, read the new documents of a bucket into a database; each task's pod has a GPU and the model.

For the KubernetesExecutor. Set the parameters ``bucket`` and ``prefix``, the image, the node selector and
the claim of the weights in this file, and the engine ``in_process`` in the connection
``deepseek_ocr_default``. Create the pool, with a slot for each GPU: ``airflow pools set deepseek_ocr_gpus 2
"Pods with a GPU"``. Other connections as in ``s3_to_database``. In ``s3_to_database_pods`` the model has a
separate container.
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
        "There is no DAG gpu_pods: it needs the package kubernetes, which "
        "apache-airflow-providers-cncf-kubernetes installs."
    )

if k8s:
    # [START howto_gpu_pods]
    GPU_POD = k8s.V1Pod(
        spec=k8s.V1PodSpec(
            containers=[
                k8s.V1Container(
                    name="base",  # the task's container is always named so
                    image="registry.example/airflow-deepseek-ocr:worker",  # has torch
                    resources=k8s.V1ResourceRequirements(
                        requests={"cpu": "4", "memory": "16Gi"},
                        limits={"nvidia.com/gpu": "1", "memory": "24Gi"},
                    ),
                    volume_mounts=[k8s.V1VolumeMount(name="models", mount_path="/models")],
                )
            ],
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
                )
            ],
        )
    )

    with DAG(
        "gpu_pods",
        description=__doc__.splitlines()[0],
        doc_md=__doc__,
        schedule="@hourly",
        start_date=datetime(2026, 1, 1),
        catchup=False,
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
            batch_size=500,  # a pod loads the model anew: large batches
            deepseek_ocr_conn_id="deepseek_ocr_default",
            deferrable=True,  # waits in the triggerer, not in a pod
            timeout=timedelta(minutes=50).total_seconds(),
            manual_timeout=0,
            soft_fail=True,
        )
        DeepSeekOCROperator.partial(
            task_id="read",
            executor_config={"pod_override": GPU_POD},
            pool="deepseek_ocr_gpus",
            retries=3,
            retry_delay=timedelta(minutes=2),
        ).expand(documents=find.output)
    # [END howto_gpu_pods]
