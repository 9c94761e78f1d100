"""Sensor and operator with an S3 server that checks signatures: Ceph's RADOS gateway."""

from __future__ import annotations

import io
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import boto3
import pytest
from airflow.providers.common.compat.sdk import AirflowException
from boto3.s3.transfer import TransferConfig

from airflow_deepseek_ocr.operators.deepseek_ocr import DeepSeekOCROperator
from airflow_deepseek_ocr.sensors.s3 import S3NewDocumentSensor
from tests.conftest import ROOT, TINY_MODEL
from tests.integration.conftest import Connect
from tests.support.servers.airflow import aws_connection
from tests.support.servers.ceph_rgw import CephRGW, ceph_rgw
from tests.support.servers.process import ServerUnavailable

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.usefixtures("sqlite_results"),
]

DOCUMENTS = ROOT / "demo" / "documents"
KEYS = 1100


@pytest.fixture(scope="module")
def ceph() -> Iterator[CephRGW]:
    try:
        with ceph_rgw() as server:
            yield server
    except ServerUnavailable as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def client(ceph: CephRGW) -> Any:
    running = boto3.client(
        "s3",
        endpoint_url=ceph.endpoint_url,
        region_name=ceph.region,
        aws_access_key_id=ceph.access_key,
        aws_secret_access_key=ceph.secret_key,
    )
    running.create_bucket(Bucket="documents")
    with ThreadPoolExecutor(8) as pool:
        for number in range(KEYS):
            key = f"many/{number:05}.pdf"
            pool.submit(running.put_object, Bucket="documents", Key=key, Body=b"x")
    # Zeros after the end of the image make it large enough for a multipart upload.
    content = (DOCUMENTS / "table.png").read_bytes() + bytes(6 << 20)
    parts = TransferConfig(multipart_threshold=5 << 20, multipart_chunksize=5 << 20)
    running.upload_fileobj(io.BytesIO(content), "documents", "one/table.png", Config=parts)
    assert "-" in running.head_object(Bucket="documents", Key="one/table.png")["ETag"]
    return running


@pytest.fixture(autouse=True)
def connections(ceph: CephRGW, client: Any, connect: Connect) -> None:
    connect("aws_default", aws_connection(ceph))
    extra = {
        "engine": "in_process",
        "model": str(TINY_MODEL),
        "resolution": "small",
        "max_output_length": 200,
    }
    connect("deepseek_ocr_default", {"conn_type": "deepseek_ocr", "extra": extra})


def test_more_keys_than_a_listing_page_are_found_once() -> None:
    sensor = S3NewDocumentSensor(
        task_id="find", bucket="documents", prefix="many/", batch_size=100, max_documents=5000
    )
    batches = sensor.poke({}).xcom_value
    assert len({document["uri"] for batch in batches for document in batch}) == KEYS


def test_a_multipart_upload_is_read() -> None:
    find = S3NewDocumentSensor(task_id="find", bucket="documents", prefix="one/")
    batches = find.poke({}).xcom_value
    read = DeepSeekOCROperator(task_id="read", documents=batches)
    assert read.execute({})["pages"] == 1
    assert not find.poke({}).is_done
    assert read.execute({})["documents"] == {"skipped": 1}


def test_a_wrong_secret_is_refused_with_a_clear_error(ceph: CephRGW, connect: Connect) -> None:
    connect("aws_default", aws_connection(replace(ceph, secret_key="wrong" * 8)))
    with pytest.raises(AirflowException, match="SignatureDoesNotMatch") as caught:
        S3NewDocumentSensor(task_id="find", bucket="documents").poke({})
    assert "wrong" * 8 not in str(caught.value)


def test_another_users_document_is_refused(ceph: CephRGW, connect: Connect) -> None:
    other = replace(ceph, access_key=ceph.other_access_key, secret_key=ceph.other_secret_key)
    connect("aws_default", aws_connection(other))
    read = DeepSeekOCROperator(task_id="read", documents=["s3://documents/one/table.png"])
    with pytest.raises(AirflowException, match="reasons outside them"):
        read.execute({})
