"""Which rights tasks and migrations need, on PostgreSQL, MariaDB and MySQL."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing

import pytest
from sqlalchemy import Engine, create_engine, text

from airflow_deepseek_ocr.airflow_support.results_database import open_store
from airflow_deepseek_ocr.exceptions import DatabaseError, ErrorCode
from airflow_deepseek_ocr.store.browsing.selection import Selection, find
from airflow_deepseek_ocr.store.forget import Deleted, forget
from airflow_deepseek_ocr.store.ledger import Ledger
from airflow_deepseek_ocr.store.migrate import read_schema, upgrade
from airflow_deepseek_ocr.store.names import VERSIONS
from tests.conftest import ROOT
from tests.integration.conftest import SERVERS, Connect, database_connection
from tests.support.fixtures.older_tables import downgrade, drop_tables, execute
from tests.support.fixtures.stored_documents import CONFIG, REF, TASK, counts, page, read
from tests.support.servers.database import LIMITED, MIGRATING, Database

PAGE = (ROOT / "docs" / "guides" / "operations.md").read_text("utf-8")


def grants(kind: str) -> list[str]:
    """Return the statements of the guide for a database, with the test's names."""
    (block,) = re.findall(rf"<!-- grants: {kind} -->\n+```\w*\n(.*?)```", PAGE, re.DOTALL)
    statements = block.replace("airflow_tasks", LIMITED).replace("ocr_owner", "ocr")
    return [each.strip() for each in statements.split(";") if each.strip()]


@pytest.fixture
def owner(server: Database) -> Iterator[Engine]:
    """The tables' owner, in a database without tables."""
    engine = create_engine(server.sqlalchemy_url)
    drop_tables(engine)
    yield engine
    drop_tables(engine)
    if engine.dialect.name == "postgresql":
        for kind in ("TABLES", "SEQUENCES"):
            execute(
                engine,
                "ALTER DEFAULT PRIVILEGES FOR ROLE ocr IN SCHEMA public "
                f"REVOKE ALL ON {kind} FROM {LIMITED}",
            )
    engine.dispose()


@pytest.fixture
def limited(server: Database, connect: Connect) -> str:
    """The connection of a user who may only read and write rows."""
    connect("limited", database_connection(server) | {"login": LIMITED})
    return "limited"


def test_without_rights_the_error_names_them(owner: Engine, limited: str, server: Database) -> None:
    with pytest.raises(DatabaseError, match=r"(?s)lacks a right.* db upgrade") as caught:
        open_store(limited)
    assert caught.value.code is ErrorCode.DATABASE_RIGHTS
    assert server.password not in str(caught.value)
    upgrade(owner)
    grant(owner)
    downgrade(owner, "0003")
    with pytest.raises(DatabaseError) as caught:
        open_store(limited)
    assert caught.value.code is ErrorCode.DATABASE_RIGHTS


def test_tasks_need_no_right_to_change_tables(owner: Engine, limited: str) -> None:
    upgrade(owner)
    grant(owner)
    with closing(open_store(limited)) as store:
        assert store.look_up([REF]) == {}
        assert store.abandoned() == []
        ledger = Ledger(store.database, CONFIG, TASK)
        read(ledger, page(1), page(2))
        assert counts(store) == (1, 2, 4)
        (found,) = find(store.database, Selection(uris=(REF.uri,)))
        assert forget(store.database, found.document_key) == Deleted(2, 4)


@pytest.mark.parametrize("server", ["postgres"], indirect=True)
def test_a_sensor_needs_no_more_than_to_read(owner: Engine, limited: str) -> None:
    upgrade(owner)
    execute(owner, f"GRANT SELECT ON ocr_documents, {VERSIONS} TO {LIMITED}")
    with closing(open_store(limited)) as store:
        assert store.look_up([REF]) == {}
        assert store.abandoned() == []
        with pytest.raises(DatabaseError) as caught:
            Ledger(store.database, CONFIG, TASK).claim(REF)
        assert caught.value.code is ErrorCode.DATABASE_RIGHTS


def grant(owner: Engine) -> None:
    if owner.dialect.name == "postgresql":
        execute(owner, *grants("PostgreSQL"))


@pytest.mark.parametrize("server", SERVERS[1:], indirect=True)
def test_the_guides_rights_suffice_to_migrate(
    owner: Engine, server: Database, connect: Connect
) -> None:
    connect("migrating", database_connection(server) | {"login": MIGRATING})
    open_store("migrating").close()
    downgrade(owner, "0001")
    open_store("migrating").close()
    assert read_schema(owner).is_current


@pytest.mark.parametrize("server", SERVERS[1:], indirect=True)
def test_the_servers_users_have_the_rights_of_the_guide(server: Database) -> None:
    for user, statement in zip((LIMITED, MIGRATING), grants("MariaDB and MySQL"), strict=True):
        url = server.sqlalchemy_url.replace(f"{server.user}:", f"{user}:")
        engine = create_engine(url)
        with closing(engine.connect()) as connection:
            (given,) = [
                set(re.split(", ", rights))
                for grant in connection.scalars(text("SHOW GRANTS"))
                for rights in re.findall(r"GRANT (.*) ON `ocr`", grant)
            ]
        engine.dispose()
        (rights,) = re.findall(r"GRANT (.*) ON ", statement)
        assert given == set(rights.split(", "))
