"""The pipeline with files, SQLite and a fake engine; tests/integration/pipeline has S3 and more ends."""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from airflow_deepseek_ocr.exceptions import (
    ConfigurationError,
    DatabaseError,
    ErrorCode,
    UnavailableError,
)
from airflow_deepseek_ocr.ocr.documents.reference import DocumentRef
from airflow_deepseek_ocr.ocr.documents.unshown import DYNAMIC_FORM
from airflow_deepseek_ocr.ocr.engine_protocol import PageRequest, Progress
from airflow_deepseek_ocr.ocr.rendering.child_process import ChildProcess
from airflow_deepseek_ocr.ocr.rendering.sandbox.mode import Sandbox
from airflow_deepseek_ocr.pipeline.options import PipelineOptions
from airflow_deepseek_ocr.pipeline.pipeline import Pipeline
from airflow_deepseek_ocr.sources.base import Sources
from airflow_deepseek_ocr.sources.files import FileSource
from airflow_deepseek_ocr.store.ledger import Ledger
from airflow_deepseek_ocr.store.results_store import Store
from tests.support.fakes.batch_engine import (
    CONFIG,
    DOCUMENTS,
    LIMITS,
    SHORT,
    A,
    B,
    FakeEngine,
    rows,
)
from tests.support.fakes.broken_databases import UnavailableDatabase
from tests.support.unshown_pdfs import annotated, attach, form, pdf, portfolio, saved
from tests.support.waiting import eventually

LETTER = DocumentRef((DOCUMENTS / "letter.tiff").as_uri())
TABLE = DocumentRef((DOCUMENTS / "table.png").as_uri())
MISSING = DocumentRef("file:///no/such/file.png")


@pytest.fixture
def engine() -> Iterator[FakeEngine]:
    yield FakeEngine()


@pytest.fixture
def make(store: Store, engine: FakeEngine) -> Callable[..., Pipeline]:
    def pipeline(*, options: PipelineOptions | None = None, **changes: Any) -> Pipeline:
        usual = {
            "sources": Sources({"file": lambda: FileSource(LIMITS)}),
            "get_engine": lambda: engine,
            "store": store,
            "config": CONFIG,
            "options": options or PipelineOptions(limits=LIMITS),
        }
        return Pipeline(**usual | changes)

    return pipeline


def test_each_document_ends_in_a_row(make: Callable[..., Pipeline], store: Store) -> None:
    summary = make().run([LETTER, MISSING, TABLE])
    assert rows(store) == {
        "letter.tiff": ("done", None, False),
        "file.png": ("failed", "missing_file", False),
        "table.png": ("done", None, False),
    }
    assert summary.documents == {"done": 2, "failed": 1}
    assert (summary.pages, summary.failed_pages) == (3, 0)
    assert summary.failed == {MISSING.uri: "missing_file"}


def test_stored_documents_are_skipped(make: Callable[..., Pipeline], engine: FakeEngine) -> None:
    make().run([LETTER])
    assert make().run([LETTER]).documents == {"skipped": 1}
    assert engine.pages == 2
    overwriting = make(options=PipelineOptions(limits=LIMITS, overwrite=True))
    assert overwriting.run([LETTER]).documents == {"done": 1}
    assert engine.pages == 4


def test_a_retry_resumes_at_the_missing_page(
    make: Callable[..., Pipeline], engine: FakeEngine, store: Store
) -> None:
    def die(_request: PageRequest) -> None:
        if engine.pages == 1:
            raise RuntimeError("the process dies")

    engine.before = die
    with pytest.raises(RuntimeError):
        make(task=A).run([LETTER])
    assert rows(store) == {"letter.tiff": ("processing", None, False)}
    engine.before = lambda _request: None
    summary = make(task=replace(A, try_number=2)).run([LETTER])
    assert (summary.pages, summary.pages_resumed) == (1, 1)
    assert rows(store) == {"letter.tiff": ("done", None, False)}


def test_a_document_of_another_task_is_left_to_it(
    make: Callable[..., Pipeline], store: Store
) -> None:
    make(task=A).run([TABLE])
    version = store.database.transaction(lambda session: _version(session))
    config = replace(CONFIG, prompt="ocr")
    Ledger(store.database, config, A).claim(replace(TABLE, version=version))
    options = PipelineOptions(limits=LIMITS, wait_for_others=None)
    summary = make(task=B, config=config, options=options).run([TABLE])
    assert summary.documents == {"leased_by_others": 1}
    assert summary.leased_by_others == {TABLE.uri: "dag, a, read[0], try 1"}


