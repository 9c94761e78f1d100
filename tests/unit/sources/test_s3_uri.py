"""Addresses in S3: buckets, access points, and other text."""

from __future__ import annotations

import pytest

from airflow_deepseek_ocr.exceptions import ConfigurationError, ErrorCode
from airflow_deepseek_ocr.sources.s3_uri import is_bucket, split_uri

ACCOUNT = "123456789012"
POINT = f"arn:aws:s3:eu-west-1:{ACCOUNT}:accesspoint/letters"
OUTPOST = f"arn:aws:s3-outposts:eu-west-1:{ACCOUNT}:outpost/op-1/accesspoint/letters"
MULTI_REGION = f"arn:aws:s3::{ACCOUNT}:accesspoint/m1.mrap"


@pytest.mark.parametrize(
    ("uri", "parts"),
    [
        ("s3://b/k", ("b", "k")),
        ("S3://b/in/a b.pdf", ("b", "in/a b.pdf")),
        ("s3://b/", ("b", "")),
        ("s3://b", ("b", "")),
        ("s3://b/k?x#y", ("b", "k?x#y")),
        (f"s3://{POINT}/in/a.pdf", (POINT, "in/a.pdf")),
        (f"s3://{POINT}", (POINT, "")),
        (f"s3://{POINT}/", (POINT, "")),
        (
            f"s3://{POINT.replace('accesspoint/', 'accesspoint:')}/k",
            (POINT.replace("t/", "t:"), "k"),
        ),
        (f"s3://{OUTPOST}/k", (OUTPOST, "k")),
        (f"s3://{MULTI_REGION}/k", (MULTI_REGION, "k")),
    ],
)
def test_bucket_and_key_of_a_uri(uri: str, parts: tuple[str, str]) -> None:
    assert split_uri(uri) == parts


@pytest.mark.parametrize(
    "uri", ["b/k", "s3:/b/k", "s3:///k", "gs://b/k", "", "s3://a b/k", "s3://arn:aws:s3:::b/k"]
)
def test_other_uris_are_refused(uri: str) -> None:
    with pytest.raises(ConfigurationError, match="s3://bucket/key") as caught:
        split_uri(uri)
    assert caught.value.code is ErrorCode.S3_URI


@pytest.mark.parametrize("bucket", ["b", "my.letters-2026_x", "Old", POINT, OUTPOST, MULTI_REGION])
def test_names_and_access_points_are_buckets(bucket: str) -> None:
    assert is_bucket(bucket)


@pytest.mark.parametrize("bucket", ["", "a b", "a/b", "s3://a", "arn:aws:s3:::b", "b\n", "x" * 256])
def test_other_text_is_no_bucket(bucket: str) -> None:
    assert not is_bucket(bucket)
