"""The servers of a chaos run, each behind a proxy, and how to take them away."""

from __future__ import annotations

import sqlite3
import sys
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import boto3
import botocore.config

from tests.chaos.proxy import Proxy, proxy
from tests.support.servers.airflow import aws_connection
from tests.support.servers.database import Database
from tests.support.servers.disk import Disk, small_disk
from tests.support.servers.mariadb import mariadb
from tests.support.servers.moto_s3 import ACCESS_KEY, REGION, SECRET_KEY, moto_process, start_moto
from tests.support.servers.mysql import mysql
from tests.support.servers.postgres import postgres
from tests.support.servers.process import (
    LOOPBACK,
    Process,
    ServerUnavailable,
    data_directory,
    free_port,
)
from tests.support.servers.s3 import S3Server

BUCKET = "documents"
#: Sizes of the disks that are filled up, in MiB: contents at the start, and room for a chaos run.
_DISKS = {"postgres": 128, "mariadb": 384, "mysql": 512, "sqlite": 48}
_WORKERS_DISK = 16
_SERVERS = {"postgres": postgres, "mariadb": mariadb, "mysql": mysql}
DATABASES = (*_SERVERS, "sqlite")


class Bucket:
    """An S3 server whose bucket is what this object says, also after the server was killed."""

    def __init__(self, process: Process, port: int, front: Proxy) -> None:
        self._process, self._port, self.proxy = process, port, front
        self.objects: dict[str, bytes] = {}
        self._client = boto3.client(
            "s3",
            endpoint_url=f"http://{LOOPBACK}:{port}",
            region_name=REGION,
            aws_access_key_id=ACCESS_KEY,
            aws_secret_access_key=SECRET_KEY,
            config=botocore.config.Config(max_pool_connections=8),
        )

    def connection(self) -> dict[str, Any]:
        """An Airflow connection to it."""
        server = S3Server(f"http://{LOOPBACK}:{self.proxy.port}", ACCESS_KEY, SECRET_KEY, REGION)
        return aws_connection(server)

    def fill(self, objects: Mapping[str, bytes]) -> None:
        """Store objects."""
        self.objects |= objects
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda item: self._put(*item), objects.items()))

    def start(self) -> None:
        """Start the server with all objects in place before the first client sees it."""
        start_moto(self._process, self._port)
        self._client.create_bucket(Bucket=BUCKET)
        self.fill(dict(self.objects))
        self.proxy.open()

    def kill(self) -> None:
        """Take the server away in the middle of whatever it does."""
        self.proxy.close()
        self._process.kill()

    def _put(self, key: str, body: bytes) -> None:
        self._client.put_object(Bucket=BUCKET, Key=key, Body=body)


class Results:
    """The results database.

    :param disk: what it is on, if it can be filled up.
    """

    def __init__(self, connection: dict[str, Any], url: str, disk: Disk | None) -> None:
        self.connection, self.url, self.disk = connection, url, disk

    def log(self) -> str:
        """What the server has written."""
        return ""

    def recover(self) -> None:
        """Wait until it answers, and restart a server that ended."""


class ResultsServer(Results):
    """A results database that can be taken away."""

    def __init__(self, server: Database, front: Proxy, disk: Disk | None = None) -> None:
        self._server, self.proxy = server, front
        super().__init__(
            {
                "conn_type": server.airflow_conn_type,
                "host": LOOPBACK,
                "port": front.port,
                "login": server.user,
                "password": server.password,
                "schema": server.name,
            },
            server.sqlalchemy_url,
            disk,
        )

    def kill(self) -> None:
        """Kill the server and all its processes."""
        self._server.kill()

    def start(self) -> None:
        """Bring it back."""
        self._server.start()

    def log(self) -> str:
        """See :meth:`Results.log`."""
        return self._server.log()

    def recover(self) -> None:
        """See :meth:`Results.recover`."""
        self._server.recover()


class ResultsFile(Results):
    """A SQLite file."""

    def __init__(self, path: Path, disk: Disk | None = None) -> None:
        self._path = path
        super().__init__({"conn_type": "sqlite", "host": str(path)}, f"sqlite:///{path}", disk)

    def lock(self, seconds: float) -> None:
        """Keep everybody from writing."""
        with closing(sqlite3.connect(self._path, timeout=30, isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            time.sleep(seconds)
            connection.execute("ROLLBACK")


@contextmanager
def bucket() -> Iterator[Bucket]:
    """A running S3 server with an empty bucket."""
    with data_directory() as directory, ExitStack() as stack:
        port = free_port()
        process = moto_process(directory, port)
        stack.callback(process.stop)
        made = Bucket(process, port, stack.enter_context(proxy(port)))
        made.start()
        yield made


@contextmanager
def results(kind: str, directory: Path) -> Iterator[Results]:
    """A running results database; ``kind`` is one of :data:`DATABASES`."""
    with maybe_disk(_DISKS[kind]) as disk:
        where = disk.path if disk else None
        if kind == "sqlite":
            yield ResultsFile((where or directory) / "results.db", disk)
            return
        with _SERVERS[kind](where) as server, proxy(server.port) as front:
            yield ResultsServer(server, front, disk)


@contextmanager
def workers_disk() -> Iterator[Disk | None]:
    """A disk for workers' temporary files, where there can be one."""
    with maybe_disk(_WORKERS_DISK) as disk:
        yield disk


@contextmanager
def maybe_disk(mebibytes: int) -> Iterator[Disk | None]:
    """A disk that can be filled up, or None and a word about it."""
    with ExitStack() as stack:
        try:
            disk = stack.enter_context(small_disk(mebibytes))
        except ServerUnavailable as error:
            print(f"No disk is filled up here: {error}", file=sys.stderr)
            disk = None
        yield disk
