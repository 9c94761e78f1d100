"""A server that answers one page wrongly: that page fails, and the other document is read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from airflow_deepseek_ocr.airflow_support.results_database import open_store
from airflow_deepseek_ocr.engines.http.engine import HttpEngine
from airflow_deepseek_ocr.engines.protocol.endpoint import Endpoint
from airflow_deepseek_ocr.ocr.documents.reference import DocumentRef
from airflow_deepseek_ocr.ocr.prompts import PROMPTS
from airflow_deepseek_ocr.pipeline.pipeline import Pipeline
from airflow_deepseek_ocr.store.results_store import Store
from airflow_deepseek_ocr.store.tables import DocumentRow, PageRow
from tests.integration.conftest import SERVERS, Connect, database_connection
from tests.support.fakes.batch_engine import CONFIG, DOCUMENTS
from tests.support.fakes.fault_server import BAD_ANSWERS, Faults, fault_server

#: Error codes of faults of the server.
FAULTS = {"server_error", "server_refused", "server_response", "unstorable"}


@pytest.fixture(params=["sqlite", *SERVERS])
def store(request: pytest.FixtureRequest, connect: Connect, tmp_path: Path) -> Iterator[Store]:
    if request.param == "sqlite":
        connect("results", {"conn_type": "sqlite", "host": str(tmp_path / "results.db")})
    else:
        connect("results", database_connection(request.getfixturevalue(f"{request.param}_server")))
    with closing(open_store("results")) as opened:
        with Session(opened.database.engine) as session, session.begin():
            session.execute(delete(DocumentRow))
        yield opened


def test_both_documents_end_in_rows(
    store: Store, pipeline: Callable[..., Pipeline], tmp_path: Path
) -> None:
    for bad in BAD_ANSWERS:
        refs = []
        for name in ("first", "second"):
            copy = tmp_path / f"{bad}-{name}.png"
            copy.write_bytes((DOCUMENTS / "table.png").read_bytes())
            refs.append(DocumentRef(copy.as_uri()))
        line = PROMPTS[CONFIG.prompt].template
        with fault_server(Faults(script={line: [bad]}, modes="read")) as faults:
            engine = HttpEngine(lambda: Endpoint(faults.url), model="m", pages=1)
            pipeline(get_engine=lambda: engine, store=store).run(refs)  # noqa: B023
        with Session(store.database.engine) as session:
            found: Any = session.execute(
                select(DocumentRow.status, PageRow.error_code, PageRow.error)
                .join(PageRow, PageRow.document_id == DocumentRow.id)
                .where(DocumentRow.uri.in_([ref.uri for ref in refs]))
            ).all()
        assert len(found) == 2, bad
        assert "processing" not in {status for status, _, _ in found}
        # The second page is as the server meant it: accepted, or refused by a quality check.
        assert len([code for _, code, _ in found if code in FAULTS]) == 1, (bad, found)
