"""The bucket of the documents, from inside the containers ``init`` and ``api-server``.

``docker/drop`` runs this file in ``api-server``, so that the host needs no S3 client.
"""

from __future__ import annotations

import os
import sys
from typing import Any, BinaryIO

import boto3
from botocore.exceptions import ClientError

ENDPOINT = "http://s3:8333"
NAME = "documents"
#: Clients sign with a region; the server of this deployment accepts any.
REGION = "us-east-1"


def client() -> Any:
    """Return a boto3 client with the keys of this deployment."""
    return boto3.client(
        "s3",
        endpoint_url=ENDPOINT,
        region_name=REGION,
        aws_access_key_id=os.environ["S3_ACCESS_KEY"],
        aws_secret_access_key=os.environ["S3_SECRET_KEY"],
    )


def create() -> bool:
    """Create the bucket, and return whether it was missing."""
    s3 = client()
    if NAME in (bucket["Name"] for bucket in s3.list_buckets()["Buckets"]):
        return False
    try:
        s3.create_bucket(Bucket=NAME)
    except ClientError as error:
        # The server creates it at its first start, perhaps at this moment.
        if error.response["Error"]["Code"] not in (
            "BucketAlreadyOwnedByYou",
            "BucketAlreadyExists",
        ):
            raise
        return False
    return True


def put(key: str, document: BinaryIO) -> str:
    """Store a document and return its URI.

    :param key: the object's key.
    :param document: its content.
    """
    client().upload_fileobj(document, NAME, key)
    return f"s3://{NAME}/{key}"


if __name__ == "__main__":
    print(put(sys.argv[1], sys.stdin.buffer))
