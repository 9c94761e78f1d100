"""The results database: what has been read is a row, and nowhere else."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from sqlalchemy import Engine, delete, event, insert, select, update
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError, SQLAlchemyError
from sqlalchemy.orm import Session

from airflow_deepseek_ocr.errors import UnavailableError
from airflow_deepseek_ocr.ocr.identity import DocumentRef, Recipe, document_key
from airflow_deepseek_ocr.ocr.results import DocumentResult
from airflow_deepseek_ocr.store.migrate import upgrade
from airflow_deepseek_ocr.store.rows import TaskInfo, document_values, page_values, region_values
from airflow_deepseek_ocr.store.tables import DocumentRow, PageRow, RegionRow

#: Keys looked up in one statement; SQLite takes at most 999 parameters in its oldest builds.
_LOOKUP_CHUNK = 500
#: Rows inserted in one statement.
_INSERT_CHUNK = 500
#: Tries of a transaction that lost against another one (deadlock, same new row).
_TRIES = 5
_FIRST_PAUSE_S = 0.05

_T = TypeVar("_T")


class Store:
    """Reads and writes the tables through an SQLAlchemy engine.

    :param engine: of PostgreSQL, MySQL/MariaDB or SQLite; the store disposes of it in
        :meth:`close`.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        if engine.dialect.name == "sqlite":
            _prepare_sqlite(engine)
        elif engine.dialect.name in ("mysql", "mariadb"):
            _prepare_mysql(engine)

    def ensure_schema(self) -> None:
        """Create the tables or bring them to this version's form.

        :raises UnavailableError: ``database_unavailable``; ``database_newer`` if the tables were
            made by a newer version of this package.
        """
        with self._clear_errors():
            upgrade(self._engine)

    def known_versions(
        self,
        refs: Iterable[DocumentRef],
        recipe_key: str | None = None,
        retry_failed_after: timedelta | None = None,
    ) -> set[str]:
        """Version keys of those documents that have a row.

        :param refs: documents with their versions.
        :param recipe_key: count only rows of that recipe; None counts any.
        :param retry_failed_after: do not count rows whose failure was not the document's own and
            is older than this.
        :raises UnavailableError: ``database_unavailable``.
        """
        keys = [ref.version_key for ref in refs]
        known: set[str] = set()
        with self._clear_errors(), Session(self._engine) as session:
            for start in range(0, len(keys), _LOOKUP_CHUNK):
                query = select(DocumentRow.version_key).where(
                    DocumentRow.version_key.in_(keys[start : start + _LOOKUP_CHUNK])
                )
                if recipe_key is not None:
                    query = query.where(DocumentRow.recipe_key == recipe_key)
                if retry_failed_after is not None:
                    due = datetime.now(UTC) - retry_failed_after
                    query = query.where(~(DocumentRow.retryable & (DocumentRow.updated_at < due)))
                known.update(session.scalars(query))
        return known

    def is_settled(self, ref: DocumentRef, recipe: Recipe) -> bool:
        """Whether reading that document again by that recipe could bring nothing new.

        :raises UnavailableError: ``database_unavailable``.
        """
        query = select(DocumentRow.retryable).where(
            DocumentRow.document_key == document_key(ref, recipe)
        )
        with self._clear_errors(), Session(self._engine) as session:
            return session.scalar(query) is False

    def write(
        self, ref: DocumentRef, recipe: Recipe, result: DocumentResult, task: TaskInfo
    ) -> None:
        """Store a document with its pages and regions in one transaction, in place of an earlier
        reading of the same version by the same recipe.

        :raises UnavailableError: ``database_unavailable``.
        """
        values = document_values(ref, recipe, result, task)

        def transaction() -> None:
            with Session(self._engine) as session, session.begin():
                now = datetime.now(UTC)
                document_id = _replace_document(session, values, now)
                _insert_pages(session, document_id, result, now)

        with self._clear_errors():
            _retry_conflicts(transaction)

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    @contextmanager
    def _clear_errors(self) -> Iterator[None]:
        try:
            yield
        except SQLAlchemyError as error:
            url = self._engine.url.render_as_string(hide_password=True)
            cause = error.orig if isinstance(error, DBAPIError) and error.orig else error
            raise UnavailableError(
                "database_unavailable",
                f"The results database {url} does not answer as expected: "
                f"{type(cause).__name__}: {cause}. Check the connection and that its user may create "
                "and change tables.",
            ) from None


def _replace_document(session: Session, values: dict[str, object], now: datetime) -> int:
    existing = session.execute(
        select(DocumentRow.id, DocumentRow.attempts)
        .where(DocumentRow.document_key == values["document_key"])
        .with_for_update()
    ).one_or_none()
    if existing is None:
        row = DocumentRow(**values, attempts=1, created_at=now, updated_at=now)
        session.add(row)
        session.flush()
        return row.id
    document_id, attempts = existing
    pages = select(PageRow.id).where(PageRow.document_id == document_id)
    session.execute(delete(RegionRow).where(RegionRow.page_id.in_(pages)))
    session.execute(delete(PageRow).where(PageRow.document_id == document_id))
    session.execute(
        update(DocumentRow)
        .where(DocumentRow.id == document_id)
        .values(**values, attempts=attempts + 1, updated_at=now)
    )
    return int(document_id)


def _insert_pages(
    session: Session, document_id: int, result: DocumentResult, now: datetime
) -> None:
    for page in result.pages:
        row = PageRow(**page_values(document_id, page, now))
        session.add(row)
        session.flush()
        regions = [
            region_values(row.id, position, region) for position, region in enumerate(page.regions)
        ]
        for start in range(0, len(regions), _INSERT_CHUNK):
            session.execute(insert(RegionRow), regions[start : start + _INSERT_CHUNK])


def _retry_conflicts(transaction: Callable[[], _T]) -> _T:
    """Run a transaction again if another one was in its way."""
    pause = _FIRST_PAUSE_S
    for _ in range(_TRIES - 1):
        try:
            return transaction()
        except (IntegrityError, OperationalError):
            time.sleep(pause)
            pause *= 2
    return transaction()


def _prepare_sqlite(engine: Engine) -> None:
    """Real transactions and waiting instead of failing, which SQLite's driver leaves off."""

    @event.listens_for(engine, "connect")
    def connect(connection, _record) -> None:  # type: ignore[no-untyped-def]
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.execute("PRAGMA busy_timeout = 30000")
        cursor.close()

    @event.listens_for(engine, "begin")
    def begin(connection) -> None:  # type: ignore[no-untyped-def]
        # Taking the write lock at once: two readers that both want to write later would deadlock.
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def _prepare_mysql(engine: Engine) -> None:
    """All of Unicode, also where the driver's default is Latin-1."""

    @event.listens_for(engine, "connect")
    def connect(connection, _record) -> None:  # type: ignore[no-untyped-def]
        if hasattr(connection, "set_character_set"):
            connection.set_character_set("utf8mb4")
