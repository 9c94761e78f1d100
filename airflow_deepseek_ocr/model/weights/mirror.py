"""A model mirrored in S3, fetched into the cache once, with sizes and ETags checked."""

from __future__ import annotations

import fnmatch
import hashlib
import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from filelock import FileLock, Timeout

from airflow_deepseek_ocr.exceptions import ErrorCode, UnavailableError, local_disk
from airflow_deepseek_ocr.model.weights.files import PATTERNS
from airflow_deepseek_ocr.sources.base import COPY_CHUNK_BYTES, write_copy
from airflow_deepseek_ocr.sources.s3 import clear_s3_errors, split_uri

log = logging.getLogger(__name__)

#: Written last: its presence says that everything else arrived.
_MANIFEST = "mirror.json"
#: Longest wait for another process on this host that is fetching the same model.
_LOCK_TIMEOUT_S = 3600


def mirror_directory(uri: str, revision: str, cache_dir: Path) -> Path:
    """Return the directory in the cache that holds the mirror at ``uri``."""
    name = hashlib.sha256(f"{uri.rstrip('/')}\0{revision}".encode()).hexdigest()[:16]
    return cache_dir / "s3" / f"{PurePosixPath(uri).name}-{name}"


def is_fetched(directory: Path) -> bool:
    """Return whether the mirror in that directory is complete: all files have their sizes."""
    try:
        sizes = json.loads((directory / _MANIFEST).read_text())
        return all(
            (directory / name).stat().st_size == entry["size"] for name, entry in sizes.items()
        )
    except (OSError, ValueError, AttributeError, KeyError, TypeError):
        return False


def fetch_mirror(
    uri: str, revision: str, cache_dir: Path, s3_client: Callable[[], Any] | None
) -> Path:
    """Return the local directory of the mirror at ``s3://bucket/prefix``, fetched under a lock.

    A mirror that is complete in the cache is used without asking S3: to fetch a changed one, give
    it another prefix or revision.

    :raises UnavailableError: ``model_unavailable`` if it cannot be fetched; ``model_incomplete`` if
        it holds no model, or a file arrives changed; ``local_disk`` if it cannot be written.
    """
    directory = mirror_directory(uri, revision, cache_dir)
    if is_fetched(directory):
        return directory
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with FileLock(directory.with_name(f"{directory.name}.lock"), timeout=_LOCK_TIMEOUT_S):
            if not is_fetched(directory):
                client = s3_client() if s3_client else default_client()
                with clear_s3_errors(uri):
                    _fetch(client, uri, directory)
    except Timeout:
        raise UnavailableError(
            ErrorCode.MODEL_UNAVAILABLE,
            f"Another process has been fetching {uri} for an hour; end it if it hangs, and try again.",
        ) from None
    except OSError as error:
        raise local_disk(f"{uri} cannot be copied to {directory}", error) from error
    return directory


def default_client() -> Any:
    """Return a boto3 S3 client with the host's own credentials."""
    import boto3

    return boto3.client("s3")


def _fetch(client: Any, uri: str, directory: Path) -> None:
    bucket, prefix = split_uri(uri.rstrip("/") + "/")
    manifest: dict[str, dict[str, Any]] = {}
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        for entry in page.get("Contents", ()):
            name = entry["Key"].removeprefix(prefix)
            if "/" not in name and any(fnmatch.fnmatchcase(name, pattern) for pattern in PATTERNS):
                log.info("Fetching %s (%d bytes)", f"s3://{bucket}/{entry['Key']}", entry["Size"])
                _fetch_file(client, bucket, entry, directory / name)
                manifest[name] = {"size": entry["Size"], "etag": entry["ETag"].strip('"')}
    if not manifest:
        raise UnavailableError(
            ErrorCode.MODEL_INCOMPLETE, f"{uri} holds no model; check the bucket and prefix."
        )
    temporary = directory / f"{_MANIFEST}.part"
    temporary.write_text(json.dumps(manifest, indent=1))
    temporary.replace(directory / _MANIFEST)


def _fetch_file(client: Any, bucket: str, entry: dict[str, Any], target: Path) -> None:
    # The first part's size is that of all parts but the last, which the ETag depends on.
    where = {"Bucket": bucket, "Key": entry["Key"]}
    head = client.head_object(**where, PartNumber=1)
    response = client.get_object(**where, IfMatch=entry["ETag"])
    temporary = target.with_name(f"{target.name}.part")
    checksum = _MultipartMd5(head["ContentLength"] if "-" in entry["ETag"] else None)

    def chunks() -> Iterator[bytes]:
        for chunk in response["Body"].iter_chunks(COPY_CHUNK_BYTES):
            checksum.update(chunk)
            yield chunk

    write_copy(f"s3://{bucket}/{entry['Key']}", chunks(), temporary, lasting=True)
    etag = entry["ETag"].strip('"')
    if temporary.stat().st_size != entry["Size"] or (
        _etag_is_md5(head) and checksum.etag() != etag
    ):
        temporary.unlink()
        raise UnavailableError(
            ErrorCode.MODEL_INCOMPLETE,
            f"s3://{bucket}/{entry['Key']} arrived changed (size or ETag differ); try again.",
        )
    temporary.replace(target)


def _etag_is_md5(head: dict[str, Any]) -> bool:
    """Objects encrypted with KMS or customer keys have ETags that tell nothing of the content."""
    return "SSECustomerAlgorithm" not in head and head.get("ServerSideEncryption") in (
        None,
        "AES256",
    )


class _MultipartMd5:
    """An ETag as S3 computes it: the MD5, or for multipart uploads the MD5 of the parts' MD5s.

    :param part_size: bytes in each part but the last; None for an upload in one piece.
    """

    def __init__(self, part_size: int | None) -> None:
        self._part_size, self._in_part = part_size, 0
        self._part, self._digests = hashlib.md5(usedforsecurity=False), b""
        self._parts = 0

    def update(self, data: bytes) -> None:
        while self._part_size and self._in_part + len(data) >= self._part_size:
            head = self._part_size - self._in_part
            self._part.update(data[:head])
            data = data[head:]
            self._end_part()
        self._part.update(data)
        self._in_part += len(data)

    def _end_part(self) -> None:
        self._digests += self._part.digest()
        self._parts += 1
        self._part, self._in_part = hashlib.md5(usedforsecurity=False), 0

    def etag(self) -> str:
        if not self._part_size:
            return self._part.hexdigest()
        if self._in_part:
            self._end_part()
        return f"{hashlib.md5(self._digests, usedforsecurity=False).hexdigest()}-{self._parts}"
