"""Tables, ledger and look-ups on SQLite, PostgreSQL and MariaDB, through Airflow connections."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from sqlalchemy import delete, event, func, select, text, update
from sqlalchemy.orm import Session

from airflow_deepseek_ocr.errors import ConfigurationError, DocumentError, UnavailableError
from airflow_deepseek_ocr.hooks.results_store import open_store
from airflow_deepseek_ocr.ocr.identity import DocumentRef, Recipe
from airflow_deepseek_ocr.ocr.results import (
    Box,
    DocumentResult,
    DocumentStatus,
    PageResult,
    PageStatus,
    Region,
)
from airflow_deepseek_ocr.store import ledger as ledger_module
from airflow_deepseek_ocr.store import migrate
from airflow_deepseek_ocr.store.clock import DatabaseTime
from airflow_deepseek_ocr.store.leases import Held, Lease, LeaseLostError, Settled
from airflow_deepseek_ocr.store.ledger import Ledger, failure
from airflow_deepseek_ocr.store.migrate import VERSION_TABLE
from airflow_deepseek_ocr.store.rows import TaskInfo
from airflow_deepseek_ocr.store.store import Store
from airflow_deepseek_ocr.store.tables import Base, DocumentRow, PageRow, RegionRow
from tests.integration.conftest import Connect, database_connection
from tests.servers.database import Database

RECIPE = Recipe("model", "r1", "markdown", "small", "", 144, 8192, 30, 90)
REF = DocumentRef(
    "s3://bucket/Ä/key.pdf",
    "v1",
    None,
    "v1",
    12,
    datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC),
)
TASK = TaskInfo("dag", "run", "task", 3, 1)
OTHER = TaskInfo("dag", "another run", "task", 3, 1)
CONN_ID = "results"
LONG = timedelta(hours=1)
ACCESS_DENIED = UnavailableError("access_denied", "no rights")


def page(number: int, content: str = "text", **changes: Any) -> PageResult:
    box = Box((1, 2, 3, 4), (10, 20, 30, 40))
    made = PageResult(
        number,
        PageStatus.OK,
        "small",
        100,
        200,
        content,
        content,
        (Region("text", content, (box, box)), Region("image", "")),
        111,
        50,
        0.5,
    )
    return replace(made, **changes)


def failed(number: int, *, retryable: bool = False) -> PageResult:
    return page(
        number, status=PageStatus.FAILED, error_code=f"e{number}", error="e", retryable=retryable
    )


@pytest.fixture(params=["sqlite", "postgres", "mariadb"])
def connection(request: pytest.FixtureRequest, connect: Connect, tmp_path: Path) -> str:
    if request.param == "sqlite":
        connect(CONN_ID, {"conn_type": "sqlite", "host": str(tmp_path / "results.db")})
    else:
        server: Database = request.getfixturevalue(f"{request.param}_server")
        connect(CONN_ID, database_connection(server))
    return CONN_ID


@pytest.fixture
def store(connection: str) -> Iterator[Store]:
    with closing(open_store(connection)) as opened:
        with Session(opened.database.engine) as session, session.begin():
            for table in (RegionRow, PageRow, DocumentRow):
                session.execute(delete(table))
        yield opened


def counts(store: Store) -> tuple[int, ...]:
    with Session(store.database.engine) as session:
        return tuple(
            session.scalar(select(func.count()).select_from(table)) or 0
            for table in (DocumentRow, PageRow, RegionRow)
        )


def test_migrations_make_the_tables_of_the_code(store: Store) -> None:
    store.ensure_schema()
    with store.database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
        differences = compare_metadata(context, Base.metadata)
    assert [each for each in differences if "ocr_" in str(each)] == []


def test_many_tasks_may_create_the_tables_at_once(connection: str, store: Store) -> None:
    with store.database.engine.begin() as database:
        for table in ("ocr_regions", "ocr_pages", "ocr_documents", VERSION_TABLE):
            database.execute(text(f"DROP TABLE {table}"))

    def create(_: int) -> None:
        open_store(connection).close()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(create, range(8)))
    assert counts(store) == (0, 0, 0)


def claim(ledger: Ledger, ref: DocumentRef = REF, **options: Any) -> Lease:
    lease = ledger.claim(ref, **options)
    assert isinstance(lease, Lease), lease
    return lease


def read(ledger: Ledger, *pages: PageResult, ref: DocumentRef = REF, **options: Any) -> None:
    """Claim a document, write its pages and complete it."""
    lease = claim(ledger, ref, **options)
    for each in pages:
        ledger.write_page(lease, each)
    number = len(pages) + len(lease.settled_pages - {each.number for each in pages})
    ledger.complete(lease, media_type="application/pdf", page_count=number, pages=number)


def run_out(store: Store) -> None:
    """Let time pass until all leases are over."""
    with Session(store.database.engine) as session, session.begin():
        session.execute(
            update(DocumentRow).values(lease_expires_at=DatabaseTime(timedelta(seconds=-1)))
        )


def document(store: Store) -> DocumentRow:
    with Session(store.database.engine) as session:
        return session.scalars(select(DocumentRow)).one()


def texts(store: Store) -> list[str]:
    with Session(store.database.engine) as session:
        return list(session.scalars(select(PageRow.text).order_by(PageRow.page_number)))


@pytest.fixture
def ledger(store: Store) -> Callable[..., Ledger]:
    """Makes the ledger of a task."""

    def make(task: TaskInfo = TASK, lease: timedelta = LONG, recipe: Recipe = RECIPE) -> Ledger:
        return Ledger(store.database, recipe, task, lease)

    return make


Make = Callable[..., Ledger]


def test_everything_comes_back_as_it_was_written(store: Store, ledger: Make) -> None:
    content = "NUL \0, emoji \U0001f642, quotes '\"`, " + "ü" * 200_000
    read(ledger(), page(1, content))
    with Session(store.database.engine) as session:
        document = session.scalars(select(DocumentRow)).one()
        stored = session.scalars(select(PageRow)).one()
        regions = session.scalars(select(RegionRow).order_by(RegionRow.position)).all()
        assert (document.uri, document.version, document.map_index) == (REF.uri, "v1", 3)
        assert (document.status, document.page_count) == ("done", 1)
        assert document.media_type == "application/pdf"
        assert document.last_modified == REF.last_modified
        for when in (document.created_at, document.updated_at, stored.created_at):
            assert abs(datetime.now(UTC) - when) < timedelta(minutes=1)
        assert stored.text == content.replace("\0", "\ufffd")
        assert stored.compression_ratio == pytest.approx(50 / 111)
        assert [(region.x1, region.y2) for region in regions] == [(10, 40), (None, None)]


def test_lone_surrogates_do_not_lose_the_page(store: Store, ledger: Make) -> None:
    read(ledger(), page(1, "a\udc80b"))
    assert texts(store) == ["a?b"]


def test_the_databases_clock(store: Store, ledger: Make) -> None:
    claim(ledger(lease=timedelta(seconds=3)))
    with Session(store.database.engine) as session:
        offset = timedelta(seconds=-90.5)
        now, then = session.execute(select(DatabaseTime(), DatabaseTime(offset))).one()
        assert abs(now - datetime.now(UTC)) < timedelta(minutes=1)
        assert abs(then - now - offset) < timedelta(milliseconds=50)
        # Written by the clock, compared with what Python writes.
        for moment, later in ((now, True), (now + timedelta(minutes=5), False)):
            assert bool(session.scalar(select(DocumentRow.lease_expires_at > moment))) is later


def test_two_tasks_never_read_the_same_document(ledger: Make) -> None:
    first = claim(ledger())
    held = ledger(OTHER).claim(REF)
    assert isinstance(held, Held)
    assert held.owner == "dag, run, task[3], try 1"
    assert 3500 < held.for_s <= 3600
    assert first.settled_pages == frozenset()


def test_of_many_claims_at_once_one_wins(ledger: Make) -> None:
    def try_to(number: int) -> object:
        return ledger(TaskInfo("dag", f"run {number}", "task", -1, 1)).claim(REF)

    with ThreadPoolExecutor(8) as pool:
        claims = list(pool.map(try_to, range(8)))
    assert sum(isinstance(each, Lease) for each in claims) == 1
    assert sum(isinstance(each, Held) for each in claims) == 7


def test_a_dead_task_s_document_goes_on_at_the_missing_page(store: Store, ledger: Make) -> None:
    dead = ledger()
    lease = claim(dead)
    dead.write_page(lease, page(1, "by the dead"))
    dead.write_page(lease, failed(2, retryable=True))
    assert isinstance(ledger(OTHER).claim(REF), Held)
    run_out(store)

    heir = ledger(OTHER)
    taken = claim(heir)
    assert taken.settled_pages == {1}
    # The dead one was only slow: it cannot write any more.
    for attempt in (
        lambda: dead.write_page(lease, page(1, "too late")),
        lambda: dead.complete(lease, media_type="", page_count=2, pages=2),
        lambda: dead.fail(lease, failure(ACCESS_DENIED)),
    ):
        with pytest.raises(LeaseLostError):
            attempt()
    dead.release()
    assert isinstance(ledger().claim(REF), Held)
    heir.write_page(taken, page(2, "by the heir"))
    result = heir.complete(taken, media_type="application/pdf", page_count=2, pages=2)
    assert result == DocumentResult(DocumentStatus.DONE, 2, 0)
    assert texts(store) == ["by the dead", "by the heir"]
    assert document(store).attempts == 2
    assert counts(store) == (1, 2, 4)


def test_the_next_try_of_the_same_task_goes_on_at_once(ledger: Make) -> None:
    first = ledger()
    lease = claim(first)
    first.write_page(lease, page(1))
    second = ledger(replace(TASK, try_number=2))
    assert claim(second).settled_pages == {1}
    # A try that comes back from the dead leaves it alone.
    assert isinstance(ledger().claim(REF), Held)
    # Another map index of the same task is another task, and so is anything outside Airflow.
    assert isinstance(ledger(replace(TASK, map_index=4)).claim(REF), Held)
    assert isinstance(ledger(TaskInfo()).claim(REF), Held)


def test_a_lease_that_ran_out_is_good_while_nobody_took_over(store: Store, ledger: Make) -> None:
    slow = ledger()
    lease = claim(slow)
    run_out(store)
    slow.write_page(lease, page(1))
    slow.complete(lease, media_type="", page_count=1, pages=1)
    assert document(store).status == "done"


def test_leases_are_renewed_while_reading_and_given_back(ledger: Make) -> None:
    busy = ledger(lease=timedelta(seconds=1.2))
    with busy.kept():
        claim(busy)
        for _ in range(3):
            time.sleep(0.8)
            assert isinstance(ledger(OTHER).claim(REF), Held)
    claim(ledger(OTHER))  # at once


def test_giving_back_does_not_wait_for_a_database_that_is_away(
    ledger: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = ledger()
    claim(task)

    def away(*_: object, **__: object) -> None:
        raise UnavailableError("database_unavailable", "away")

    monkeypatch.setattr(task._database, "transaction", away)
    task.release()  # logged, not raised


def test_completion_counts_the_rows(store: Store, ledger: Make) -> None:
    task = ledger()
    lease = claim(task)
    task.write_page(lease, page(1))
    with pytest.raises(LeaseLostError):
        task.complete(lease, media_type="", page_count=2, pages=2)
    assert document(store).status == "reading"


@pytest.mark.parametrize(
    ("pages", "expected"),
    [
        ([page(1), failed(2)], DocumentResult(DocumentStatus.PARTIAL, 2, 1)),
        ([failed(1), failed(2)], DocumentResult(DocumentStatus.FAILED, 2, 2, "e1", "e")),
        (
            [page(1), failed(2, retryable=True)],
            DocumentResult(DocumentStatus.PARTIAL, 2, 1, retryable=True),
        ),
    ],
)
def test_the_status_follows_from_the_pages(
    store: Store, ledger: Make, pages: list[PageResult], expected: DocumentResult
) -> None:
    task = ledger()
    lease = claim(task)
    for each in pages:
        task.write_page(lease, each)
    assert task.complete(lease, media_type="", page_count=2, pages=2) == expected
    row = document(store)
    stored = (row.status, row.error_code, row.error, row.retryable)
    assert stored == (expected.status, expected.error_code, expected.error, expected.retryable)


def test_what_is_settled_is_not_claimed_and_a_retry_hears_how_it_ended(ledger: Make) -> None:
    read(ledger(), page(1), failed(2))
    assert ledger(OTHER).claim(REF) == Settled()
    by_us = DocumentResult(DocumentStatus.PARTIAL, 2, 1)
    assert ledger(replace(TASK, try_number=2)).claim(REF) == Settled(by_us)


def test_only_pages_that_may_succeed_are_read_again(store: Store, ledger: Make) -> None:
    read(ledger(), page(1), failed(2), failed(3, retryable=True))
    lease = claim(ledger(OTHER))
    assert lease.settled_pages == {1, 2}
    assert (document(store).status, document(store).retryable) == ("reading", False)


def test_overwriting_replaces_page_by_page_and_a_retry_goes_on(store: Store, ledger: Make) -> None:
    read(ledger(), page(1, "old"), page(2, "old"))
    created = document(store).created_at
    again = ledger(OTHER)
    lease = claim(again, overwrite=True)
    assert lease.settled_pages == frozenset()
    again.write_page(lease, page(1, "new"))
    assert texts(store) == ["new", "old"]
    retry = ledger(replace(OTHER, try_number=2))
    lease = claim(retry, overwrite=True)
    assert lease.settled_pages == {1}
    retry.write_page(lease, page(2, "new"))
    retry.complete(lease, media_type="", page_count=2, pages=2)
    assert texts(store) == ["new", "new"]
    assert isinstance(ledger(replace(OTHER, try_number=3)).claim(REF, overwrite=True), Settled)
    assert counts(store) == (1, 2, 4)
    assert (document(store).attempts, document(store).created_at) == (3, created)


def test_another_recipe_leaves_the_old_rows(store: Store, ledger: Make) -> None:
    read(ledger(), page(1, "old"))
    read(ledger(recipe=replace(RECIPE, prompt="free")), page(1, "new"))
    assert counts(store) == (2, 2, 4)


def test_what_was_gone_may_come_back(ledger: Make) -> None:
    task = ledger()
    task.fail(claim(task), failure(DocumentError("overwritten", "another version")))
    claim(ledger(OTHER))


def test_a_failure_without_a_claim_leaves_nothing_open(
    store: Store, ledger: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    unversioned = REF.unversioned()
    ledger().fail_unclaimed(unversioned, failure(ACCESS_DENIED))
    row = document(store)
    assert (row.status, row.error_code, row.lease_expires_at) == ("failed", "access_denied", None)

    def die(*_: object, **__: object) -> None:
        raise RuntimeError("the process dies")

    monkeypatch.setattr(Ledger, "_end", die)
    with pytest.raises(RuntimeError):
        ledger(OTHER).fail_unclaimed(unversioned, failure(ACCESS_DENIED))
    assert (document(store).status, document(store).attempts) == ("failed", 1)
    assert store.abandoned() == []
    # What another task is at, it also fails or finishes.
    claim(ledger(), REF)
    ledger(OTHER).fail_unclaimed(REF, failure(ACCESS_DENIED))
    assert isinstance(ledger(OTHER).claim(REF), Held)


def test_a_page_is_written_whole_or_not_at_all(
    store: Store, ledger: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = ledger()
    lease = claim(task)
    task.write_page(lease, page(1))

    def fail(*_: object) -> dict[str, object]:
        raise RuntimeError("in the middle")

    monkeypatch.setattr(ledger_module, "region_values", fail)
    for number in (1, 2):
        with pytest.raises(RuntimeError):
            task.write_page(lease, page(number, "new"))
    assert counts(store) == (1, 1, 2)
    assert texts(store) == ["text"]


def test_an_answer_that_is_lost_changes_nothing(
    store: Store, ledger: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection breaks after the commit: everything runs again on top of itself."""
    engine = store.database.engine

    def twice(work: Callable[[Session], Any], *, patient: bool = True) -> Any:
        with Session(engine) as session, session.begin():
            work(session)
        with Session(engine) as session, session.begin():
            return work(session)

    monkeypatch.setattr(store.database, "transaction", twice)
    task = ledger(TaskInfo())
    lease = claim(task)
    task.write_page(lease, page(1))
    result = task.complete(lease, media_type="", page_count=1, pages=1)
    assert result.status is DocumentStatus.DONE
    assert counts(store) == (1, 1, 2)
    assert document(store).attempts == 1


