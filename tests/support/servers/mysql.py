"""MySQL, from a directory that tools/mysql-environment has filled."""

from __future__ import annotations

import os
import platform
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.conftest import ROOT

from .database import Database
from .process import LOOPBACK, Process, ServerUnavailable, data_directory, free_port, run_tool

USER = NAME = "ocr"
_PLACE = ROOT / ".mysql" / "root" / "usr"


@contextmanager
def mysql(disk: Path | None = None) -> Iterator[Database]:
    """A MySQL server with one utf8mb4 database.

    :param disk: directory for its data; a temporary one if None. There it writes no log for replicas: for
        that one it waits a minute, again and again, when the disk is full, and all clients with it.

    Raises ServerUnavailable where MySQL is not there, and RuntimeError, TimeoutError or
    subprocess.TimeoutExpired where it does not start.
    """
    if not (_PLACE / "sbin" / "mysqld").exists():
        raise ServerUnavailable("MySQL is missing: make .mysql/root")
    libraries = _PLACE / "lib" / f"{platform.machine()}-linux-gnu"
    # Its C library is not this host's, and so its loader is not.
    server = [
        str(next(libraries.glob("ld-linux-*.so.*"))),
        "--library-path",
        f"{libraries}:{_PLACE / 'lib' / 'mysql' / 'private'}",
        str(_PLACE / "sbin" / "mysqld"),
        "--no-defaults",
        f"--basedir={_PLACE}",
        f"--lc-messages-dir={_PLACE / 'share' / 'mysql'}",
        *(["--user=root"] if os.geteuid() == 0 else []),
    ]
    with data_directory() as directory:
        password, port = secrets.token_hex(16), free_port()
        data = f"--datadir={(disk or directory) / 'data'}"
        run_tool([*server, "--initialize-insecure", data], directory)
        # Run at each start, before the first connection; one statement a line.
        at_start = directory / "at_start.sql"
        at_start.write_text(
            f"CREATE DATABASE IF NOT EXISTS {NAME};\n"
            f"CREATE USER IF NOT EXISTS {USER}@'%' IDENTIFIED BY '{password}';\n"
            f"GRANT ALL ON {NAME}.* TO {USER}@'%';\n"
        )
        process = Process(
            [
                *server,
                data,
                f"--tmpdir={directory}",
                f"--init-file={at_start}",
                f"--bind-address={LOOPBACK}",
                f"--port={port}",
                "--mysqlx=OFF",
                "--secure-file-priv=NULL",
                f"--socket={directory / 'mysqld.sock'}",
                f"--pid-file={directory / 'mysqld.pid'}",
                "--skip-name-resolve",
                *(["--disable-log-bin"] if disk else []),
                "--innodb-flush-log-at-trx-commit=2",  # a killed server loses no commit
            ],
            directory,
            directory / "server.log",
        )
        database = Database(
            host=LOOPBACK,
            port=port,
            user=USER,
            password=password,
            name=NAME,
            sqlalchemy_url=(
                f"mysql+pymysql://{USER}:{password}@{LOOPBACK}:{port}/{NAME}?charset=utf8mb4"
            ),
            airflow_conn_type="mysql",
            _process=process,
        )
        try:
            database.start()
            yield database
        finally:
            process.stop()
