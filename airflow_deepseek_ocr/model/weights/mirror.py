"""A model mirrored in S3, fetched into the cache once, with sizes and ETags checked."""

from __future__ import annotations

import hashlib
import json
import logging
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from filelock import FileLock, Timeout

from airflow_deepseek_ocr.exceptions import ErrorCode, UnavailableError, local_disk
from airflow_deepseek_ocr.model.weights.files import (
    CONFIG,
    INDEX,
    SINGLE_FILE,
    SMALL_FILES,
    TOKENIZER,
    weight_names,
)
from airflow_deepseek_ocr.model.weights.progress import FetchProgress, format_bytes
from airflow_deepseek_ocr.sources.base import COPY_CHUNK_BYTES, write_copy
from airflow_deepseek_ocr.sources.s3_errors import clear_s3_errors
from airflow_deepseek_ocr.sources.s3_uri import split_uri

log = logging.getLogger(__name__)

#: Written last: its presence says that everything else arrived.
_MANIFEST = "mirror.json"
#: The same for the files that arrived before an interruption.
_UNFINISHED = "unfinished.json"
#: List of SHA-256 that the mirror's owner may add: ETags prove only that S3 has not changed a file.
_CHECKSUMS = "SHA256SUMS"
#: Largest list, in bytes: more than 10,000 lines.
_MAX_CHECKSUMS = 1 << 20
#: As ``sha256sum`` of coreutils writes it, in text and binary mode.
_CHECKSUM_LINE = re.compile(r"^([0-9a-fA-F]{64}) [ *](?:\./)?(\S+)$", re.MULTILINE)
#: Longest wait for another process on this host that is fetching the same model.
_LOCK_TIMEOUT_S = 3600


def mirror_directory(uri: str, revision: str, cache_dir: Path) -> Path:
    """Return the directory in the cache that holds the mirror at ``uri``."""
    name = hashlib.sha256(f"{uri.rstrip('/')}\0{revision}".encode()).hexdigest()[:16]
    return cache_dir / "s3" / f"{PurePosixPath(uri).name}-{name}"


def is_fetched(directory: Path) -> bool:
    """Return whether the mirror in that directory is complete: all files have their sizes."""
    try:
        sizes = json.loads((directory / _MANIFEST).read_bytes())
        return all(
            (directory / name).stat().st_size == entry["size"] for name, entry in sizes.items()
        )
    except (OSError, ValueError, AttributeError, KeyError, TypeError):
        return False


def fetch_mirror(
    uri: str, revision: str, cache_dir: Path, s3_client: Callable[[], Any] | None
) -> Path:
    """Return the local directory of the mirror at ``s3://bucket/prefix``, fetched under a lock.

    Only a model's files are fetched: those of a fixed list, and the weights that the index names.

    A fetch that was interrupted continues in the middle of the file, if the mirror has not changed.

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
    uri = uri.rstrip("/")
    bucket, prefix = split_uri(f"{uri}/")
    objects = {
        entry["Key"].removeprefix(prefix): entry
        for page in client.get_paginator("list_objects_v2").paginate(
            Bucket=bucket, Prefix=prefix, Delimiter="/"
        )
        for entry in page.get("Contents", ())
    }
    if CONFIG not in objects:
        raise _incomplete(f"{uri} holds no model, as {CONFIG} is missing; check bucket and prefix.")
    sums = _checksums(client, uri, objects)
    small = {name: objects[name] for name in SMALL_FILES if name in objects}
    manifest = _fetched_before(directory, small)
    _fetch_files(client, uri, small, directory, sums, manifest, _Counter())
    weights = _weights(uri, directory, objects)
    manifest |= _fetched_before(directory, weights)
    missing = {name: entry for name, entry in weights.items() if name not in manifest}
    parts = [_part(directory / name, entry) for name, entry in missing.items()]
    there = sum(part.stat().st_size for part in parts if part.exists())
    total = sum(entry["Size"] for entry in missing.values()) - there
    received = _Counter()
    with FetchProgress(f"{uri} into {directory}", total, lambda: received.bytes):
        _fetch_files(client, uri, weights, directory, sums, manifest, received)
    _write_manifest(directory / _MANIFEST, manifest)
    for path in directory.iterdir():
        # Parts of an earlier version of a file, or files that the mirror does not have any more.
        if path.name not in (_MANIFEST, *manifest) and not path.is_dir():
            path.unlink()


def _fetch_files(
    client: Any,
    uri: str,
    listed: dict[str, Any],
    directory: Path,
    sums: dict[str, str] | None,
    manifest: dict[str, dict[str, Any]],
    received: _Counter,
) -> None:
    """Fetch the files that the manifest does not have, and add them to it."""
    bucket, _ = split_uri(uri)
    for name, entry in listed.items():
        if name in manifest:
            continue
        _fetch_file(client, bucket, entry, directory / name, received)
        _verify(directory / name, uri, sums)
        manifest[name] = _identity(entry)
        _write_manifest(directory / _UNFINISHED, manifest)


def _weights(uri: str, directory: Path, objects: dict[str, Any]) -> dict[str, Any]:
    """Return the objects of the weights, as the index that has arrived names them."""
    names = [SINGLE_FILE]
    if INDEX in objects:
        try:
            names = weight_names(json.loads((directory / INDEX).read_bytes()))
        except (ValueError, RecursionError) as error:
            reason = error if type(error) is ValueError else "is not JSON"
            raise _incomplete(f"{uri}/{INDEX} {reason}. Copy the model there again.") from error
    for name in (TOKENIZER, *names):
        if name not in objects:
            raise _incomplete(f"{uri} lacks {name}. Copy the model there again.")
    return {name: objects[name] for name in names}


def _checksums(client: Any, uri: str, objects: dict[str, Any]) -> dict[str, str] | None:
    """Return the SHA-256 of each file by the mirror's list; None if it has no list."""
    entry = objects.get(_CHECKSUMS)
    if entry is None:
        return None
    if entry["Size"] > _MAX_CHECKSUMS:
        raise _incomplete(f"{uri}/{_CHECKSUMS} has more than {_MAX_CHECKSUMS:,} bytes. Correct it.")
    bucket, _ = split_uri(uri)
    body = client.get_object(Bucket=bucket, Key=entry["Key"], IfMatch=entry["ETag"])["Body"]
    text = b"".join(body.iter_chunks(COPY_CHUNK_BYTES)).decode(errors="replace")
    return {name: digest.lower() for digest, name in _CHECKSUM_LINE.findall(text)}


