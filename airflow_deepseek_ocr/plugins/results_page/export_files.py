"""Files of exports: from S3 with the API server's connection, or from directories that its setting names."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from airflow_deepseek_ocr.airflow_support.connections import s3_client
from airflow_deepseek_ocr.airflow_support.results_page import DIRECTORIES
from airflow_deepseek_ocr.airflow_support.table_names import CONFIG_SECTION
from airflow_deepseek_ocr.exceptions import ConfigurationError, DocumentError, ErrorCode
from airflow_deepseek_ocr.sources.s3_errors import clear_s3_errors
from airflow_deepseek_ocr.sources.s3_uri import split_uri

_CHUNK = 256 * 1024


@dataclass(frozen=True)
class ExportFiles:
    """Opens the files that rows of ``ocr_exports`` name.

    A file of the API server's host is opened only inside of the given directories: who may write to the
    results database could otherwise read Airflow's own configuration.

    :param aws_conn_id: connection to S3.
    :param directories: directories of this host.
    :param client: returns an S3 client of a connection.
    """

    aws_conn_id: str
    directories: tuple[Path, ...] = ()
    client: Callable[[str], Any] = s3_client

    def chunks(self, uri: str) -> Iterator[bytes]:
        """Open a file, and return an iterator over its content, which closes it.

        :raises ConfigurationError: ``access_denied`` if no setting allows the directory; ``connection``.
        :raises DocumentError: ``missing_file``, ``missing_key``, ``unsupported_scheme``.
        :raises UnavailableError: ``access_denied``, ``storage_unavailable`` and the like.
        """
        parts = urlsplit(uri)
        if parts.scheme == "s3":
            return self._s3(uri)
        if parts.scheme == "file":
            return self._file(unquote(parts.path))
        raise DocumentError(
            ErrorCode.UNSUPPORTED_SCHEME,
            f"The export is at {parts.scheme}:, which this page does not open. Fetch it from there.",
        )

    def _s3(self, uri: str) -> Iterator[bytes]:
        bucket, key = split_uri(uri)
        with clear_s3_errors(uri):
            body = self.client(self.aws_conn_id).get_object(Bucket=bucket, Key=key)["Body"]
        return _read(body)

    def _file(self, path: str) -> Iterator[bytes]:
        real = None if "\0" in path else Path(path).resolve()
        allowed = [each.resolve() for each in self.directories]
        if real is None or not any(real.is_relative_to(each) for each in allowed):
            raise ConfigurationError(
                ErrorCode.ACCESS_DENIED,
                f"The export is a file outside of the directories that [{CONFIG_SECTION}] {DIRECTORIES} "
                "allows on the API server. Add its directory there, or fetch it from its host.",
            )
        try:
            # Opening a named pipe would wait for its writer.
            if not real.is_file():
                raise FileNotFoundError(errno.ENOENT, "no such file")
            opened = real.open("rb")
        except OSError as error:
            raise DocumentError(
                ErrorCode.MISSING_FILE,
                f"The export {real.name} cannot be opened on the API server ({error.strerror}). Its "
                "directory must be mounted there.",
            ) from None
        return _read(opened)


def _read(opened: Any) -> Iterator[bytes]:
    with closing(opened):
        while chunk := opened.read(_CHUNK):
            yield chunk
