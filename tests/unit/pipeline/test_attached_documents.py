"""Attached files as separate documents: the pipeline with files, SQLite and a fake engine."""

from __future__ import annotations

import io
import logging
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pikepdf
import pytest
from PIL import Image
from sqlalchemy import text

from airflow_deepseek_ocr.ocr.documents.limits import Limits
from airflow_deepseek_ocr.ocr.documents.reference import DocumentRef
from airflow_deepseek_ocr.ocr.documents.unshown import AttachedFile
from airflow_deepseek_ocr.ocr.engine_protocol import PageRequest
from airflow_deepseek_ocr.pipeline.attached_documents import AttachedDocuments
from airflow_deepseek_ocr.pipeline.document_queue import DocumentQueue
from airflow_deepseek_ocr.pipeline.options import PipelineOptions
from airflow_deepseek_ocr.pipeline.pipeline import Pipeline
from airflow_deepseek_ocr.pipeline.reports.capped_lines import CappedLines
from airflow_deepseek_ocr.sources.base import Sources
from airflow_deepseek_ocr.sources.files import FileSource
from airflow_deepseek_ocr.store.browsing.selection import Selection, find
from airflow_deepseek_ocr.store.forget import forget
from airflow_deepseek_ocr.store.ledger import Ledger
from airflow_deepseek_ocr.store.results_store import Store
from tests.conftest import ROOT
from tests.support.fakes.batch_engine import CONFIG, DOCUMENTS, LIMITS, A, B, FakeEngine, rows
from tests.support.unshown_pdfs import annotated, containing, pdf, saved

LINES = CappedLines(logging.getLogger(__name__))

TABLE = (DOCUMENTS / "table.png").read_bytes()
PORTFOLIO = ROOT / "tests" / "corpus" / "documents" / "portfolio.pdf"
READ = PipelineOptions(limits=LIMITS, read_attachments=True)


@pytest.fixture
def engine() -> Iterator[FakeEngine]:
    yield FakeEngine()


@pytest.fixture
def make(store: Store, engine: FakeEngine) -> Callable[..., Pipeline]:
    def pipeline(*, options: PipelineOptions = READ, **changes: Any) -> Pipeline:
        usual = {
            "sources": Sources({"file": lambda: FileSource(options.limits)}),
            "get_engine": lambda: engine,
            "store": store,
            "config": CONFIG,
            "options": options,
        }
        return Pipeline(**usual | changes)

    return pipeline


@pytest.fixture
def put(tmp_path: Path) -> Callable[[str, bytes], DocumentRef]:
    def written(name: str, content: bytes) -> DocumentRef:
        (tmp_path / name).write_bytes(content)
        return DocumentRef((tmp_path / name).as_uri())

    return written


def encrypted() -> bytes:
    target = io.BytesIO()
    pdf().save(target, encryption=pikepdf.Encryption(owner="a", user="b"))
    return target.getvalue()


def pages_of(store: Store) -> dict[str, list[tuple[int, str]]]:
    """Numbers and flags of pages, by the last part of their document's URI."""
    query = text(
        "SELECT d.uri, p.page_number, p.flags FROM ocr_pages p JOIN ocr_documents d ON d.id = p.document_id "
        "ORDER BY p.id"
    )
    found: dict[str, list[tuple[int, str]]] = {}
    with store.database.engine.connect() as connection:
        for uri, number, flags in connection.execute(query):
            found.setdefault(uri.rpartition("/")[2], []).append((number, flags))
    return {name: sorted(pages) for name, pages in found.items()}


def test_a_portfolio_and_its_files_are_documents(
    make: Callable[..., Pipeline], store: Store
) -> None:
    summary = make().run([DocumentRef(PORTFOLIO.as_uri())])
    assert rows(store) == {
        "portfolio.pdf": ("done", None, False),
        "portfolio.pdf#attachment=invoice1.pdf": ("done", None, False),
        "portfolio.pdf#attachment=invoice2.pdf": ("done", None, False),
    }
    assert (summary.documents, summary.pages, summary.unread) == ({"done": 3}, 3, {})
    assert set(pages_of(store)) == set(rows(store))
    with store.database.engine.connect() as connection:
        stored = connection.execute(
            text("SELECT version, size_bytes, error FROM ocr_documents ORDER BY id")
        ).all()
    versions = [version for version, _, _ in stored]
    assert versions[0].startswith("sha256:")
    assert versions[1:] == [f"{versions[0]}#attachment=1", f"{versions[0]}#attachment=2"]
    assert {error for _, _, error in stored} == {None}


