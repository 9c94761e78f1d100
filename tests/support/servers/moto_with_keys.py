"""moto's S3 server with a bucket of many small objects, which are stored in its process within seconds.

``python -m tests.support.servers.moto_with_keys PORT BUCKET NUMBER``
"""

from __future__ import annotations

import sys
from bisect import bisect_left
from typing import Any

from moto.core import DEFAULT_ACCOUNT_ID
from moto.s3.models import S3Backend, s3_backends
from moto.server import main

from .process import LOOPBACK


def fill(bucket: str, number: int) -> None:
    """Store objects of one byte, and list them by an index as other S3 servers do.

    moto sorts all keys of a bucket for each answer.

    :param bucket: name of the bucket to create.
    :param number: number of objects.
    """
    backend = s3_backends[DEFAULT_ACCOUNT_ID]["aws"]
    backend.create_bucket(bucket, "us-east-1")
    for index in range(number):
        backend.put_object(bucket, f"{index % 100:02}/document {index:07}.pdf", b"x")
    keys = sorted(backend.get_bucket(bucket).keys.values(), key=lambda key: key.name)
    names = [key.name for key in keys]

    def listed(
        self: Any,
        bucket: Any,
        prefix: str | None,
        delimiter: str | None,
        continuation_token: str | None,
        start_after: str | None,
        max_keys: int,
    ) -> tuple[Any, bool, str | None]:
        first = bisect_left(names, prefix or "")
        last = bisect_left(names, f"{prefix}\U0010ffff") if prefix else len(names)
        start = int(continuation_token) if continuation_token else first
        end = min(start + max_keys, last)
        return keys[start:end], end < last, str(end) if end < last else None

    S3Backend.list_objects_v2 = listed


if __name__ == "__main__":
    port, name, count = sys.argv[1:]
    fill(name, int(count))
    main(["--host", LOOPBACK, "--port", port])
