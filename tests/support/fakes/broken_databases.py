"""Databases that fail at one chosen moment of a transaction."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from sqlalchemy.orm import Session

from airflow_deepseek_ocr.exceptions import DatabaseError, ErrorCode
from airflow_deepseek_ocr.store.database import Database

_T = TypeVar("_T")


class _Wrapper(Database):
    def __init__(self, database: Database) -> None:
        # The engine is prepared already.
        self.engine, self.names = database.engine, database.names
        self.outage = database.outage


class UnavailableDatabase(_Wrapper):
    """Fails before each transaction."""

    def transaction(self, work: Callable[[Session], _T], *, patient: bool = True) -> _T:
        raise DatabaseError(ErrorCode.DATABASE_UNAVAILABLE, "no server")


class DyingDatabase(_Wrapper):
    """Stands for a process that dies when all statements of a transaction ran, before its commit."""

    def transaction(self, work: Callable[[Session], _T], *, patient: bool = True) -> _T:
        with Session(self.engine) as session, session.begin():
            work(session)
            session.flush()
            raise RuntimeError("the process dies")


class RepeatingDatabase(_Wrapper):
    """Commits each transaction and runs it again, as after a connection that broke at the commit."""

    def transaction(self, work: Callable[[Session], _T], *, patient: bool = True) -> _T:
        with Session(self.engine) as session, session.begin():
            work(session)
        with Session(self.engine) as session, session.begin():
            return work(session)
