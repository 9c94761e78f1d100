"""The address of a place for exports, and its distance from the documents."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from airflow_deepseek_ocr.exceptions import ConfigurationError, ErrorCode
from airflow_deepseek_ocr.sources.s3_uri import split_uri
from airflow_deepseek_ocr.targets.base import ExportTarget
from airflow_deepseek_ocr.targets.directory import DirectoryTarget
from airflow_deepseek_ocr.targets.s3 import S3Target


@dataclass(frozen=True)
class ExportAddress:
    """A prefix of a bucket, or a directory.

    :param bucket: the bucket; empty for a directory.
    :param path: the prefix with ``/`` at its end, or the directory's absolute path with one.
    """

    bucket: str
    path: str

    def open(self, s3_client: Callable[[], Any]) -> ExportTarget:
        """Return the place.

        :param s3_client: returns a boto3 S3 client; called for a bucket only.
        """
        if self.bucket:
            return S3Target(s3_client(), self.bucket, self.path)
        return DirectoryTarget(Path(self.path))

    def require_apart(self, uris: Iterable[str], prefix: str | None = None) -> None:
        """Refuse a place that is beside the documents, where listings of documents would find exports.

        :param uris: addresses of documents.
        :param prefix: ``s3://bucket/prefix`` whose documents are read.
        :raises ConfigurationError: ``export_to``.
        """
        if prefix is not None:
            bucket, key = split_uri(prefix)
            if bucket == self.bucket and (self.path.startswith(key) or key.startswith(self.path)):
                raise self._beside(prefix)
        for uri in uris:
            bucket, key = _place_of(uri)
            directory = key.rpartition("/")[0] + "/" if "/" in key else ""
            if bucket == self.bucket and (
                self.path.startswith(directory) or key.startswith(self.path)
            ):
                raise self._beside(uri)

    def _beside(self, uri: str) -> ConfigurationError:
        return ConfigurationError(
            ErrorCode.EXPORT_TO,
            f"Exports to {self} would lie beside the documents, such as {uri}, where the next listing finds "
            "them. Choose another bucket, or a prefix that is not below that of the documents.",
        )

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.path}" if self.bucket else self.path


def parse_address(text: str) -> ExportAddress:
    """Return the address of a place for exports.

    :param text: ``s3://bucket/prefix``, ``file:///path``, or the absolute path of a directory.
    :raises ConfigurationError: ``export_to``, ``s3_uri``.
    """
    text = text.strip()
    if text.lower().startswith("s3://"):
        bucket, key = split_uri(text)
        key = key.strip("/")
        return ExportAddress(bucket, f"{key}/" if key else "")
    path = text
    if text.lower().startswith("file://"):
        parts = urlsplit(text)
        is_path = parts.netloc in ("", "localhost") and not parts.query and not parts.fragment
        path = unquote(parts.path) if is_path else ""
    if not path.startswith("/"):
        raise ConfigurationError(
            ErrorCode.EXPORT_TO,
            f"{text!r} is no place for exports. Write s3://bucket/prefix, or the absolute path of a "
            "directory that all workers share. In file:// addresses, ? and # are %3F and %23.",
        )
    # Without "..": addresses of documents are compared with it.
    return ExportAddress("", os.path.normpath(path).rstrip("/") + "/")


def _place_of(uri: str) -> tuple[str, str]:
    """Return bucket and key of a document, or an empty bucket and a path; other storages have neither."""
    scheme, _, rest = uri.partition("://")
    # As sources read them: schemes in any case, files of this host with or without its name.
    scheme = scheme.lower()
    if scheme == "s3":
        return split_uri(uri)
    if scheme == "file":
        host, slash, path = rest.partition("/")
        is_here = host.lower() in ("", "localhost")
        return ("" if is_here else f"file://{host}"), os.path.normpath(unquote(slash + path))
    return f"{scheme}:", rest
