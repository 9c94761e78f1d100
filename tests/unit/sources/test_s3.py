"""Documents in S3, on a local S3 server: listing, versions, errors."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import boto3
import pytest
from botocore.config import Config

from airflow_deepseek_ocr.exceptions import (
    ConfigurationError,
    DeepSeekOCRError,
    DocumentError,
    ErrorCode,
    OverwrittenError,
    UnavailableError,
)
from airflow_deepseek_ocr.ocr.documents.limits import Limits
from airflow_deepseek_ocr.ocr.documents.reference import DocumentRef
from airflow_deepseek_ocr.sources.s3 import Listing, S3Source
from airflow_deepseek_ocr.sources.s3_uri import split_uri
from tests.support.servers.moto_s3 import moto_s3
from tests.support.servers.process import free_port
from tests.support.servers.s3 import S3Server
from tests.support.servers.s3_answers import Answer, s3_answers

ACCOUNT = "123456789012"
POINT = f"arn:aws:s3:eu-west-1:{ACCOUNT}:accesspoint/letters"


@pytest.fixture(scope="module")
def server() -> Iterator[S3Server]:
    with moto_s3() as running:
        yield running


def client_of(server: S3Server, endpoint_url: str | None = None) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=endpoint_url or server.endpoint_url,
        region_name=server.region,
        aws_access_key_id=server.access_key,
        aws_secret_access_key=server.secret_key,
        config=Config(proxies={}, retries={"total_max_attempts": 1}),
    )


@pytest.fixture
def client(server: S3Server) -> Any:
    return client_of(server)


@pytest.fixture
def bucket(client: Any) -> str:
    name = f"documents-{uuid4().hex}"
    client.create_bucket(Bucket=name)
    return name


def put(client: Any, bucket: str, *keys: str, body: bytes = b"content") -> str:
    for key in keys:
        etag = client.put_object(Bucket=bucket, Key=key, Body=body)["ETag"]
    return str(etag).strip('"')


def keep_versions(client: Any, bucket: str) -> None:
    client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})


def keys(listing: Listing, client: Any) -> list[str]:
    return [split_uri(ref.uri)[1] for ref in listing.documents(client)]


def fetch(client: Any, ref: DocumentRef, target: Path, **limits: int) -> DocumentRef:
    found = S3Source(client, Limits(**limits)).fetch(ref, target, lambda _: True)
    assert found is not None
    return found


def test_a_listing_selects_keys(client: Any, bucket: str) -> None:
    put(
        client,
        bucket,
        "in/a.pdf",
        "in/B.PNG",
        "in/notes.txt",
        "in/sub/",
        "in/sub/c.tiff",
        "out/d.pdf",
    )
    cases: list[tuple[dict[str, Any], list[str]]] = [
        ({}, ["in/B.PNG", "in/a.pdf", "in/sub/c.tiff", "out/d.pdf"]),
        ({"prefix": "in/"}, ["in/B.PNG", "in/a.pdf", "in/sub/c.tiff"]),
        ({"suffixes": (".txt",)}, ["in/notes.txt"]),
        ({"suffixes": None, "prefix": "in/n"}, ["in/notes.txt"]),
        ({"glob": "in/*.tiff"}, ["in/sub/c.tiff"]),
        ({"glob": "in/[a-z].pdf"}, ["in/a.pdf"]),
        ({"minimum_age": timedelta(hours=1)}, []),
    ]
    for options, expected in cases:
        listing = Listing(bucket, **options)
        assert keys(listing, client) == expected, options
        if "minimum_age" not in options:
            assert all(listing.contains(f"s3://{bucket}/{key}") for key in expected)


def test_a_listing_does_not_contain_other_documents() -> None:
    listing = Listing("b", prefix="in/")
    assert listing.contains("s3://b/in/a.pdf")
    for uri in ("s3://c/in/a.pdf", "s3://b/out/a.pdf", "s3://b/in/a.txt", "file:///in/a.pdf"):
        assert not listing.contains(uri)


def test_versions_are_etags_or_version_ids(client: Any, bucket: str) -> None:
    keep_versions(client, bucket)
    put(client, bucket, "a.pdf", body=b"old")
    etag = put(client, bucket, "a.pdf", body=b"new content")
    client.put_object(Bucket=bucket, Key="deleted.pdf", Body=b"x")
    client.delete_object(Bucket=bucket, Key="deleted.pdf")
    (by_etag,) = Listing(bucket).documents(client)
    assert (by_etag.version, by_etag.version_id, by_etag.size) == (etag, None, 11)
    assert by_etag.last_modified is not None
    assert by_etag.last_modified.tzinfo is not None
    (by_id,) = Listing(bucket, with_version_ids=True).documents(client)
    assert by_id.version == by_id.version_id
    assert by_id.version != etag == by_id.etag


def test_the_current_version_is_fetched(client: Any, bucket: str, tmp_path: Path) -> None:
    etag = put(client, bucket, "a.pdf")
    found = fetch(client, DocumentRef(f"s3://{bucket}/a.pdf"), tmp_path / "copy")
    assert (found.version, found.version_id, found.size) == (etag, None, 7)
    assert (tmp_path / "copy").read_bytes() == b"content"


def test_an_etag_that_was_replaced_is_overwritten(client: Any, bucket: str, tmp_path: Path) -> None:
    put(client, bucket, "a.pdf")
    (ref,) = Listing(bucket).documents(client)
    assert fetch(client, ref, tmp_path / "copy") == replace(ref, last_modified=ref.last_modified)
    put(client, bucket, "a.pdf", body=b"new content")
    with pytest.raises(OverwrittenError):
        fetch(client, ref, tmp_path / "copy")


def test_a_version_id_is_fetched_after_it_was_replaced(
    client: Any, bucket: str, tmp_path: Path
) -> None:
    keep_versions(client, bucket)
    put(client, bucket, "a.pdf", body=b"old")
    (ref,) = Listing(bucket, with_version_ids=True).documents(client)
    put(client, bucket, "a.pdf", body=b"new content")
    assert fetch(client, ref, tmp_path / "copy").version == ref.version_id
    assert (tmp_path / "copy").read_bytes() == b"old"


def test_an_etag_stays_the_version_in_a_bucket_with_versions(
    client: Any, bucket: str, tmp_path: Path
) -> None:
    keep_versions(client, bucket)
    put(client, bucket, "a.pdf")
    (ref,) = Listing(bucket).documents(client)
    found = fetch(client, ref, tmp_path / "copy")
    assert (found.version, found.version_id) == (ref.version, None)


@pytest.mark.parametrize("known", [True, False])
def test_the_content_of_unwanted_versions_is_not_fetched(
    client: Any, bucket: str, tmp_path: Path, known: bool
) -> None:
    put(client, bucket, "a.pdf")
    (ref,) = Listing(bucket).documents(client)
    asked: list[str] = []

    def unwanted(found: DocumentRef) -> bool:
        asked.append(found.version)
        return False

    source = S3Source(client, Limits())
    assert source.fetch(ref if known else ref.unversioned(), tmp_path / "a", unwanted) is None
    assert asked == [ref.version]
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize(
    ("body", "code"), [(b"", ErrorCode.EMPTY_FILE), (bytes(101), ErrorCode.TOO_MANY_BYTES)]
)
def test_the_size_is_checked_before_the_content_is_fetched(
    client: Any, bucket: str, tmp_path: Path, body: bytes, code: ErrorCode
) -> None:
    put(client, bucket, "a.pdf", body=body)
    with pytest.raises(DocumentError) as caught:
        fetch(client, DocumentRef(f"s3://{bucket}/a.pdf"), tmp_path / "a", max_bytes=100)
    assert caught.value.code is code
    assert not (tmp_path / "a").exists()


def error_of(client: Any, uri: str, target: Path) -> DeepSeekOCRError:
    with pytest.raises(DeepSeekOCRError) as caught:
        fetch(client, DocumentRef(uri), target)
    assert uri in str(caught.value)
    return caught.value


def test_missing_keys_and_buckets(client: Any, bucket: str, tmp_path: Path) -> None:
    missing = error_of(client, f"s3://{bucket}/no.pdf", tmp_path / "a")
    assert isinstance(missing, DocumentError)
    assert missing.code is ErrorCode.MISSING_KEY
    no_bucket = error_of(client, "s3://no-such-bucket/a.pdf", tmp_path / "a")
    assert isinstance(no_bucket, UnavailableError)
    assert no_bucket.code is ErrorCode.MISSING_BUCKET
    with pytest.raises(UnavailableError, match="no bucket no-such-bucket"):
        list(Listing("no-such-bucket").documents(client))


def test_a_server_that_does_not_answer(server: S3Server, tmp_path: Path) -> None:
    away = client_of(server, f"http://127.0.0.1:{free_port()}")
    error = error_of(away, "s3://b/a.pdf", tmp_path / "a")
    assert isinstance(error, UnavailableError)
    assert error.code is ErrorCode.STORAGE_UNAVAILABLE


def test_an_access_point_is_listed_and_read_by_its_arn(tmp_path: Path) -> None:
    """The server is its clients' proxy: names below the endpoint's need no resolver."""
    with s3_answers({"in/a.pdf": Answer(content=b"content"), "b.txt": Answer()}) as answers:
        client = answers.client()
        (ref,) = Listing(POINT, prefix="in/").documents(client)
        assert ref.uri == f"s3://{POINT}/in/a.pdf"
        assert Listing(POINT, prefix="in/").contains(ref.uri)
        assert fetch(client, ref, tmp_path / "copy") == ref
        assert (tmp_path / "copy").read_bytes() == b"content"
        assert {request.host for request in answers.requests} == {f"letters-{ACCOUNT}.s3.test"}


def test_parameters_that_s3_does_not_take_are_configuration_errors(
    client: Any, tmp_path: Path
) -> None:
    for uri in ("s3://b/", "s3://x" + "y" * 300 + "/k"):
        with pytest.raises(ConfigurationError) as caught:
            fetch(client, DocumentRef(uri), tmp_path / "a")
        assert caught.value.code is ErrorCode.S3_URI


def test_archived_objects_are_left_out_and_counted(
    client: Any, bucket: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    put(client, bucket, "a.pdf")
    for name, storage in [("b", "GLACIER"), ("c", "DEEP_ARCHIVE"), ("d", "STANDARD_IA")]:
        client.put_object(Bucket=bucket, Key=f"{name}.pdf", Body=b"x", StorageClass=storage)
    caplog.set_level("INFO", "airflow_deepseek_ocr")
    assert keys(Listing(bucket), client) == ["a.pdf", "d.pdf"]
    assert f"s3://{bucket}/: 2 archived objects" in caplog.text
    assert keys(Listing(bucket, with_version_ids=True), client) == ["a.pdf", "d.pdf"]
    error = error_of(client, f"s3://{bucket}/b.pdf", tmp_path / "b")
    assert (type(error), error.code) == (DocumentError, ErrorCode.ARCHIVED)
    assert "Restore it" in str(error)


def test_restored_objects_are_listed() -> None:
    in_archive = "<StorageClass>GLACIER</StorageClass><RestoreStatus>{}</RestoreStatus>"
    progress, expiry = (
        "<IsRestoreInProgress>{}</IsRestoreInProgress>",
        "<RestoreExpiryDate>{}</RestoreExpiryDate>",
    )
    done, until = progress.format("false"), expiry.format("2999-01-01T00:00:00Z")
    states = {
        "restored.pdf": done + until,
        "expired.pdf": done + expiry.format("2020-01-01T00:00:00Z"),
        "running.pdf": progress.format("true"),
        "running-again.pdf": progress.format("true") + until,
        "unknown.pdf": "",
    }
    objects = {key: Answer(listed=in_archive.format(state)) for key, state in states.items()}
    objects["instant.pdf"] = Answer(listed="<StorageClass>GLACIER_IR</StorageClass>")
    with s3_answers(objects) as answers:
        found = [
            (split_uri(ref.uri)[1], restored)
            for ref, restored in Listing("b").with_restored(answers.client())
        ]
        assert found == [("instant.pdf", False), ("restored.pdf", True)]
        asked = answers.requests[0].headers["x-amz-optional-object-attributes"]
        assert asked == "RestoreStatus"