def test_a_connection_that_breaks_while_it_is_prepared(store: Store, ledger: Make) -> None:
    engine = store.database.engine
    left = [2]

    @event.listens_for(engine, "connect")
    def connect(*_: object) -> None:
        if left[0]:
            left[0] -= 1
            raise engine.dialect.loaded_dbapi.OperationalError("gone")

    engine.dispose()
    claim(ledger())
    assert left == [0]
    left[0] = 100
    engine.dispose()
    store.database._patience_s = 0
    with pytest.raises(UnavailableError, match="gone"):
        store.look_up([REF])
    left[0] = 0


def test_look_up(store: Store, ledger: Make) -> None:
    refs = [DocumentRef(f"s3://b/{number}", "v") for number in range(1200)]
    for ref in (refs[0], refs[700], refs[1199]):
        read(ledger(), page(1), ref=ref)
    known = dict.fromkeys([refs[0].version_key, refs[700].version_key, refs[1199].version_key])
    assert store.look_up(refs) == known
    assert store.look_up(refs, RECIPE.key) == known
    assert store.look_up(refs, replace(RECIPE, prompt="free").key) == {}
    assert store.look_up([DocumentRef("s3://b/0", "other"), DocumentRef("s3://B/0", "v")]) == {}


def test_what_is_being_read_is_known_and_due_when_its_task_is_dead(
    store: Store, ledger: Make
) -> None:
    task = ledger()
    claim(task)
    assert store.look_up([REF]) == {REF.version_key: None}
    assert store.abandoned() == []
    run_out(store)
    (due,) = store.look_up([REF]).values()
    assert due is not None
    assert 0 < due < 60
    ((found, seconds),) = store.abandoned(RECIPE.key)
    assert (found, abs(seconds - due) < 30) == (REF, True)
    assert store.abandoned(replace(RECIPE, prompt="free").key) == []
    task.release()
    assert [ref for ref, _ in store.abandoned()] == [REF]