def test_by_default_files_are_named_only(make: Callable[..., Pipeline], store: Store) -> None:
    summary = make(options=PipelineOptions(limits=LIMITS)).run([DocumentRef(PORTFOLIO.as_uri())])
    assert set(rows(store)) == {"portfolio.pdf"}
    (unread,) = summary.unread.values()
    assert unread == "2 attached files were not read: invoice1.pdf, invoice2.pdf."


def test_equal_names_stay_apart_and_names_are_encoded(
    make: Callable[..., Pipeline], store: Store, put: Callable[..., DocumentRef]
) -> None:
    files = [("a.png", TABLE), ("a.png", TABLE), ("Maß #1&number=2.png", TABLE)]
    made = annotated(containing(pdf(2), files), 1, "a.png", TABLE)
    summary = make().run([put("c#attachment=x.pdf", saved(made))])
    name = "c%23attachment%3Dx.pdf#attachment="
    assert set(rows(store)) == {
        "c%23attachment%3Dx.pdf",
        f"{name}a.png",
        f"{name}a.png&number=2",
        f"{name}Ma%C3%9F%20%231%26number%3D2.png",
        f"{name}a.png&page=2",
    }
    assert (summary.documents, summary.unread) == ({"done": 5}, {})


def test_each_file_fails_by_itself_and_others_are_named(
    make: Callable[..., Pipeline], store: Store, put: Callable[..., DocumentRef]
) -> None:
    files = [
        ("factur-x.xml", b"<x/>"),
        ("locked.pdf", encrypted()),
        ("cut.pdf", saved(pdf())[:200]),
        ("empty.pdf", b""),
        ("no.png", b"this is text"),
        ("good.png", TABLE),
        ("large.pdf", b"%PDF-" + bytes(LIMITS.max_bytes)),
    ]
    ref = put("c.pdf", saved(containing(pdf(), files)))
    summary = make().run([ref])
    found = {name.partition("#attachment=")[2]: row for name, row in rows(store).items()}
    assert found == {
        "": ("done", None, False),
        "locked.pdf": ("failed", "password_protected", False),
        "cut.pdf": ("failed", "damaged", False),
        "empty.pdf": ("failed", "empty_file", False),
        "no.png": ("failed", "unsupported_type", False),
        "good.png": ("done", None, False),
        "large.pdf": ("failed", "too_many_bytes", False),
    }
    assert summary.documents == {"done": 2, "failed": 5}
    assert summary.unread == {}


def test_declared_sizes_are_ignored_and_many_files_bounded(
    make: Callable[..., Pipeline], store: Store, put: Callable[..., DocumentRef]
) -> None:
    made = containing(pdf(), [("a.png", TABLE)])
    for spec in made.attachments.values():
        spec.get_file().obj.Params.Size = 1 << 30
    summary = make().run([put("declared.pdf", saved(made))])
    assert summary.documents == {"done": 2}
    many = [(f"{number}.pdf", b"no pdf") for number in range(1000)]
    ref = put("many.pdf", saved(containing(pdf(), many)))
    summary = make().run([ref])
    assert summary.documents == {"done": 1, "failed": 100}
    assert summary.unread == {
        ref.uri: "900 attached files were not read: 100.pdf, 101.pdf, 102.pdf, 103.pdf, 104.pdf "
        "and 895 more."
    }


def test_files_together_have_at_most_max_bytes(
    make: Callable[..., Pipeline], store: Store, put: Callable[..., DocumentRef]
) -> None:
    files = [(f"{number}.pdf", saved(pdf()) + bytes(400_000)) for number in range(3)]
    make().run([put("c.pdf", saved(containing(pdf(), files)))])
    outcomes = [code for name, (_, code, _) in rows(store).items() if "#" in name]
    assert sorted(map(str, outcomes)) == ["None", "None", "too_many_bytes"]


