"""Documents in S3: listing and fetching with a boto3 client."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import KW_ONLY, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from airflow_deepseek_ocr.exceptions import (
    ConfigurationError,
    DeepSeekOCRError,
    DocumentError,
    ErrorCode,
    UnavailableError,
)
from airflow_deepseek_ocr.ocr.documents.limits import Limits
from airflow_deepseek_ocr.ocr.documents.reference import DocumentRef
from airflow_deepseek_ocr.sources.base import COPY_CHUNK_BYTES, Wanted, overwritten, write_copy

#: Key suffixes of the supported types; by default a sensor ignores other keys.
DEFAULT_SUFFIXES = (".pdf", ".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".heic", ".heif")


#: The names and the ARNs of access points that botocore takes as a bucket.
_ARN = (
    r"arn:aws[\w-]*:s3(?:-outposts|-object-lambda)?:[a-z0-9-]*:\d{12}:"
    r"(?:outpost[/:][a-zA-Z0-9-]{1,63}[/:])?accesspoint[/:][a-zA-Z0-9.-]{1,63}"
)
_BUCKET = re.compile(rf"[a-zA-Z0-9._-]{{1,255}}|{_ARN}")
_ARN_AND_KEY = re.compile(rf"({_ARN})(?:/(.*))?", re.DOTALL)


def split_uri(uri: str) -> tuple[str, str]:
    """Return bucket and key of ``s3://bucket/key``; the bucket may be the ARN of an access point.

    :raises ConfigurationError: ``s3_uri`` if the URI has another form.
    """
    scheme, separator, rest = uri.partition("://")
    access_point = _ARN_AND_KEY.fullmatch(rest)
    bucket, _, key = rest.partition("/")
    if access_point:
        bucket, key = access_point[1], access_point[2] or ""
    if scheme.lower() != "s3" or not separator or not _BUCKET.fullmatch(bucket):
        raise ConfigurationError(
            ErrorCode.S3_URI,
            f"{uri!r} does not have the form s3://bucket/key. The bucket is a name, or the ARN of an access "
            "point.",
        )
    return bucket, key


def check_bucket(bucket: object) -> None:
    """Check the name of a bucket.

    :raises ConfigurationError: ``discovery_options`` unless it is a name, or the ARN of an access point.
    """
    if isinstance(bucket, str) and _BUCKET.fullmatch(bucket):
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
        takes all keys.
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

        :param client: a boto3 S3 client.
        :raises UnavailableError: ``missing_bucket``, ``access_denied``, ``storage_unavailable``.
        """
        newest = datetime.now(UTC) - self.minimum_age
        with clear_s3_errors(f"s3://{self.bucket}/{self.prefix}"):
            for entry in self._entries(client):
                if self._matches(entry["Key"]) and entry["LastModified"] <= newest:
                    yield self._ref(entry)

    def contains(self, uri: str) -> bool:
        """Whether a document with that URI would be listed; its age is not checked."""
        bucket, key = split_uri(uri) if uri.startswith("s3://") else ("", "")
        return bucket == self.bucket and key.startswith(self.prefix) and self._matches(key)

    def _entries(self, client: Any) -> Iterator[dict[str, Any]]:
        where = {"Bucket": self.bucket, "Prefix": self.prefix}
        if self.with_version_ids:
            for page in client.get_paginator("list_object_versions").paginate(**where):
                yield from (entry for entry in page.get("Versions", ()) if entry["IsLatest"])
        else:
            for page in client.get_paginator("list_objects_v2").paginate(**where):
                yield from page.get("Contents", ())

    def _matches(self, key: str) -> bool:
        return (
            not key.endswith("/")  # directory markers of consoles and file browsers
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

        :raises DocumentError: ``missing_key``, ``empty_file``, ``too_many_bytes``.
        :raises OverwrittenError: ``overwritten``.
        :raises UnavailableError: ``missing_bucket``, ``access_denied``, ``storage_unavailable``,
            ``local_disk``.
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


@contextmanager
def clear_s3_errors(uri: str) -> Iterator[None]:
    """Translate the errors of S3 into those of this package.

    The original errors are not chained: their tracebacks contain requests, which contain credentials.

    :param uri: the object or prefix, for error messages.
    :raises DocumentError: ``missing_key``.
    :raises OverwrittenError: ``overwritten``.
    :raises ConfigurationError: ``s3_uri``; a parameter is none that S3 takes.
    :raises UnavailableError: ``missing_bucket``, ``access_denied``, ``storage_unavailable``.
    """
    from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError

    try:
        yield
    except ClientError as error:
        raise _s3_error(uri, error) from None
    except ParamValidationError as error:
        raise ConfigurationError(
            ErrorCode.S3_URI, f"{uri} is no address that S3 takes: {error}. Change it."
        ) from None
    except (BotoCoreError, ConnectionError, TimeoutError) as error:
        raise UnavailableError(
            ErrorCode.STORAGE_UNAVAILABLE,
            f"{uri} cannot be reached: the S3 server does not answer ({error}). Check the endpoint and the "
            "credentials of the AWS connection, and the network.",
        ) from None


def _s3_error(uri: str, error: Any) -> DeepSeekOCRError:
    code = str(error.response.get("Error", {}).get("Code", ""))
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    if code in ("NoSuchBucket", "NoSuchAccessPoint"):
        return UnavailableError(
            ErrorCode.MISSING_BUCKET,
            f"{uri} cannot be read: there is no bucket {_bucket(uri)}. Check its name and the AWS "
            "connection.",
        )
    if code == "PreconditionFailed" or status == 412:
        return overwritten(uri)
    if code in ("NoSuchKey", "NoSuchVersion") or status == 404:
        return DocumentError(
            ErrorCode.MISSING_KEY,
            f"{uri} does not exist. It was deleted, or the key is misspelt.",
        )
    if status in (401, 403):
        return UnavailableError(
            ErrorCode.ACCESS_DENIED,
            f"{uri} cannot be read: S3 refuses access ({code}). The credentials of the AWS connection need "
            "s3:GetObject and s3:ListBucket.",
        )
    return UnavailableError(
        ErrorCode.STORAGE_UNAVAILABLE,
        f"{uri} cannot be read: S3 answers {code or status}. Try again later.",
    )


def _bucket(uri: str) -> str:
    try:
        return split_uri(uri)[0]
    except ConfigurationError:
        return "of that name"
