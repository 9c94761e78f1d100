"""Buckets with documents of the benchmark, on S3 servers of their own.

Each server is one Python process, which limits the documents that come in a second. So they are spread
over several, as over the many machines of a real S3.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import boto3

from airflow_deepseek_ocr.ocr.documents.reference import DocumentRef
from airflow_deepseek_ocr.sources.s3 import Listing
from benchmarks.pipeline.documents import colour_scans, short_pdfs
from tests.support.servers.moto_s3 import moto_s3
from tests.support.servers.s3 import S3Server

#: What writes the documents of each kind.
KINDS: dict[str, Callable[[Path, int], list[Path]]] = {"scans": colour_scans, "drawn": short_pdfs}


@dataclass(frozen=True)
class Bucket:
    """One of the buckets.

    :param address: arguments of boto3's client.
    :param name: of the bucket.
    """

    address: dict[str, str]
    name: str


@dataclass(frozen=True)
class Share:
    """Which documents a task reads.

    :param bucket: where they are.
    :param number: of the task, from 0.
    :param tasks: that share the bucket.
    :param tokens: of the documents' texts.
    """

    bucket: Bucket
    number: int
    tasks: int
    tokens: Sequence[int]

    def documents(self) -> list[DocumentRef]:
        """Return the documents."""
        client = boto3.client("s3", **self.bucket.address)
        return list(Listing(self.bucket.name).documents(client))[self.number :: self.tasks]


def fill(
    scratch: Path, kinds: Sequence[str], count: int, pages: int, stack: ExitStack
) -> dict[str, list[Bucket]]:
    """Put documents of each kind into buckets; no two documents have the same address.

    :param scratch: directory for the files; those of a kind stay in a directory of its name.
    :param count: of servers, each with a bucket of each kind.
    :param pages: documents of one page in each bucket.
    :param stack: ends the servers.
    :return: the buckets of each kind.
    """
    servers = [stack.enter_context(moto_s3()) for _ in range(count)]
    buckets: dict[str, list[Bucket]] = {}
    for kind in kinds:
        paths = KINDS[kind](scratch / kind, pages)
        buckets[kind] = [
            _filled(server, f"{kind}-{number}", paths) for number, server in enumerate(servers)
        ]
    return buckets


def _filled(server: S3Server, name: str, paths: Sequence[Path]) -> Bucket:
    address = server.client_arguments
    client = boto3.client("s3", **address)
    client.create_bucket(Bucket=name)
    for path in paths:
        client.upload_file(str(path), name, path.name)
    return Bucket(address, name)
