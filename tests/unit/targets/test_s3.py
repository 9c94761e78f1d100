"""Exports in S3, on a local S3 server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import boto3
import pytest
from botocore.config import Config
from botocore.stub import Stubber

from airflow_deepseek_ocr.exceptions import DeepSeekOCRError, UnavailableError
from airflow_deepseek_ocr.targets.s3 import S3Target
from tests.support.servers.moto_s3 import moto_s3


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    with moto_s3() as server:
        yield boto3.client(
            "s3",
            **server.client_arguments,
            config=Config(proxies={}, retries={"total_max_attempts": 1}),
        )


@pytest.fixture
def bucket(client: Any) -> str:
    name = f"b-{uuid4()}"
    client.create_bucket(Bucket=name)
    return name


def test_files_have_their_type_and_are_downloads(client: Any, bucket: str, tmp_path: Path) -> None:
    target = S3Target(client, bucket, "ocr/")
    target.put("b/grüße.md", b"<script>", "text/markdown")
    (tmp_path / "a.pdf").write_bytes(b"%PDF")
    target.put("b/a.pdf", tmp_path / "a.pdf", "application/pdf")
    text = client.get_object(Bucket=bucket, Key="ocr/b/grüße.md")
    assert text["ContentType"] == "text/markdown; charset=utf-8"
    assert text["ContentDisposition"] == "attachment; filename*=UTF-8''gr%C3%BC%C3%9Fe.md"
    pdf = client.get_object(Bucket=bucket, Key="ocr/b/a.pdf")
    assert (pdf["ContentType"], pdf["Body"].read()) == ("application/pdf", b"%PDF")
    assert target.uri("b/a.pdf") == f"s3://{bucket}/ocr/b/a.pdf"


def test_files_are_read_and_removed(client: Any, bucket: str) -> None:
    target = S3Target(client, bucket, "")
    assert target.read("manifest.json") is None
    target.put("manifest.json", b"{}", "application/json")
    assert target.read("manifest.json") == b"{}"
    target.remove("manifest.json")
    target.remove("manifest.json")
    assert target.read("manifest.json") is None


def test_a_missing_bucket_is_named(client: Any) -> None:
    target = S3Target(client, "missing-bucket", "")
    with pytest.raises(UnavailableError, match="missing-bucket") as failed:
        target.put("a", b"", "text/plain")
    assert failed.value.code == "missing_bucket"


@pytest.mark.parametrize(
    ("answer", "status", "code", "words"),
    [
        ("AccessDenied", 403, "access_denied", "cannot be written.*s3:PutObject"),
        ("SlowDown", 503, "storage_unavailable", "cannot be written.*Try again later"),
        ("XMinioStorageFull", 507, "storage_unavailable", "cannot be written.*XMinioStorageFull"),
        ("KeyTooLongError", 400, "storage_refused", "cannot be written.*KeyTooLongError"),
    ],
)
def test_a_refused_file_says_what_writing_needs(
    client: Any, answer: str, status: int, code: str, words: str
) -> None:
    with Stubber(client) as stub:
        stub.add_client_error("put_object", answer, "No.", http_status_code=status)
        with pytest.raises(DeepSeekOCRError, match=words) as failed:
            S3Target(client, "b", "").put("a", b"", "text/plain")
    assert failed.value.code == code
