"""Transactions are retried after conflicts, and errors have codes and no secrets."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import create_engine, event, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from airflow_deepseek_ocr.exceptions import DatabaseError, ErrorCode
from airflow_deepseek_ocr.store.database import Database


@pytest.fixture
def database(tmp_path: Path) -> Database:
    made = Database(create_engine(f"sqlite:///{tmp_path}/a.db"), patience_s=0)
    made.transaction(lambda session: session.execute(text("CREATE TABLE t (n INTEGER UNIQUE)")))
    return made


def insert(session: Session, number: int) -> None:
    session.execute(text("INSERT INTO t VALUES (:n)"), {"n": number})


def count(database: Database) -> int:
    return database.transaction(
        lambda session: session.execute(text("SELECT count(*) FROM t")).scalar_one()
    )


def test_a_transaction_is_committed_and_its_result_returned(database: Database) -> None:
    def work(session: Session) -> str:
        insert(session, 1)
        return "result"

    assert database.transaction(work) == "result"
    assert count(database) == 1


def test_an_error_of_the_caller_rolls_back_and_is_not_retried(database: Database) -> None:
    tries: list[int] = []

    def work(session: Session) -> None:
        tries.append(1)
        insert(session, 1)
        raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        database.transaction(work)
    assert (len(tries), count(database)) == (1, 0)


@pytest.mark.parametrize(("failures", "succeeds"), [(1, True), (4, True), (5, False)])
def test_conflicts_are_retried_five_times(
    failures: int, succeeds: bool, database: Database
) -> None:
    tries: list[int] = []

    def work(session: Session) -> None:
        insert(session, len(tries))
        tries.append(1)
        if len(tries) <= failures:
            raise OperationalError("statement", {}, sqlite3.OperationalError("deadlock"))

    if succeeds:
        database.transaction(work)
    else:
        with pytest.raises(DatabaseError, match="deadlock"):
            database.transaction(work)
    assert len(tries) == min(failures + 1, 5)
    assert count(database) == succeeds


def test_a_transaction_that_reads_waits_for_no_other(database: Database) -> None:
    with Session(database.engine) as writing:
        insert(writing, 1)
        query = text("SELECT count(*) FROM t")
        found = database.transaction(
            lambda session: session.execute(query).scalar_one(), reads=True
        )
        assert found == 0  # not committed yet
        writing.commit()
    assert count(database) == 1


def test_an_impatient_transaction_is_tried_once(database: Database) -> None:
    tries: list[int] = []

    def work(session: Session) -> None:
        tries.append(1)
        raise OperationalError("statement", {}, sqlite3.OperationalError("locked"))

    with pytest.raises(DatabaseError):
        database.transaction(work, patient=False)
    assert len(tries) == 1


def test_a_wrong_statement_is_not_retried_and_has_no_values_in_its_message(
    database: Database,
) -> None:
    tries: list[int] = []

    def work(session: Session) -> None:
        tries.append(1)
        session.execute(text("INSERT INTO missing VALUES (:n)"), {"n": "a secret value"})

    with pytest.raises(DatabaseError, match="missing") as caught:
        database.transaction(work, patient=False)
    assert caught.value.code is ErrorCode.DATABASE_UNAVAILABLE
    assert "a secret value" not in str(caught.value)


def test_a_full_disk_has_its_own_code(database: Database) -> None:
    def full(session: Session) -> None:
        error = sqlite3.OperationalError("database or disk is full")
        error.sqlite_errorcode = sqlite3.SQLITE_FULL
        raise OperationalError("statement", {}, error)

    with pytest.raises(DatabaseError, match="Free disk space") as caught:
        database.transaction(full, patient=False)
    assert caught.value.code is ErrorCode.DATABASE_FULL


def test_sqlite_enforces_foreign_keys_and_takes_the_write_lock_first(
    database: Database, tmp_path: Path
) -> None:
    def work(session: Session) -> int:
        enforced: int = session.execute(text("PRAGMA foreign_keys")).scalar_one()
        with (
            closing(sqlite3.connect(tmp_path / "a.db", timeout=0)) as other,
            pytest.raises(sqlite3.OperationalError, match="locked"),
        ):
            other.execute("INSERT INTO t VALUES (7)")
        return enforced

    assert database.transaction(work) == 1


def test_closing_closes_connections(database: Database) -> None:
    before = database.engine.pool
    database.close()
    assert database.engine.pool is not before


def test_an_outage_begins_with_an_error_that_may_pass_and_ends_with_a_success(
    database: Database,
) -> None:
    seen: list[bool] = []
    database.outage.failed = lambda error, patient: seen.append(patient)  # type: ignore[method-assign]
    database.outage.ended = lambda: seen.append(False)  # type: ignore[method-assign]
    tries: list[int] = []

    def work(session: Session) -> None:
        tries.append(1)
        if len(tries) == 1:
            raise OperationalError("statement", {}, sqlite3.OperationalError("server closed"))

    database.transaction(work)
    assert seen == [True, False]


def test_a_lock_is_waited_for_as_long_as_asked_and_not_again(tmp_path: Path) -> None:
    file, tries = tmp_path / "a.db", list[int]()
    with (
        closing(sqlite3.connect(file, isolation_level=None)) as other,
        closing(Database(create_engine(f"sqlite:///{file}"), 60, lock_wait_s=0.05)) as database,
    ):

        @event.listens_for(database.engine, "checkout")
        def checkout(*_: object) -> None:
            tries.append(1)

        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(DatabaseError, match="another transaction") as busy:
            database.transaction(lambda session: session.execute(text("SELECT 1")))
        assert (busy.value.code, len(tries)) == (ErrorCode.DATABASE_BUSY, 1)
        other.execute("ROLLBACK")
        database.transaction(lambda session: session.execute(text("SELECT 1")))
