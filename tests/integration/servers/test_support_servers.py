"""The servers that other tests rely on are real: they store, they refuse, they go and come back."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any

import boto3
import pytest
import sqlalchemy
from botocore.config import Config
from botocore.exceptions import ClientError
from sqlalchemy.exc import OperationalError

from tests.support.servers.ceph_rgw import CephRGW, ceph_rgw
from tests.support.servers.database import Database
from tests.support.servers.mariadb import mariadb
from tests.support.servers.moto_s3 import moto_s3
from tests.support.servers.mysql import mysql
from tests.support.servers.postgres import postgres
from tests.support.servers.process import (
    Process,
    ServerUnavailable,
    find_program,
    free_port,
    run_tool,
    wait_until,
)
from tests.support.servers.s3 import S3Server

TEXT = "h\u00e9llo \u6f22\u5b57 \U0001f600"
MIB = 1024 * 1024


def started(server: Callable[[], AbstractContextManager[Any]]) -> Generator[Any, None, None]:
    """What ``server`` yields; skips where it is not installed."""
    with ExitStack() as stack:
        try:
            value = stack.enter_context(server())
        except ServerUnavailable as error:
            pytest.skip(str(error))
        yield value


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(postgres, id="postgres"),
        pytest.param(mariadb, id="mariadb"),
        pytest.param(mysql, id="mysql", marks=pytest.mark.slow),
    ],
)
def database(request: pytest.FixtureRequest) -> Iterator[Database]:
    yield from started(request.param)


@pytest.fixture(scope="module")
def moto() -> Iterator[S3Server]:
    yield from started(moto_s3)


@pytest.fixture(scope="module")
def ceph() -> Iterator[CephRGW]:
    yield from started(ceph_rgw)


def s3_client(server: S3Server, access_key: str = "", secret_key: str = "") -> Any:
    return boto3.client(
        "s3",
        endpoint_url=server.endpoint_url,
        aws_access_key_id=access_key or server.access_key,
        aws_secret_access_key=secret_key or server.secret_key,
        region_name=server.region,
        config=Config(proxies={}, retries={"total_max_attempts": 1}),
    )


def error_of(call: Callable[..., object], **arguments: object) -> tuple[int, str]:
    """The HTTP status and S3 error code with which a call fails."""
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    response = caught.value.response
    return response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Code"]


class TestDatabases:
    def test_executes_sql_and_keeps_any_unicode(self, database: Database) -> None:
        engine = sqlalchemy.create_engine(database.sqlalchemy_url)
        table = sqlalchemy.Table(
            "page",
            sqlalchemy.MetaData(),
            sqlalchemy.Column("id", sqlalchemy.Integer, primary_key=True),
            sqlalchemy.Column("text", sqlalchemy.Text, nullable=False),
        )
        table.create(engine)
        with engine.begin() as connection:
            connection.execute(table.insert(), [{"id": 1, "text": TEXT}, {"id": 2, "text": ""}])
        with engine.connect() as connection:
            rows = connection.execute(sqlalchemy.select(table).order_by(table.c.id)).all()
        table.drop(engine)
        assert [tuple(row) for row in rows] == [(1, TEXT), (2, "")]
        assert (
            engine.dialect.name
            == {"postgres": "postgresql", "mysql": "mysql"}[database.airflow_conn_type]
        )
        assert (engine.url.host, engine.url.port) == (database.host, database.port)
        assert (engine.url.username, engine.url.password) == (database.user, database.password)
        assert engine.url.database == database.name

    def test_refuses_a_wrong_password(self, database: Database) -> None:
        url = sqlalchemy.make_url(database.sqlalchemy_url).set(password="wrong")
        with pytest.raises(OperationalError, match=r"(?i)password|denied"):
            sqlalchemy.create_engine(url).connect()

    def test_goes_away_and_comes_back_with_its_data(self, database: Database) -> None:
        engine = sqlalchemy.create_engine(database.sqlalchemy_url)
        with engine.begin() as connection:
            connection.execute(sqlalchemy.text("CREATE TABLE kept (id INTEGER)"))
            connection.execute(sqlalchemy.text("INSERT INTO kept VALUES (7)"))
        with engine.connect() as connection:
            connection.execute(sqlalchemy.text("SELECT 1"))
            database.stop()
            assert database._process.exit_status != -signal.SIGKILL, "an open connection blocked it"
            with pytest.raises(OperationalError):
                connection.execute(sqlalchemy.text("SELECT 1"))
        with pytest.raises(OperationalError):
            engine.connect()
        database.stop()  # once more changes nothing

        database.start()
        with engine.begin() as connection:
            assert connection.scalar(sqlalchemy.text("SELECT id FROM kept")) == 7
            connection.execute(sqlalchemy.text("DROP TABLE kept"))

    def test_start_of_a_running_server_is_an_error(self, database: Database) -> None:
        with pytest.raises(RuntimeError, match="running already"):
            database.start()

    def test_secrets_stay_out_of_the_representation(self, database: Database) -> None:
        assert database.password not in repr(database)


class TestMoto:
    def test_puts_gets_and_lists(self, moto: S3Server) -> None:
        client = s3_client(moto)
        client.create_bucket(Bucket="scans")
        client.put_object(Bucket="scans", Key="a/b c.pdf", Body=TEXT.encode())
        assert client.get_object(Bucket="scans", Key="a/b c.pdf")["Body"].read() == TEXT.encode()
        listed = client.list_objects_v2(Bucket="scans", Prefix="a/")["Contents"]
        assert [entry["Key"] for entry in listed] == ["a/b c.pdf"]
        assert error_of(client.get_object, Bucket="scans", Key="no") == (404, "NoSuchKey")

    def test_two_servers_share_nothing(self, moto: S3Server) -> None:
        s3_client(moto).create_bucket(Bucket="only-here")
        with moto_s3() as second:
            assert second.endpoint_url != moto.endpoint_url
            assert s3_client(second).list_buckets()["Buckets"] == []


@pytest.mark.slow
class TestCephRGW:
    @pytest.fixture
    def bucket(self, ceph: CephRGW, request: pytest.FixtureRequest) -> str:
        name = str(request.node.name).removeprefix("test_").replace("_", "-")
        s3_client(ceph).create_bucket(Bucket=name)
        return name

    def test_keeps_objects_and_versions(self, ceph: CephRGW, bucket: str) -> None:
        client = s3_client(ceph)
        client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        key = f"a b/{TEXT}.pdf"
        versions = [
            client.put_object(Bucket=bucket, Key=key, Body=body)["VersionId"]
            for body in (b"one", b"two")
        ]
        assert client.get_object(Bucket=bucket, Key=key)["Body"].read() == b"two"
        first = client.get_object(Bucket=bucket, Key=key, VersionId=versions[0])
        assert first["Body"].read() == b"one"

    def test_rejects_a_wrong_secret(self, ceph: CephRGW) -> None:
        impostor = s3_client(ceph, secret_key="wrong")
        assert error_of(impostor.list_buckets) == (403, "SignatureDoesNotMatch")
        stranger = s3_client(ceph, access_key="unknown")
        assert error_of(stranger.list_buckets) == (403, "InvalidAccessKeyId")

    def test_etag_of_a_multipart_upload_has_a_dash(self, ceph: CephRGW, bucket: str) -> None:
        client = s3_client(ceph)
        target = {"Bucket": bucket, "Key": "large.tif"}
        parts = [os.urandom(5 * MIB), os.urandom(MIB)]
        upload = client.create_multipart_upload(**target)["UploadId"]
        done = [
            {
                "PartNumber": number,
                "ETag": client.upload_part(**target, UploadId=upload, PartNumber=number, Body=part)[
                    "ETag"
                ],
            }
            for number, part in enumerate(parts, start=1)
        ]
        client.complete_multipart_upload(**target, UploadId=upload, MultipartUpload={"Parts": done})
        assert client.head_object(**target)["ETag"].strip('"').endswith("-2")
        assert client.get_object(**target)["Body"].read() == b"".join(parts)

    def test_lists_more_than_a_thousand_keys_in_pages(self, ceph: CephRGW, bucket: str) -> None:
        client = s3_client(ceph)
        keys = [f"page-{number:04}.png" for number in range(1005)]
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda key: client.put_object(Bucket=bucket, Key=key, Body=b"x"), keys))
        pages = list(client.get_paginator("list_objects_v2").paginate(Bucket=bucket))
        assert [page["KeyCount"] for page in pages] == [1000, 5]
        assert [entry["Key"] for page in pages for entry in page["Contents"]] == keys

    def test_other_user_is_denied(self, ceph: CephRGW, bucket: str) -> None:
        s3_client(ceph).put_object(Bucket=bucket, Key="private.pdf", Body=b"x")
        other = s3_client(ceph, ceph.other_access_key, ceph.other_secret_key)
        target = {"Bucket": bucket, "Key": "private.pdf"}
        denied = (403, "AccessDenied")
        assert error_of(other.get_object, **target) == denied
        assert error_of(other.put_object, **target, Body=b"y") == denied
        assert error_of(other.list_objects_v2, Bucket=bucket) == denied
        assert other.list_buckets()["Buckets"] == []


class TestProcess:
    def test_a_failed_test_leaves_no_directory_and_no_process(self) -> None:
        servers = started(postgres)
        process = next(servers)._process
        assert process.exit_status is None
        assert process.cwd.is_dir()
        with pytest.raises(ZeroDivisionError):
            servers.throw(ZeroDivisionError)
        assert process.exit_status is not None
        assert not process.cwd.exists()

    def test_kills_what_does_not_stop(self, tmp_path: Path) -> None:
        deaf = "trap '' TERM; echo deaf; while :; do sleep 1; done"
        process = Process(["sh", "-c", deaf], tmp_path, tmp_path / "log")
        process.start()
        wait_until(lambda: "deaf" in process.log_tail(), 10, "deaf", process)
        process.stop(timeout_s=0.2)
        assert process.exit_status == -signal.SIGKILL

    def test_errors_show_the_end_of_the_log(self, tmp_path: Path) -> None:
        process = Process(["sh", "-c", "echo broken; exit 3"], tmp_path, tmp_path / "log")
        process.start()
        with pytest.raises(RuntimeError, match=r"answers: ended with status 3\nbroken"):
            wait_until(lambda: False, 10, "answers", process)

        process = Process(["sh", "-c", "echo slow; sleep 60"], tmp_path, tmp_path / "log2")
        process.start()
        try:
            with pytest.raises(TimeoutError, match=r"answers: not in 0.5 s\nslow"):
                wait_until(lambda: False, 0.5, "answers", process)
        finally:
            process.stop()

        with pytest.raises(RuntimeError, match="exit status 1\nno"):
            run_tool(["sh", "-c", "echo no; exit 1"], tmp_path)

    def test_a_missing_program_names_its_packages(self) -> None:
        with pytest.raises(ServerUnavailable, match=r"apt-get install .* some-package$"):
            find_program("no-such-program", "some-package")

    def test_ports_differ_and_are_free(self) -> None:
        assert len({free_port() for _ in range(20)}) > 15

    def test_a_server_dies_with_its_killed_parent(self, tmp_path: Path) -> None:
        script = """
import sys, time
from pathlib import Path
from tests.support.servers.process import Process
directory = Path(sys.argv[1])
process = Process(["sleep", "60"], directory, directory / "log")
process.start()
print(process.pid, flush=True)
time.sleep(60)
"""
        root = Path(__file__).parents[3]
        parent = subprocess.Popen(
            [sys.executable, "-c", script, str(tmp_path)], cwd=root, stdout=subprocess.PIPE
        )
        assert parent.stdout is not None
        server = Path("/proc", parent.stdout.readline().decode().strip(), "stat")
        deadline = time.monotonic() + 10
        while "(sleep)" not in server.read_text():  # until setpriv has become sleep
            assert time.monotonic() < deadline
            time.sleep(0.02)
        parent.kill()
        parent.communicate()
        deadline = time.monotonic() + 10
        while server.exists() and server.read_text().split()[2] != "Z":
            assert time.monotonic() < deadline
            time.sleep(0.05)
