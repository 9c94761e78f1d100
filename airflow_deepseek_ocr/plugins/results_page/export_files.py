"""Files of exports: from S3 or directories, in the places that the API server allows and nowhere else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import unquote

from airflow_deepseek_ocr.airflow_support.connections import s3_client
from airflow_deepseek_ocr.airflow_support.results_page import EXPORTS
from airflow_deepseek_ocr.airflow_support.table_names import CONFIG_SECTION
from airflow_deepseek_ocr.connection.fields import DEFAULT_CONN_ID
from airflow_deepseek_ocr.exceptions import ConfigurationError, DocumentError, ErrorCode
from airflow_deepseek_ocr.regular_file import open_regular_file
from airflow_deepseek_ocr.sources.s3_errors import clear_s3_errors
from airflow_deepseek_ocr.sources.s3_uri import split_uri
from airflow_deepseek_ocr.targets.address import ExportAddress

_CHUNK = 256 * 1024
#: Parts of a key that a proxy or server may resolve, as a file system does. Names of exports have none.
_RELATIVE = (".", "..")


@dataclass(frozen=True)
class ExportFiles:
    """Opens the files that rows of ``ocr_exports`` name.

    Who may write to the results database could otherwise read Airflow's own configuration, and each object
    that the API server's connection to S3 may read.

    :param aws_conn_id: connection to S3.
    :param places: prefixes of buckets, and directories of this host.
    :param client: returns an S3 client of a connection.
    """

    aws_conn_id: str
    places: tuple[ExportAddress, ...] = ()
    client: Callable[[str], Any] = s3_client

    def chunks(self, uri: str) -> Iterator[bytes]:
        """Open a file, and return an iterator over its content, which closes it.

        :raises ConfigurationError: ``access_denied`` if the file is outside of the places; ``connection``.
        :raises DocumentError: ``missing_file``, ``missing_key``, ``unsupported_scheme``.
        :raises UnavailableError: ``access_denied``, ``storage_unavailable`` and the like.
        """
        scheme, _, rest = uri.partition("://")
        if scheme.lower() == "s3":
            return self._s3(uri)
        if scheme.lower() == "file":
            return self._file(uri, unquote(rest))
        raise DocumentError(
            ErrorCode.UNSUPPORTED_SCHEME,
            "The export is neither in S3 nor a file, and this page opens no others. Fetch it from its place.",
        )

    def _s3(self, uri: str) -> Iterator[bytes]:
        bucket, key = split_uri(uri)
        is_allowed = any(
            each.bucket == bucket and key.startswith(each.path) for each in self.places
        )
        if not is_allowed or not key or any(part in _RELATIVE for part in key.split("/")):
            raise _outside(
                uri, "s3://bucket/prefix", f", or make it export_to of {DEFAULT_CONN_ID}"
            )
        with clear_s3_errors(uri):
            body = self.client(self.aws_conn_id).get_object(Bucket=bucket, Key=key)["Body"]
        return _read(body)

    def _file(self, uri: str, path: str) -> Iterator[bytes]:
        real = _resolved(path) if path.startswith("/") and "\0" not in path else None
        if real is None or not self._contain(real):
            raise _outside(uri, "/directory")
        try:
            opened = open_regular_file(real)
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else f"it {error}"
            raise DocumentError(
                ErrorCode.MISSING_FILE,
                f"The export {real.name} cannot be opened on the API server ({reason}). Its directory must "
                "be mounted there.",
            ) from None
        # A directory may have become a link after it was resolved.
        if not self._contain(_opened_path(opened)):
            opened.close()
            raise _outside(uri, "/directory")
        return _read(opened)

    def _contain(self, real: Path) -> bool:
        directories = [_resolved(each.path) for each in self.places if not each.bucket]
        return any(each is not None and real.is_relative_to(each) for each in directories)


def _resolved(path: str) -> Path | None:
    """Return the path without links; None if it has none."""
    try:
        return Path(path).resolve()
    # Links in a circle, before Python 3.13; a name without an encoding.
    except (RuntimeError, ValueError):
        return None


def _opened_path(file: BinaryIO) -> Path:
    return Path(f"/proc/self/fd/{file.fileno()}").readlink()


def _outside(uri: str, example: str, other: str = "") -> ConfigurationError:
    return ConfigurationError(
        ErrorCode.ACCESS_DENIED,
        f"The export {uri} is outside of the places from which the API server sends files. Add its place, "
        f"such as {example}, to [{CONFIG_SECTION}] {EXPORTS} there{other}, or fetch it from its place.",
    )


def _read(opened: Any) -> Iterator[bytes]:
    with closing(opened):
        while chunk := opened.read(_CHUNK):
            yield chunk