def test_a_bomb_ends_as_its_own_row(
    make: Callable[..., Pipeline], store: Store, put: Callable[..., DocumentRef]
) -> None:
    made = containing(pdf(), [("bomb.pdf", b""), ("good.png", TABLE)])
    packer = zlib.compressobj(9)
    data = b"".join(packer.compress(bytes(1 << 20)) for _ in range(300)) + packer.flush()
    stream = made.attachments["000000"].get_file().obj
    stream.write(data, filter=pikepdf.Name.FlateDecode)
    limits = Limits(max_page_memory=64 << 20, max_bytes=10_000_000)
    options = replace(READ, limits=limits)
    make(options=options).run(
        [put("c.pdf", saved(made, stream_decode_level=pikepdf.StreamDecodeLevel.none))]
    )
    found = {name.partition("#attachment=")[2]: row[:2] for name, row in rows(store).items()}
    # PDFium aborts when an allocation is refused, at times before its memory was measured.
    assert found.pop("bomb.pdf") in (("failed", "too_much_memory"), ("failed", "crashed"))
    assert found == {
        "": ("done", None),
        "good.png": ("done", None),
    }


def test_attachments_of_attachments_are_read_one_level_deeper(
    make: Callable[..., Pipeline], store: Store, put: Callable[..., DocumentRef]
) -> None:
    content = TABLE
    for name in ("4.png", "3.pdf", "2.pdf", "1.pdf"):
        content = saved(containing(pdf(), [(name, content)]))
    ref = put("c.pdf", content)
    summary = make().run([ref])
    second = "c.pdf#attachment=1.pdf#attachment=2.pdf"
    assert set(rows(store)) == {"c.pdf", "c.pdf#attachment=1.pdf", second}
    assert summary.documents == {"done": 3}
    assert summary.unread == {
        f"{ref.uri}#attachment=1.pdf#attachment=2.pdf": "1 attached file was not read: 3.pdf."
    }


def test_a_retry_reads_the_files_that_a_dead_task_left(
    make: Callable[..., Pipeline],
    store: Store,
    engine: FakeEngine,
    put: Callable[..., DocumentRef],
) -> None:
    ref = put("c.pdf", saved(containing(pdf(), [("a.png", TABLE), ("b.png", TABLE)])))

    def die(request: PageRequest) -> None:
        if engine.pages == 2:
            raise RuntimeError("the process dies")

    engine.before = die
    with pytest.raises(RuntimeError):
        make(task=A).run([ref])
    engine.before = lambda _: None
    unfinished = {name for name, row in rows(store).items() if row[0] == "processing"}
    assert unfinished
    listed = store.abandoned(CONFIG.key)
    assert {each.uri.rpartition("/")[2] for each, _ in listed} == unfinished
    make(task=replace(A, try_number=2)).run([ref])
    assert {row[0] for row in rows(store).values()} == {"done"}
    assert make().run([ref]).documents == {"skipped": 1}


def test_a_stored_document_brings_the_files_that_are_unfinished(
    make: Callable[..., Pipeline], store: Store, put: Callable[..., DocumentRef]
) -> None:
    ref = put("c.pdf", saved(containing(pdf(), [("a.png", TABLE), ("b.png", TABLE)])))
    make().run([ref])
    with store.database.engine.begin() as connection:
        connection.execute(
            text("UPDATE ocr_documents SET status = 'processing' WHERE uri LIKE '%b.png'")
        )
        connection.execute(text("DELETE FROM ocr_pages WHERE document_id = 3"))
    assert make().run([ref]).documents == {"skipped": 1, "done": 1}
    assert {row[0] for row in rows(store).values()} == {"done"}
    without = make(options=PipelineOptions(limits=LIMITS))
    assert without.run([ref]).documents == {"skipped": 1}