def _version(session: Any) -> str:
    from sqlalchemy import select

    from airflow_deepseek_ocr.store.tables import DocumentRow

    version: str = session.scalars(select(DocumentRow.version)).one()
    return version


def test_a_document_that_is_released_meanwhile_is_processed(
    make: Callable[..., Pipeline], store: Store, engine: FakeEngine
) -> None:
    """The other task's lease expires while this task polls."""
    make(task=A).run([TABLE])
    version = store.database.transaction(lambda session: _version(session))
    config = replace(CONFIG, prompt="ocr")
    Ledger(store.database, config, A, SHORT).claim(replace(TABLE, version=version))
    options = PipelineOptions(limits=LIMITS, lease=SHORT, wait_for_others=30 * SHORT)
    summary = make(task=B, config=config, options=options).run([TABLE])
    assert summary.documents == {"done": 1}
    assert summary.leased_by_others == {}


def test_an_infrastructure_error_is_recorded_for_the_documents_in_flight(
    make: Callable[..., Pipeline], store: Store
) -> None:
    def no_model() -> FakeEngine:
        raise UnavailableError(ErrorCode.MODEL_UNAVAILABLE, "gone")

    with pytest.raises(UnavailableError, match="gone"):
        make(get_engine=no_model).run([LETTER])
    assert rows(store) == {"letter.tiff": ("failed", "model_unavailable", True)}


