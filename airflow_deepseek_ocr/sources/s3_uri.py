"""Addresses in S3: names of buckets, access points, and URIs."""

from __future__ import annotations

import re

from airflow_deepseek_ocr.exceptions import ConfigurationError, ErrorCode

#: The names and the ARNs of access points that botocore takes as a bucket.
_ARN = (
    r"arn:aws[\w-]*:s3(?:-outposts|-object-lambda)?:[a-z0-9-]*:\d{12}:"
    r"(?:outpost[/:][a-zA-Z0-9-]{1,63}[/:])?accesspoint[/:][a-zA-Z0-9.-]{1,63}"
)
_BUCKET = re.compile(rf"[a-zA-Z0-9._-]{{1,255}}|{_ARN}")
_ARN_AND_KEY = re.compile(rf"({_ARN})(?:/(.*))?", re.DOTALL)


def is_bucket(bucket: str) -> bool:
    """Return whether botocore takes this as a bucket: a name, or the ARN of an access point."""
    return _BUCKET.fullmatch(bucket) is not None


def split_uri(uri: str) -> tuple[str, str]:
    """Return bucket and key of ``s3://bucket/key``; the bucket may be the ARN of an access point.

    :raises ConfigurationError: ``s3_uri`` if the URI has another form.
    """
    scheme, separator, rest = uri.partition("://")
    access_point = _ARN_AND_KEY.fullmatch(rest)
    bucket, _, key = rest.partition("/")
    if access_point:
        bucket, key = access_point[1], access_point[2] or ""
    if scheme.lower() != "s3" or not separator or not is_bucket(bucket):
        raise ConfigurationError(
            ErrorCode.S3_URI,
            f"{uri!r} does not have the form s3://bucket/key. The bucket is a name, or the ARN of an access "
            "point.",
        )
    return bucket, key
