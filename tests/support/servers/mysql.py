"""MySQL, from a directory that tools/mysql-environment has filled."""

from __future__ import annotations

import os
import platform
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.conftest import ROOT

from .database import Database, mysql_start_script
from .process import LOOPBACK, Process, ServerUnavailable, data_directory, free_port, run_tool

USER = NAME = "ocr"
_ROOT = ROOT / ".mysql" / "root" / "usr"


@contextmanager
def mysql(disk: Path | None = None) -> Iterator[Database]:
    """A MySQL server with one utf8mb4 database.

    :param disk: directory for its data; a temporary one if None. There it writes no
        binary log: on a full disk, MySQL waits for space for that log, and blocks all clients.

    Raises ServerUnavailable where MySQL is not there, and RuntimeError, TimeoutError or
    subprocess.TimeoutExpired where it does not start.
    """
    if not (_ROOT / "sbin" / "mysqld").exists():
        raise ServerUnavailable("MySQL is missing: make .mysql/root")
    libraries = _ROOT / "lib" / f"{platform.machine()}-linux-gnu"
    # Its C library is not this host's, and so its loader is not.
    server = [
        str(next(libraries.glob("ld-linux-*.so.*"))),
        "--library-path",
        f"{libraries}:{_ROOT / 'lib' / 'mysql' / 'private'}",
        str(_ROOT / "sbin" / "mysqld"),
        "--no-defaults",
        f"--basedir={_ROOT}",
        f"--lc-messages-dir={_ROOT / 'share' / 'mysql'}",
        *(["--user=root"] if os.geteuid() == 0 else []),
    ]
    with data_directory() as directory:
        password, port = secrets.token_hex(16), free_port()
        data = f"--datadir={(disk or directory) / 'data'}"
        run_tool([*server, "--initialize-insecure", data], directory)
        # Run before the first connection.
        at_start = directory / "at_start.sql"
        at_start.write_text(mysql_start_script(USER, password, NAME))
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
        database = Database.mysql(process, user=USER, password=password, name=NAME, port=port)
        try:
            database.start()
            yield database
        finally:
            process.stop()