def test_a_database_error_ends_the_run_and_is_not_recorded(
    make: Callable[..., Pipeline], store: Store, engine: FakeEngine
) -> None:
    unavailable = UnavailableDatabase(store.database)
    broken = Store(unavailable.engine.execution_options())
    broken.database = unavailable
    with pytest.raises(DatabaseError):
        make(store=broken).run([LETTER])
    assert engine.pages == 0
    assert rows(store) == {}


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"prompt": "poem"}, ErrorCode.UNKNOWN_PROMPT),
        ({"resolution": "huge"}, ErrorCode.UNKNOWN_RESOLUTION),
        ({"pages": "x"}, ErrorCode.PAGE_SELECTION),
        ({"retry_with": "magic"}, ErrorCode.RETRY_WITH),
        ({"text_layer": "maybe"}, ErrorCode.TEXT_LAYER),
    ],
)
def test_a_wrong_configuration_is_refused_at_once(
    change: dict[str, str], code: ErrorCode, make: Callable[..., Pipeline]
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        make(config=replace(CONFIG, **change))
    assert caught.value.code is code


def test_temporary_files_are_removed(
    make: Callable[..., Pipeline], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    make().run([LETTER])
    assert list((tmp_path / "tmp").glob("deepseek-ocr-*")) == []


def test_a_required_sandbox_that_is_incomplete_opens_no_document(
    make: Callable[..., Pipeline], store: Store, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    older = partial(ChildProcess, module="tests.support.fakes.older_kernel_child")
    monkeypatch.setattr("airflow_deepseek_ocr.ocr.rendering.renderer.ChildProcess", older)
    required = make(options=PipelineOptions(limits=LIMITS, sandbox=Sandbox.REQUIRED))
    with pytest.raises(ConfigurationError) as caught:
        required.run([LETTER])
    assert caught.value.code is ErrorCode.SANDBOX_UNAVAILABLE
    assert (rows(store), engine.pages) == ({}, 0)
    assert make().run([LETTER]).documents == {"done": 1}, "auto reads it"


def test_the_log_has_a_line_for_each_document_and_a_warning_for_each_failure(
    make: Callable[..., Pipeline], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "airflow_deepseek_ocr.pipeline")
    make().run([LETTER, TABLE, MISSING])
    lines = {record.getMessage(): record.levelname for record in caplog.records}
    (letter,) = (line for line in lines if "letter.tiff: " in line)
    assert re.search(
        r": done, 2 pages in \d+\.\d s \(.+ pages/s\), score 1\.00, no flags\. Row \d\.$", letter
    )
    (table,) = (line for line in lines if "table.png: " in line)
    assert ": done, 1 page in " in table
    (missing,) = (line for line in lines if "file.png: " in line)
    assert ": failed (missing_file). " in missing
    assert (lines[letter], lines[table], lines[missing]) == ("INFO", "INFO", "WARNING")


def test_content_that_pages_do_not_show_is_in_row_summary_and_log(
    make: Callable[..., Pipeline],
    store: Store,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    contents = {
        "form.pdf": form(needs_rendering=True, fields=False),
        "files.pdf": portfolio("1.pdf", "2.pdf"),
        "invoice.pdf": saved(attach(pdf(), {"factur-x.xml": "text/xml"})),
        "annotated.pdf": saved(annotated(pdf(2), 1, "annex.pdf")),
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    caplog.set_level(logging.INFO, "airflow_deepseek_ocr.pipeline")
    uris = {name: (tmp_path / name).as_uri() for name in contents}
    summary = make().run(map(DocumentRef, uris.values()))
    assert summary.documents == {"done": 4}
    assert summary.as_dict()["unread"] == {
        uris["form.pdf"]: DYNAMIC_FORM,
        uris["files.pdf"]: "2 attached files were not read: 1.pdf, 2.pdf.",
        uris["annotated.pdf"]: "1 attached file was not read: annex.pdf.",
    }
    with store.database.engine.connect() as connection:
        stored = connection.execute(text("SELECT uri, error, error_code FROM ocr_documents"))
        notes = {uri: (error, code) for uri, error, code in stored}
    assert notes == {uri: (summary.unread.get(uri), None) for uri in uris.values()}
    levels = {
        name: record.levelname
        for record in caplog.records
        for name, uri in uris.items()
        if f" of 4: {uri}: done" in record.getMessage()
    }
    assert levels == dict.fromkeys(contents, "WARNING") | {"invoice.pdf": "INFO"}
    with store.database.engine.connect() as connection:
        stored = connection.execute(
            text(
                "SELECT uri, page_number, flags FROM ocr_pages "
                "JOIN ocr_documents ON ocr_documents.id = document_id"
            )
        )
        flags = {(uri, page): json.loads(value) for uri, page, value in stored}
    assert flags == {
        (uris["form.pdf"], 1): ["dynamic_form"],
        (uris["form.pdf"], 2): ["dynamic_form"],
        (uris["files.pdf"], 1): ["unread_attachments"],
        (uris["invoice.pdf"], 1): [],
        (uris["annotated.pdf"], 1): [],
        (uris["annotated.pdf"], 2): ["unread_attachments"],
    }


def test_a_row_names_more_attached_files_than_the_log(
    make: Callable[..., Pipeline], store: Store, tmp_path: Path
) -> None:
    path = tmp_path / "files.pdf"
    path.write_bytes(portfolio(*(f"{number}.pdf" for number in range(101))))
    summary = make().run([DocumentRef(path.as_uri())])
    assert summary.unread[path.as_uri()].endswith("3.pdf, 4.pdf and 96 more.")
    with store.database.engine.connect() as connection:
        error = connection.scalar(text("SELECT error FROM ocr_documents"))
    assert error.endswith("98.pdf, 99.pdf and 1 more.")


def test_a_name_that_is_not_utf_8_is_the_same_in_row_summary_and_log(
    make: Callable[..., Pipeline],
    store: Store,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "airflow_deepseek_ocr.pipeline")
    path = tmp_path / os.fsdecode(b"caf\xe9 #1?.png")
    path.write_bytes((DOCUMENTS / "table.png").read_bytes())
    missing = tmp_path / os.fsdecode(b"caf\xe8.png")
    given = [DocumentRef(f"file://{path}"), DocumentRef(f"file://{missing}")]
    uris = [f"file://{tmp_path}/caf%E9 #1?.png", f"file://{tmp_path}/caf%E8.png"]
    summary = make().run(given)
    assert summary.documents == {"done": 1, "failed": 1}
    assert summary.failed == {uris[1]: "missing_file"}
    with store.database.engine.connect() as connection:
        stored = connection.scalars(text("SELECT uri FROM ocr_documents"))
        assert set(stored) == set(uris)
    for said in (*caplog.messages, json.dumps(summary.as_dict(), ensure_ascii=False)):
        said.encode("utf-8")
    assert any(f"{uris[0]}: done" in line for line in caplog.messages)
    assert make().run(given).documents == {"skipped": 1, "failed": 1}


def test_progress_counts_pages_that_are_stored(
    make: Callable[..., Pipeline], engine: FakeEngine
) -> None:
    pipeline = make()
    progress = Progress(pages_done=99, pages_in_flight=1, tokens=5)
    expected = ["0 pages stored. In work: 1 page of file:///", "1 page stored", "2 pages stored"]

    def note(_: PageRequest) -> None:
        words = expected.pop(0)
        # Pages are stored within half a second.
        eventually(lambda: words in pipeline.progress_line(progress))

    engine.before = note
    pipeline.run([LETTER, TABLE])
    assert expected == []
    assert "2 of 2 documents ended, 3 pages stored" in pipeline.progress_line(progress)