@pytest.mark.parametrize("error", [ACCESS_DENIED, DocumentError("overwritten", "o")])
def test_failures_from_outside_are_due_again(store: Store, ledger: Make, error: Any) -> None:
    task = ledger()
    task.fail(claim(task), failure(error))
    assert store.look_up([REF]) == {REF.version_key: None}
    assert store.look_up([REF], retry_failed_after=LONG) == {REF.version_key: None}
    (due,) = store.look_up([REF], retry_failed_after=timedelta(seconds=-5)).values()
    assert due is not None
    assert 5 <= due < 60
    assert store.abandoned() == []


def test_a_document_s_own_failures_are_not(store: Store, ledger: Make) -> None:
    task = ledger()
    task.fail(claim(task), failure(DocumentError("damaged", "d")))
    assert store.look_up([REF], retry_failed_after=timedelta(seconds=-5)) == {REF.version_key: None}


def test_tables_of_a_newer_version_are_left_alone(connection: str, store: Store) -> None:
    with store.database.engine.begin() as database:
        head = database.scalar(text(f"SELECT version_num FROM {VERSION_TABLE}"))
        database.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = '9999'"))
    try:
        with pytest.raises(UnavailableError, match="upgrade the package") as caught:
            open_store(connection)
        assert caught.value.code == "database_newer"
    finally:
        with store.database.engine.begin() as database:
            database.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = '{head}'"))