def test_the_sensor_gives_files_that_failed_for_a_retry(
    make: Callable[..., Pipeline],
    store: Store,
    engine: FakeEngine,
    put: Callable[..., DocumentRef],
) -> None:
    ref = put("c.pdf", saved(containing(pdf(), [("a.png", TABLE)])))
    with Image.open(io.BytesIO(TABLE)) as image:
        engine.broken_width = image.width
    summary = make().run([ref])
    assert rows(store) == {
        "c.pdf": ("done", None, False),
        "c.pdf#attachment=a.png": ("failed", "engine_error", True),
    }
    assert summary.retryable == [f"{ref.uri}#attachment=a.png"]
    assert store.abandoned(CONFIG.key) == []
    assert store.abandoned(CONFIG.key, timedelta(hours=1)) == []
    ((found, _),) = store.abandoned(CONFIG.key, timedelta(0))
    assert found.root.uri == ref.uri
    engine.broken_width = None
    # As a task reads it that does not read attached files.
    assert make(options=PipelineOptions(limits=LIMITS)).run([found]).documents == {"done": 1}


def test_an_overwritten_container_is_read_in_its_current_version(
    make: Callable[..., Pipeline], store: Store, put: Callable[..., DocumentRef]
) -> None:
    ref = put("c.pdf", saved(containing(pdf(), [("a.png", TABLE)])))
    make().run([ref])
    with store.database.engine.connect() as connection:
        uri, version = connection.execute(
            text("SELECT uri, version FROM ocr_documents WHERE uri LIKE '%#%'")
        ).one()
    put("c.pdf", saved(containing(pdf(2), [("a.png", TABLE)])))
    other = replace(CONFIG, prompt="ocr")
    summary = make(config=other).run([DocumentRef(uri, version)])
    assert summary.failed == {uri: "overwritten"}
    assert summary.documents == {"failed": 1, "done": 2}


def test_forgetting_the_container_forgets_its_files(
    make: Callable[..., Pipeline], store: Store, put: Callable[..., DocumentRef]
) -> None:
    ref = put("c.pdf", saved(containing(pdf(), [("a.png", TABLE)])))
    other = put("c.pdf#attachment=a.png", TABLE)
    make().run([ref, other])
    found = list(find(store.database, Selection(uris=(ref.uri,))))
    assert [each.uri for each in found] == [ref.uri, f"{ref.uri}#attachment=a.png"]
    of_version = Selection(uris=(ref.uri,), version=found[0].version)
    assert list(find(store.database, of_version)) == found
    for each in found:
        forget(store.database, each.document_key)
    assert set(rows(store)) == {"c.pdf%23attachment%3Da.png"}


def test_overwrite_reads_the_files_again(
    make: Callable[..., Pipeline],
    store: Store,
    engine: FakeEngine,
    put: Callable[..., DocumentRef],
) -> None:
    ref = put("c.pdf", saved(containing(pdf(), [("a.png", TABLE)])))
    make(options=PipelineOptions(limits=LIMITS)).run([ref])
    assert make().run([ref]).documents == {"skipped": 1}
    summary = make(options=replace(READ, overwrite=True)).run([ref])
    assert (summary.documents, summary.unread) == ({"done": 2}, {})
    assert pages_of(store)["c.pdf"] == [(1, "[]")]


def test_files_are_claimed_before_their_document_ends(store: Store) -> None:
    ledger = Ledger(store.database, CONFIG, A, timedelta(minutes=1))
    queue = DocumentQueue((), ledger, LINES, overwrite=False)
    attached = AttachedDocuments(queue, ledger, overwrite=False)
    container = DocumentRef("s3://b/c.pdf", "v1", "v1", "e1")
    files = [AttachedFile(1, "a.pdf"), AttachedFile(2, "a.pdf")]
    attached.add(container, files)
    attached.add(container, files)
    first, second = queue.pop(), queue.pop()
    assert (first, queue.pop()) == (
        DocumentRef(
            "s3://b/c.pdf#attachment=a.pdf",
            "v1#attachment=1",
            "v1#attachment=1",
            "e1#attachment=1",
        ),
        None,
    )
    assert second is not None and second.container == container
    theirs = Ledger(store.database, CONFIG, B)
    assert "dag" in str(theirs.claim(first))
    assert ledger.holds(queue.claim(first))
