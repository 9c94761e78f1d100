"""Running database servers, as their clients see them."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import sqlalchemy
from sqlalchemy.exc import OperationalError

from .process import LOOPBACK, START_TIMEOUT_S, Process, wait_until

#: A user who may read and write rows, and change no table; with the owner's password.
LIMITED = "limited"
#: A user who may migrate the tables; likewise.
MIGRATING = "migrating"
#: A schema, on MySQL a database, that the owner may create and drop; its name needs quotes.
OTHER_SCHEMA = "Other-docs"
_MIGRATING_RIGHTS = (
    "SELECT, INSERT, UPDATE, DELETE, CREATE, CREATE VIEW, ALTER, INDEX, REFERENCES, DROP"
)


def mysql_start_script(user: str, password: str, name: str) -> str:
    """Return statements that a MySQL or MariaDB server runs at each start, one a line.

    They create the database, its owner, and the users :data:`LIMITED` and :data:`MIGRATING`.
    """
    return (
        f"CREATE DATABASE IF NOT EXISTS {name};\n"
        f"CREATE USER IF NOT EXISTS {user}@'%' IDENTIFIED BY '{password}';\n"
        f"GRANT ALL ON {name}.* TO {user}@'%';\n"
        f"GRANT ALL ON `{OTHER_SCHEMA}`.* TO {user}@'%';\n"
        f"CREATE USER IF NOT EXISTS {LIMITED}@'%' IDENTIFIED BY '{password}';\n"
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON {name}.* TO {LIMITED}@'%';\n"
        f"CREATE USER IF NOT EXISTS {MIGRATING}@'%' IDENTIFIED BY '{password}';\n"
        f"GRANT {_MIGRATING_RIGHTS} ON {name}.* TO {MIGRATING}@'%';\n"
    )


@dataclass(frozen=True)
class Database:
    """A database of a running server, and the user who owns it (no administrator)."""

    host: str
    port: int
    user: str
    password: str = field(repr=False)
    name: str
    sqlalchemy_url: str = field(repr=False)
    airflow_conn_type: str
    _process: Process = field(repr=False, compare=False)

    @classmethod
    def mysql(cls, process: Process, *, user: str, password: str, name: str, port: int) -> Database:
        """Return the database of a MySQL or MariaDB server on this host."""
        return cls(
            host=LOOPBACK,
            port=port,
            user=user,
            password=password,
            name=name,
            sqlalchemy_url=(
                f"mysql+pymysql://{user}:{password}@{LOOPBACK}:{port}/{name}?charset=utf8mb4"
            ),
            airflow_conn_type="mysql",
            _process=process,
        )

    def stop(self) -> None:
        """Stop the server: open connections break, new ones are refused, data stays."""
        self._process.stop()

    def kill(self) -> None:
        """Kill the server at once; committed data stays."""
        self._process.kill()

    def log(self) -> str:
        """Return the server's log."""
        return self._process.log.read_text(errors="replace")

    def start(self, timeout_s: float = START_TIMEOUT_S) -> None:
        """Bring the server (back) up on the same port and wait until the user can query.

        Raises TimeoutError after ``timeout_s`` seconds and RuntimeError where the server ends or
        is running already.
        """
        self._process.start()
        wait_until(
            self._answers, timeout_s, f"{self.airflow_conn_type} server answers", self._process
        )

    def recover(self, timeout_s: float = START_TIMEOUT_S) -> None:
        """Wait until the user can query; a server that has ended is started.

        Raises TimeoutError after ``timeout_s`` seconds and RuntimeError where it ends again.
        """
        deadline = time.monotonic() + timeout_s
        while not self._answers():
            if self._process.exit_status is not None:
                self.start(timeout_s)
                return
            if time.monotonic() > deadline:
                raise TimeoutError(f"no answer in {timeout_s:g} s\n{self._process.log_tail()}")
            time.sleep(0.1)

    def _answers(self) -> bool:
        engine = sqlalchemy.create_engine(self.sqlalchemy_url, poolclass=sqlalchemy.NullPool)
        try:
            with engine.connect() as connection:
                connection.execute(sqlalchemy.text("SELECT 1"))
        except OperationalError:
            return False
        return True
