"""What a client needs to know of a database server."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import sqlalchemy
from sqlalchemy.exc import OperationalError

from .process import START_TIMEOUT_S, Process, wait_until


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

    def stop(self) -> None:
        """Take the server away: open connections break, new ones are refused, data stays."""
        self._process.stop()

    def kill(self) -> None:
        """Kill the server in the middle of whatever it does; committed data stays."""
        self._process.kill()

    def log(self) -> str:
        """What the server has written so far."""
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
        """Wait until the user can query; a server that ended by itself is started.

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