@pytest.mark.parametrize("kind", ["postgres", "mariadb"])
def test_a_database_that_is_away(
    kind: str, request: pytest.FixtureRequest, connect: Connect
) -> None:
    server: Database = request.getfixturevalue(f"{kind}_server")
    connect(CONN_ID, database_connection(server))
    ref = replace(REF, version=f"away {time.time()}")
    with closing(open_store(CONN_ID)) as store:
        task = Ledger(store.database, RECIPE, TASK)
        lease = claim(task, ref)
        store.database._patience_s = 0.5
        server.stop()
        try:
            with pytest.raises(UnavailableError) as caught:
                task.write_page(lease, page(1))
            with pytest.raises(UnavailableError) as refused:
                open_store(CONN_ID)
            store.database._patience_s = 30
            with ThreadPoolExecutor(1) as pool:
                waiting = pool.submit(task.write_page, lease, page(1))
                time.sleep(1)
                assert not waiting.done()
                server.start()
                waiting.result(30)
        finally:
            if server._process.exit_status is not None:
                server.start()
        assert caught.value.code == refused.value.code == "database_unavailable"
        assert server.password not in f"{caught.value}{refused.value}"
        task.complete(lease, media_type="", page_count=1, pages=1)


def test_older_tables_keep_their_rows(connection: str, store: Store) -> None:
    engine = store.database.engine
    config = Config()
    config.set_main_option("script_location", str(Path(migrate.__file__).parent / "migrations"))
    with engine.begin() as database:
        config.attributes["connection"] = database
        command.downgrade(config, "0001")
    columns = (
        "document_key, version_key, uri, version, recipe_key, recipe, model, revision, prompt, "
        "resolution, status, retryable, media_type, page_count, attempts, created_at, updated_at"
    )
    rest = "'', '', '', '', '', '{}', '', '', '', '', 'partial', {}, '', 2, 1, '{}', '{}'"
    moment = "2026-01-01 00:00:00"
    with engine.begin() as database:
        for number, retryable in ((1, "true"), (2, "false")):
            values = rest.format("x", retryable, moment, moment).replace("''", f"'{number}'", 1)
            database.execute(
                text(f"INSERT INTO ocr_documents (id, {columns}) VALUES ({number}, {values})")
            )
            for page_number, status in ((1, "ok"), (2, "failed")):
                database.execute(
                    text(
                        "INSERT INTO ocr_pages (document_id, page_number, status, resolution, width, "
                        "height, text, markdown, vision_tokens, text_tokens, seconds, created_at) "
                        f"VALUES ({number}, {page_number}, '{status}', '', 1, 1, 'kept', '', 1, 1, 1, "
                        f"'{moment}')"
                    )
                )
    open_store(connection).close()
    with Session(engine) as session:
        pages = session.execute(
            select(
                PageRow.document_id, PageRow.page_number, PageRow.settled, PageRow.text
            ).order_by(PageRow.document_id, PageRow.page_number)
        ).all()
        assert pages == [
            (1, 1, True, "kept"),
            (1, 2, False, "kept"),
            (2, 1, True, "kept"),
            (2, 2, True, "kept"),
        ]


