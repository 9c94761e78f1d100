"""Documents in S3: listing and fetching with a boto3 client."""

from __future__ import annotations

import fnmatch
import logging
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import KW_ONLY, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from airflow_deepseek_ocr.exceptions import ConfigurationError, ErrorCode
from airflow_deepseek_ocr.ocr.documents.limits import Limits
from airflow_deepseek_ocr.ocr.documents.reference import DocumentRef
from airflow_deepseek_ocr.ocr.documents.unshown import SUFFIXES
from airflow_deepseek_ocr.sources.base import COPY_CHUNK_BYTES, Wanted, write_copy
from airflow_deepseek_ocr.sources.export_directories import is_export
from airflow_deepseek_ocr.sources.s3_errors import clear_s3_errors
from airflow_deepseek_ocr.sources.s3_uri import is_bucket, split_uri

log = logging.getLogger(__name__)

#: Storage classes whose objects must be restored before they can be read (S3's user guide, "Storage
#: classes"). The archive tiers of INTELLIGENT_TIERING are not in a listing.
_ARCHIVES = ("GLACIER", "DEEP_ARCHIVE")

#: Key suffixes of the supported types; by default a sensor ignores other keys.
DEFAULT_SUFFIXES = SUFFIXES


def check_bucket(bucket: object) -> None:
    """Check the name of a bucket.

    :raises ConfigurationError: ``discovery_options`` unless it is a name, or the ARN of an access point.
    """
    if isinstance(bucket, str) and is_bucket(bucket):
        return
    try:
        name, key = split_uri(str(bucket).strip())
        remedy = f"write bucket={name!r}" + (f" and prefix={key!r}" if key else "")
    except ConfigurationError:
        remedy = (
            "name one by letters, digits, dots, hyphens and underscores, or an access point's ARN"
        )
    raise ConfigurationError(
        ErrorCode.DISCOVERY_OPTIONS, f"bucket is {bucket!r}, which is no bucket's name; {remedy}."
    )


def lower_suffixes(suffixes: str | Iterable[str] | None) -> tuple[str, ...] | None:
    """Return suffixes in lower case; a string is one suffix, and None means all keys.

    :raises ConfigurationError: ``discovery_options`` if there is none, or one is not a string.
    """
    if suffixes is None:
        return None
    try:
        found = (suffixes,) if isinstance(suffixes, str) else tuple(suffixes)
    except TypeError:
        found = ()
    if not found or not all(isinstance(each, str) and each for each in found):
        raise ConfigurationError(
            ErrorCode.DISCOVERY_OPTIONS,
            f"suffixes is {suffixes!r}; give a list such as ['.pdf', '.png'], or None for all keys.",
        )
    return tuple(each.lower() for each in found)


