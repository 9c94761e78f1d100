"""Exports in S3."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import quote

from airflow_deepseek_ocr.exceptions import DocumentError, ErrorCode, UnavailableError
from airflow_deepseek_ocr.sources.s3_errors import WRITE, clear_s3_errors

#: Texts, which browsers take for Latin-1 without this.
_TEXTS = ("text/", "application/json", "application/x-ndjson")


class S3Target:
    """Writes exports to S3; a put is atomic there.

    :param client: a boto3 S3 client.
    :param bucket: the bucket.
    :param prefix: precedes all names; empty, or with ``/`` at its end.
    """

    def __init__(self, client: Any, bucket: str, prefix: str) -> None:
        self._client, self._bucket, self._prefix = client, bucket, prefix

    def uri(self, name: str) -> str:
        """See :meth:`ExportTarget.uri`."""
        return f"s3://{self._bucket}/{self._prefix}{name}"

    def put(self, name: str, content: bytes | Path, media_type: str) -> None:
        """See :meth:`ExportTarget.put`.

        :raises UnavailableError: ``missing_bucket``, ``access_denied``, ``expired_credentials``,
            ``wrong_region``, ``storage_unavailable``.
        :raises DocumentError: ``storage_refused``.
        """
        if isinstance(content, Path):
            with content.open("rb") as file:
                self._put(name, file, media_type)
        else:
            self._put(name, content, media_type)

    def read(self, name: str) -> bytes | None:
        """See :meth:`ExportTarget.read`.

        :raises UnavailableError: as :meth:`put` does.
        """
        try:
            with clear_s3_errors(self.uri(name), WRITE):
                answer = self._client.get_object(Bucket=self._bucket, Key=self._prefix + name)
                with answer["Body"] as body:
                    return bytes(body.read())
        except DocumentError as error:
            if error.code == ErrorCode.MISSING_KEY:
                return None
            raise
        except UnavailableError as error:
            # Without the right to list the bucket, S3 denies access to keys that do not exist.
            if error.code == ErrorCode.ACCESS_DENIED:
                return None
            raise

    def remove(self, name: str) -> None:
        """See :meth:`ExportTarget.remove`.

        :raises UnavailableError: as :meth:`put` does.
        """
        with clear_s3_errors(self.uri(name), WRITE):
            self._client.delete_object(Bucket=self._bucket, Key=self._prefix + name)

    def _put(self, name: str, body: Any, media_type: str) -> None:
        file_name = name.rpartition("/")[2]
        kind = f"{media_type}; charset=utf-8" if media_type.startswith(_TEXTS) else media_type
        with clear_s3_errors(self.uri(name), WRITE):
            self._client.put_object(
                Bucket=self._bucket,
                Key=self._prefix + name,
                Body=body,
                ContentType=kind,
                # No browser shows it unasked: text of a document may be a script.
                ContentDisposition=f"attachment; filename*=UTF-8''{quote(file_name, safe='')}",
            )
