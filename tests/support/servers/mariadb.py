"""MariaDB, from the system's packages."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .database import Database, mysql_start_script
from .process import (
    LOOPBACK,
    Process,
    data_directory,
    find_program,
    free_port,
    run_tool,
    unprivileged,
)

USER = NAME = "ocr"
PACKAGES = "mariadb-server"


@contextmanager
def mariadb(disk: Path | None = None) -> Iterator[Database]:
    """A MariaDB server with one utf8mb4 database, of the server's default collation.

    :param disk: directory for its data, which every user may write to; a temporary one if None.

    Raises ServerUnavailable where MariaDB is not installed, and RuntimeError, TimeoutError or
    subprocess.TimeoutExpired where it does not start.
    """
    install = find_program("mariadb-install-db", PACKAGES)
    server = find_program("mariadbd", PACKAGES)
    user = unprivileged("mysql")
    with data_directory(user) as directory:
        password, port = secrets.token_hex(16), free_port()
        data = (disk or directory) / "data"
        # At its start a server deletes the temporary tables in this directory, also those of others.
        tmpdir = f"--tmpdir={directory}"
        run_tool(
            [
                install,
                "--no-defaults",
                f"--datadir={data}",
                tmpdir,
                "--auth-root-authentication-method=socket",
                "--skip-test-db",
            ],
            directory,
            user,
        )
        # Run before the first connection.
        at_start = directory / "at_start.sql"
        at_start.write_text(mysql_start_script(USER, password, NAME))
        at_start.chmod(0o644)  # for the server's user, whatever the umask; the directory is closed
        process = Process(
            [
                server,
                "--no-defaults",
                f"--datadir={data}",
                tmpdir,
                f"--init-file={at_start}",
                f"--bind-address={LOOPBACK}",
                f"--port={port}",
                "--socket=mysqld.sock",  # in the data directory; a full path may be over the limit
                "--pid-file=mysqld.pid",
                "--skip-name-resolve",
                "--character-set-server=utf8mb4",
                "--innodb-flush-log-at-trx-commit=2",  # a killed server loses no commit
            ],
            directory,
            directory / "server.log",
            user,
        )
        database = Database.mysql(process, user=USER, password=password, name=NAME, port=port)
        try:
            database.start()
            yield database
        finally:
            process.stop()
