"""What the container init stores: connections and pools, and what it leaves to users."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.models import Connection, Pool
from sqlalchemy import create_engine, select
from sqlalchemy.orm import Session

from tests.compose.program import DOCKER

sys.path.insert(0, str(DOCKER / "airflow"))
sys.path.insert(0, str(DOCKER / "airflow" / "config"))
import airflow_local_settings
import initialize

ENVIRONMENT = {
    "OCR_MODEL": "/checkpoints/deepseek-ocr-tiny",
    "S3_ACCESS_KEY": "key",
    "S3_SECRET_KEY": "secret",
    "OCR_DB_PASSWORD": "database",
    "OCR_API_KEY": "api",
}
PUBLISHED = ENVIRONMENT | {"OCR_MODEL": "deepseek-ai/DeepSeek-OCR"}
SERVER = ENVIRONMENT | {"OCR_HOST": "unix:///run/deepseek-ocr/server.sock"}


@pytest.fixture
def session() -> Iterator[Session]:
    engine = create_engine("sqlite://")
    Connection.metadata.create_all(engine, tables=[Connection.__table__, Pool.__table__])
    with Session(engine) as session:
        yield session
    engine.dispose()


def stored(session: Session) -> Connection:
    return session.scalars(
        select(Connection).where(Connection.conn_id == "deepseek_ocr_default")
    ).one()


def test_the_three_connections_are_created_once(session: Session) -> None:
    initialize.store_connections(ENVIRONMENT, session)
    initialize.store_connections(ENVIRONMENT, session)

    found = {connection.conn_id: connection for connection in session.scalars(select(Connection))}
    assert set(found) == {"aws_default", "deepseek_ocr_default", "deepseek_ocr_db"}
    assert found["aws_default"].extra_dejson["endpoint_url"] == "http://s3:8333"
    assert found["deepseek_ocr_db"].password == "database"
    assert found["deepseek_ocr_default"].extra_dejson == {
        "model": "/checkpoints/deepseek-ocr-tiny",
        "resolution": "small",
        "cache_dir": "/models",
    }
    assert found["deepseek_ocr_default"].password is None


def test_edits_survive_a_restart(session: Session) -> None:
    initialize.store_connections(ENVIRONMENT, session)
    stored(session).extra = json.dumps({"model": "/checkpoints/mine", "prompt": "free"})
    stored(session).host = "example.com"
    session.flush()

    initialize.store_connections(ENVIRONMENT, session)

    assert stored(session).extra_dejson == {"model": "/checkpoints/mine", "prompt": "free"}
    assert stored(session).host == "example.com"


def test_other_arguments_change_what_they_decide_and_keep_the_rest(session: Session) -> None:
    initialize.store_connections(ENVIRONMENT, session)
    stored(session).extra = json.dumps(stored(session).extra_dejson | {"prompt": "free"})

    initialize.store_connections(PUBLISHED, session)
    assert stored(session).extra_dejson == {
        "model": "deepseek-ai/DeepSeek-OCR",
        "cache_dir": "/models",
        "prompt": "free",
    }

    initialize.store_connections(SERVER, session)
    assert (stored(session).host, stored(session).password) == (SERVER["OCR_HOST"], "api")
    assert "cache_dir" not in stored(session).extra_dejson

    initialize.store_connections(PUBLISHED, session)
    assert (stored(session).host, stored(session).password) == (None, None)


def test_a_port_and_a_revision(session: Session) -> None:
    vllm = PUBLISHED | {"OCR_HOST": "http://vllm", "OCR_PORT": "8000", "OCR_REVISION": "abc"}

    initialize.store_connections(vllm, session)

    assert (stored(session).host, stored(session).port) == ("http://vllm", 8000)
    assert stored(session).extra_dejson == {"model": "deepseek-ai/DeepSeek-OCR", "revision": "abc"}


def test_a_mirror_is_fetched_with_the_connection_to_s3(session: Session) -> None:
    initialize.store_connections(ENVIRONMENT | {"OCR_MODEL": "s3://models/x"}, session)

    assert stored(session).extra_dejson["aws_conn_id"] == "aws_default"


def test_the_size_of_a_pool_is_its_users(session: Session) -> None:
    initialize.store_pool(1, session)
    session.scalars(select(Pool)).one().slots = 7
    session.flush()

    initialize.store_pool(4, session)

    assert session.scalars(select(Pool)).one().slots == 7


@pytest.mark.parametrize(
    ("task_type", "pool", "expected"),
    [
        ("DeepSeekOCROperator", "default_pool", "deepseek_ocr"),
        ("_DeepSeekOCRDecoratedOperator", "default_pool", "deepseek_ocr"),
        ("DeepSeekOCROperator", "mine", "mine"),
        ("S3NewDocumentSensor", "default_pool", "default_pool"),
    ],
)
def test_documents_are_read_in_the_pool(task_type: str, pool: str, expected: str) -> None:
    task: Any = SimpleNamespace(task_type=task_type, pool=pool)

    airflow_local_settings.task_policy(task)

    assert task.pool == expected
