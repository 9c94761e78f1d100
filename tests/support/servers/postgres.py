"""PostgreSQL, from the system's packages."""

from __future__ import annotations

import secrets
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy

from .database import LIMITED, Database
from .process import (
    LOOPBACK,
    Process,
    data_directory,
    find_program,
    free_port,
    run_tool,
    unprivileged,
)

ADMIN = "postgres"
USER = NAME = "ocr"


@contextmanager
def postgres(disk: Path | None = None) -> Iterator[Database]:
    """A PostgreSQL server with one database.

    :param disk: directory for its data, which every user may write to; a temporary one if None. There the
        write-ahead log has small segments, so that it needs space as often as the tables.

    Raises ServerUnavailable where PostgreSQL is not installed, and RuntimeError, TimeoutError or
    subprocess.TimeoutExpired where it does not start.
    """
    # Newest major version first; the directories are not on PATH.
    directories = sorted(
        Path("/usr/lib/postgresql").glob("*/bin"), key=lambda f: float(f.parent.name), reverse=True
    )
    initdb = find_program("initdb", "postgresql", directories)
    server = find_program("postgres", "postgresql", directories)
    user = unprivileged("postgres")
    with data_directory(user) as directory:
        password, port = secrets.token_hex(16), free_port()
        data, password_file = (disk or directory) / "data", directory / "password"
        password_file.write_text(password)
        password_file.chmod(
            0o644
        )  # readable for the server's user regardless of the umask; the directory is private
        run_tool(
            [
                initdb,
                f"--pgdata={data}",
                f"--username={ADMIN}",
                f"--pwfile={password_file}",
                "--auth=scram-sha-256",
                "--encoding=UTF8",
                "--locale=C.UTF-8",
                "--no-sync",
                *(["--wal-segsize=1"] if disk else []),
            ],
            directory,
            user,
        )
        settings = {
            "port": str(port),
            "listen_addresses": LOOPBACK,
            "unix_socket_directories": "",  # the limit on a socket's path may be below the directory's
            "fsync": "off",
        }
        if disk:
            settings |= {"min_wal_size": "2MB", "max_wal_size": "8MB"}
        process = Process(
            [server, "-D", str(data), *(f"--{name}={value}" for name, value in settings.items())],
            directory,
            directory / "server.log",
            user,
            signal.SIGINT,  # on SIGTERM PostgreSQL would wait until the last client has left
        )

        def database(user: str, name: str) -> Database:
            return Database(
                host=LOOPBACK,
                port=port,
                user=user,
                password=password,
                name=name,
                sqlalchemy_url=f"postgresql+psycopg2://{user}:{password}@{LOOPBACK}:{port}/{name}",
                airflow_conn_type="postgres",
                _process=process,
            )

        try:
            admin = database(ADMIN, "postgres")
            admin.start()
            _create_database(admin.sqlalchemy_url, password)
            yield database(USER, NAME)
        finally:
            process.stop()


def _create_database(admin_url: str, password: str) -> None:
    engine = sqlalchemy.create_engine(
        admin_url, poolclass=sqlalchemy.NullPool, isolation_level="AUTOCOMMIT"
    )
    with engine.connect() as connection:
        connection.execute(sqlalchemy.text(f"CREATE ROLE {USER} LOGIN PASSWORD '{password}'"))
        connection.execute(sqlalchemy.text(f"CREATE ROLE {LIMITED} LOGIN PASSWORD '{password}'"))
        connection.execute(sqlalchemy.text(f"CREATE DATABASE {NAME} OWNER {USER}"))
