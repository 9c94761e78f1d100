"""Files of exports in S3 and in directories."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from airflow_deepseek_ocr.exceptions import ConfigurationError, DocumentError, ErrorCode
from airflow_deepseek_ocr.plugins.results_page.export_files import ExportFiles


class Client:
    """An S3 client with one object."""

    def get_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:  # noqa: N803 -- boto3's
        if (Bucket, Key) != ("exports", "a b/all#1.json"):
            error = {"Error": {"Code": "NoSuchKey"}, "ResponseMetadata": {"HTTPStatusCode": 404}}
            raise ClientError(error, "GetObject")  # type: ignore[arg-type]
        return {"Body": io.BytesIO(b"{}" * 200_000)}


def test_an_object_of_s3_comes_in_pieces() -> None:
    asked: list[str] = []

    def client(conn_id: str) -> Client:
        asked.append(conn_id)
        return Client()

    files = ExportFiles("aws", client=client)
    pieces = list(files.chunks("s3://exports/a b/all#1.json"))
    assert b"".join(pieces) == b"{}" * 200_000
    assert len(pieces) == 2
    assert asked == ["aws"]
    with pytest.raises(DocumentError) as missing:
        files.chunks("s3://exports/none.json")
    assert missing.value.code == ErrorCode.MISSING_KEY


def test_files_are_sent_from_allowed_directories_only(tmp_path: Path) -> None:
    allowed = tmp_path / "exports"
    allowed.mkdir()
    (allowed / "a.json").write_bytes(b"{}")
    (tmp_path / "airflow.cfg").write_bytes(b"secret")
    (allowed / "link").symlink_to(tmp_path / "airflow.cfg")
    files = ExportFiles("aws", (allowed,))
    assert b"".join(files.chunks(f"file://{allowed}/a.json")) == b"{}"
    for outside in (
        f"{allowed}/../airflow.cfg",
        f"{allowed}/link",
        f"{allowed}/%2e%2e/airflow.cfg",
        f"{allowed}/a.json%00",
    ):
        with pytest.raises(ConfigurationError):
            files.chunks(f"file://{outside}")
    with pytest.raises(ConfigurationError):
        ExportFiles("aws").chunks(f"file://{allowed}/a.json")
    os.mkfifo(allowed / "pipe")
    for no_file in ("pipe", ""):
        with pytest.raises(DocumentError):
            files.chunks(f"file://{allowed}/{no_file}")
    with pytest.raises(DocumentError) as gone:
        files.chunks(f"file://{allowed}/none.json")
    assert gone.value.code == ErrorCode.MISSING_FILE


def test_other_places_are_refused() -> None:
    for uri in ("http://169.254.169.254/latest", "gs://bucket/a", "/etc/passwd", ""):
        with pytest.raises(DocumentError) as refused:
            ExportFiles("aws").chunks(uri)
        assert refused.value.code == ErrorCode.UNSUPPORTED_SCHEME