@pytest.mark.parametrize("left", ["no columns", "no regions", "no indexes"])
def test_a_migration_that_died_in_the_middle_is_carried_on(
    left: str, connection: str, store: Store
) -> None:
    """MySQL commits each change of a table by itself."""
    engine = store.database.engine
    if left == "no columns":
        undo = ["ALTER TABLE ocr_pages DROP COLUMN settled"]
        version = f"UPDATE {VERSION_TABLE} SET version_num = '0001'"
    else:
        undo = ["DROP TABLE ocr_regions"]
        version = f"DELETE FROM {VERSION_TABLE}"
        if left == "no indexes":
            where = " ON ocr_documents" if engine.dialect.name in ("mysql", "mariadb") else ""
            undo += ["DROP TABLE ocr_pages", f"DROP INDEX ix_ocr_documents_status{where}"]
    with engine.begin() as database:
        for statement in (version, *undo):
            database.execute(text(statement))
    open_store(connection).close()
    test_migrations_make_the_tables_of_the_code(store)


def test_a_connection_that_is_no_database(connect: Connect) -> None:
    connect(CONN_ID, {"conn_type": "http", "host": "example.org"})
    with pytest.raises(ConfigurationError, match="postgres, mysql or sqlite"):
        open_store(CONN_ID)


def test_a_lost_lease_is_noticed_when_it_is_renewed(store: Store, ledger: Make) -> None:
    slow = ledger()
    lease = claim(slow)
    assert slow.holds(lease)
    slow._renew()
    assert slow.holds(lease)
    run_out(store)
    claim(ledger(OTHER))
    slow._renew()
    assert not slow.holds(lease)