def _verify(path: Path, uri: str, sums: dict[str, str] | None) -> None:
    if sums is None:
        return
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != sums.get(path.name):
        path.unlink()
        raise _incomplete(
            f"{uri}/{path.name} has the SHA-256 {found}, and {_CHECKSUMS} "
            f"{f'lists {sums[path.name]}' if path.name in sums else 'does not list it'}. Copy the file there "
            "again, or correct the list."
        )


def _incomplete(message: str) -> UnavailableError:
    return UnavailableError(ErrorCode.MODEL_INCOMPLETE, message)


@dataclass
class _Counter:
    bytes: int = 0


def _identity(entry: dict[str, Any]) -> dict[str, Any]:
    return {"size": entry["Size"], "etag": entry["ETag"].strip('"')}


def _fetched_before(directory: Path, listed: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the files that an earlier fetch completed, if the mirror still has them unchanged."""
    known: dict[str, dict[str, Any]] = {}
    for name in (_MANIFEST, _UNFINISHED):
        with suppress(OSError, ValueError, TypeError):
            known |= json.loads((directory / name).read_bytes())
    found = {}
    for name, entry in listed.items():
        with suppress(OSError):
            same = known.get(name) == _identity(entry)
            if same and (directory / name).stat().st_size == entry["Size"]:
                found[name] = _identity(entry)
    return found


def _write_manifest(path: Path, manifest: dict[str, dict[str, Any]]) -> None:
    temporary = path.with_name(f"{path.name}.new")
    temporary.write_text(json.dumps(manifest, indent=1))
    temporary.replace(path)


def _part(target: Path, entry: dict[str, Any]) -> Path:
    """Return where a file is fetched to; another version of it has another name."""
    version = hashlib.sha256(entry["ETag"].encode()).hexdigest()[:16]
    return target.with_name(f"{target.name}.{version}.part")


def _fetch_file(
    client: Any, bucket: str, entry: dict[str, Any], target: Path, received: _Counter
) -> None:
    """Fetch a file, or the rest of one whose fetch was interrupted."""
    # The first part's size is that of all parts but the last, which the ETag depends on.
    where = {"Bucket": bucket, "Key": entry["Key"]}
    head = client.head_object(**where, PartNumber=1)
    checksum = _MultipartMd5(head["ContentLength"] if "-" in entry["ETag"] else None)
    part = _part(target, entry)
    there = part.stat().st_size if part.exists() else 0
    if there > entry["Size"]:
        part.unlink()
        there = 0
    if there:
        log.info("Resuming %s at %s", target.name, format_bytes(there))
        with part.open("rb") as file:
            while chunk := file.read(COPY_CHUNK_BYTES):
                checksum.update(chunk)

    def chunks() -> Iterator[bytes]:
        if entry["Size"] > there:
            rest = {"Range": f"bytes={there}-"} if there else {}
            response = client.get_object(**where, **rest, IfMatch=entry["ETag"])
            for chunk in response["Body"].iter_chunks(COPY_CHUNK_BYTES):
                checksum.update(chunk)
                received.bytes += len(chunk)
                yield chunk

    write_copy(f"s3://{bucket}/{entry['Key']}", chunks(), part, lasting=True, append=bool(there))
    etag = entry["ETag"].strip('"')
    if part.stat().st_size != entry["Size"] or (_etag_is_md5(head) and checksum.etag() != etag):
        part.unlink()
        raise _incomplete(
            f"s3://{bucket}/{entry['Key']} arrived changed (size or ETag differ); try again."
        )
    part.replace(target)


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