@dataclass(frozen=True)
class Listing:
    """The objects of a bucket that are documents.

    :param bucket: the bucket.
    :param prefix: keys start with this prefix.
    :param suffixes: keys end with one of these suffixes, both in any case; a string is one suffix; None
        takes all keys. Files in the directories of exports are left out in any case.
    :param glob: keys match this pattern (``fnmatch``: ``*`` also matches ``/``); None takes all keys.
    :param minimum_age: minimum time since the object was last modified.
    :param with_version_ids: identify versions by version ids instead of ETags; requires a bucket with
        versioning.
    """

    bucket: str
    _: KW_ONLY
    prefix: str = ""
    suffixes: str | tuple[str, ...] | None = DEFAULT_SUFFIXES
    glob: str | None = None
    minimum_age: timedelta = timedelta(0)
    with_version_ids: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "suffixes", lower_suffixes(self.suffixes))

    def documents(self, client: Any) -> Iterator[DocumentRef]:
        """Yield the current version of each document while the bucket is being listed.

        Archived objects are left out, and counted in the log.

        :param client: a boto3 S3 client.
        :raises DocumentError: ``storage_refused``.
        :raises UnavailableError: ``missing_bucket``, ``access_denied``, ``expired_credentials``,
            ``wrong_region``, ``storage_unavailable``.
        """
        return (ref for ref, _ in self.with_restored(client))

    def with_restored(self, client: Any) -> Iterator[tuple[DocumentRef, bool]]:
        """Yield what :meth:`documents` yields, and whether it was restored from an archive.

        :param client: a boto3 S3 client.
        """
        now, archived = datetime.now(UTC), 0
        with clear_s3_errors(f"s3://{self.bucket}/{self.prefix}"):
            for entry in self._entries(client):
                if (
                    not self._matches(entry["Key"])
                    or entry["LastModified"] > now - self.minimum_age
                ):
                    continue
                restored = _is_restored(entry, now)
                if entry.get("StorageClass") in _ARCHIVES and not restored:
                    archived += 1
                else:
                    yield self._ref(entry), restored
        if archived:
            log.info(
                "s3://%s/%s: %d archived objects (%s) are left out until they are restored.",
                self.bucket,
                self.prefix,
                archived,
                ", ".join(_ARCHIVES),
            )

    def contains(self, uri: str) -> bool:
        """Whether a document with that URI would be listed; its age is not checked."""
        bucket, key = split_uri(uri) if uri.startswith("s3://") else ("", "")
        return bucket == self.bucket and key.startswith(self.prefix) and self._matches(key)

    def _entries(self, client: Any) -> Iterator[dict[str, Any]]:
        where = {
            "Bucket": self.bucket,
            "Prefix": self.prefix,
            # Servers that have no archives ignore it.
            "OptionalObjectAttributes": ["RestoreStatus"],
        }
        if self.with_version_ids:
            for page in client.get_paginator("list_object_versions").paginate(**where):
                yield from (entry for entry in page.get("Versions", ()) if entry["IsLatest"])
        else:
            for page in client.get_paginator("list_objects_v2").paginate(**where):
                yield from page.get("Contents", ())

    def _matches(self, key: str) -> bool:
        return (
            not key.endswith("/")  # directory markers of consoles and file browsers
            and not is_export(key)
            and (self.suffixes is None or key.lower().endswith(self.suffixes))
            and (self.glob is None or fnmatch.fnmatchcase(key, self.glob))
        )

    def _ref(self, entry: dict[str, Any]) -> DocumentRef:
        return _reference(
            f"s3://{self.bucket}/{entry['Key']}",
            etag=entry["ETag"],
            version_id=entry.get("VersionId"),
            size=entry["Size"],
            last_modified=entry["LastModified"],
        )


class S3Source:
    """Fetches objects to local files.

    :param client: a boto3 S3 client.
    :param limits: limits of each document; the size is checked before the content is fetched.
    """

    def __init__(self, client: Any, limits: Limits) -> None:
        self._client, self._limits = client, limits

    def fetch(self, ref: DocumentRef, target: Path, wanted: Wanted) -> DocumentRef | None:
        """See :meth:`airflow_deepseek_ocr.sources.base.Source.fetch`.

        :raises DocumentError: ``missing_key``, ``archived``, ``encrypted_elsewhere``, ``storage_refused``,
            ``empty_file``, ``too_many_bytes``.
        :raises OverwrittenError: ``overwritten``.
        :raises ConfigurationError: ``s3_uri``.
        :raises UnavailableError: ``missing_bucket``, ``access_denied``, ``expired_credentials``,
            ``wrong_region``, ``storage_unavailable``, ``local_disk``.
        :raises OSError: any other error of the client, such as an unreadable credentials file.
        """
        if ref.version and not wanted(ref):
            return None
        bucket, key = split_uri(ref.uri)
        condition = {}
        if ref.version_id:
            condition["VersionId"] = ref.version_id
        elif ref.etag:
            condition["IfMatch"] = f'"{ref.etag}"'
        with clear_s3_errors(ref.uri):
            response = self._client.get_object(Bucket=bucket, Key=key, **condition)
            with closing(response["Body"]) as body:
                found = _reference(
                    ref.uri,
                    etag=response["ETag"],
                    # A version identified by its ETag keeps that identity.
                    version_id=(
                        None if ref.version and not ref.version_id else response.get("VersionId")
                    ),
                    size=response["ContentLength"],
                    last_modified=response["LastModified"],
                )
                if not ref.version and not wanted(found):
                    return None
                self._limits.check_bytes(response["ContentLength"])
                write_copy(ref.uri, body.iter_chunks(COPY_CHUNK_BYTES), target)
        return found


def _reference(
    uri: str, *, etag: str, version_id: str | None, size: int, last_modified: datetime
) -> DocumentRef:
    etag = etag.strip('"')
    # Unversioned buckets call their only version "null".
    version_id = None if version_id == "null" else version_id
    return DocumentRef(uri, version_id or etag, version_id, etag, size, last_modified)


def _is_restored(entry: dict[str, Any], now: datetime) -> bool:
    status = entry.get("RestoreStatus", {})
    expiry = status.get("RestoreExpiryDate")
    return not status.get("IsRestoreInProgress") and expiry is not None and expiry > now
