"""Files of exports in S3 and in directories."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from airflow_deepseek_ocr.exceptions import ConfigurationError, DocumentError, ErrorCode
from airflow_deepseek_ocr.plugins.results_page import export_files
from airflow_deepseek_ocr.plugins.results_page.export_files import ExportFiles
from airflow_deepseek_ocr.targets.address import parse_address


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

    files = ExportFiles("aws", (parse_address("s3://exports/a b"),), client)
    pieces = list(files.chunks("s3://exports/a b/all#1.json"))
    assert b"".join(pieces) == b"{}" * 200_000
    assert len(pieces) == 2
    assert asked == ["aws"]
    with pytest.raises(DocumentError) as missing:
        files.chunks("s3://exports/a b/none.json")
    assert missing.value.code == ErrorCode.MISSING_KEY


@pytest.mark.parametrize(
    "uri",
    [
        "s3://others/ocr/a.json",
        "s3://exports/private/a.json",
        "s3://exports/ocr",
        "s3://exports/ocr-private/a.json",
        "s3://exports/ocr/../private/a.json",
        "s3://exports/ocr/./../private/a.json",
        "s3://exports/OCR/a.json",
        "s3://EXPORTS/ocr/a.json",
        "s3://exports//ocr/a.json",
        "s3://exports/",
        "s3://exports",
        "S3://private/ocr/a.json",
        "s3://arn:aws:s3:eu-west-1:123456789012:accesspoint/exports/ocr/a.json",
        "s3://exports@private/ocr/a.json",
        "s3://[exports/ocr/a.json",
        "s3://exports\n/ocr/a.json",
        "s3:///ocr/a.json",
    ],
)
def test_objects_outside_of_the_places_are_not_asked_for(uri: str) -> None:
    def client(_: str) -> Client:
        raise AssertionError

    for places in ((), (parse_address("s3://exports/ocr"), parse_address("/ocr"))):
        with pytest.raises(ConfigurationError):
            ExportFiles("aws", places, client).chunks(uri)


def test_the_remedy_is_named() -> None:
    with pytest.raises(
        ConfigurationError, match=r"results_page_exports.*deepseek_ocr_default"
    ) as no:
        ExportFiles("aws").chunks("s3://others/ocr/a.json")
    assert no.value.code == ErrorCode.ACCESS_DENIED
    # The prefix of a place ends with a slash; a bucket may be a place as a whole.
    whole = ExportFiles("aws", (parse_address("s3://exports"),), lambda _: Client())
    assert b"".join(whole.chunks("s3://exports/a b/all#1.json"))


def test_a_directory_that_becomes_a_link_meanwhile_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "exports" / "a").mkdir(parents=True)
    (tmp_path / "secrets").mkdir()
    for directory in (tmp_path / "exports" / "a", tmp_path / "secrets"):
        (directory / "x.json").write_bytes(b"{}")
    open_file = export_files.open_regular_file

    def exchanged(path: Path) -> Any:
        (tmp_path / "exports" / "a").rename(tmp_path / "exports" / "b")
        (tmp_path / "exports" / "a").symlink_to(tmp_path / "secrets")
        return open_file(path)

    monkeypatch.setattr(export_files, "open_regular_file", exchanged)
    with pytest.raises(ConfigurationError, match="outside"):
        files = ExportFiles("aws", (parse_address(str(tmp_path / "exports")),))
        files.chunks(f"file://{tmp_path}/exports/a/x.json")


def test_files_are_sent_from_allowed_directories_only(tmp_path: Path) -> None:
    allowed = tmp_path / "exports"
    allowed.mkdir()
    (allowed / "a.json").write_bytes(b"{}")
    (tmp_path / "airflow.cfg").write_bytes(b"secret")
    (allowed / "link").symlink_to(tmp_path / "airflow.cfg")
    (allowed / "circle").symlink_to("circle")
    places = (str(allowed / "circle"), str(allowed), "s3://exports")
    files = ExportFiles("aws", tuple(map(parse_address, places)))
    assert b"".join(files.chunks(f"file://{allowed}/a.json")) == b"{}"
    for outside in (
        f"{allowed}/../airflow.cfg",
        f"{allowed}/link",
        f"{allowed}/%2e%2e/airflow.cfg",
        f"{allowed}/a.json%00",
        f"host{allowed}/a.json",
        f"[{allowed}/a.json",
        "",
        "/",
        "/proc/self/environ",
    ):
        with pytest.raises(ConfigurationError):
            files.chunks(f"file://{outside}")
    with pytest.raises(ConfigurationError):
        ExportFiles("aws").chunks(f"file://{allowed}/a.json")
    for no_path in (f"{allowed}/circle", f"{allowed}/circle/a.json", f"{allowed}/\ud800"):
        with pytest.raises((ConfigurationError, DocumentError)):
            files.chunks(f"file://{no_path}")
    os.mkfifo(allowed / "pipe")
    for no_file in ("pipe", ""):
        with pytest.raises(DocumentError):
            files.chunks(f"file://{allowed}/{no_file}")
    with pytest.raises(DocumentError) as gone:
        files.chunks(f"file://{allowed}/none.json")
    assert gone.value.code == ErrorCode.MISSING_FILE


def test_other_places_are_refused() -> None:
    for uri in (
        "http://169.254.169.254/latest",
        "gs://bucket/a",
        "/etc/passwd",
        "",
        "\0",
        "fi\nle:///etc/passwd",
    ):
        with pytest.raises(DocumentError) as refused:
            ExportFiles("aws").chunks(uri)
        assert refused.value.code == ErrorCode.UNSUPPORTED_SCHEME
