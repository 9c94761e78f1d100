"""The pipeline with a real S3 server and database; the engine is a fake that can fail."""

from __future__ import annotations

import errno
import io
import json
import os
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pikepdf
import pytest
from botocore.exceptions import ClientError
from reportlab.pdfgen.canvas import Canvas
from sqlalchemy import select
from sqlalchemy.orm import Session

from airflow_deepseek_ocr.engines.in_process.engine import InProcessEngine
from airflow_deepseek_ocr.exceptions import ConfigurationError, UnavailableError
from airflow_deepseek_ocr.ocr.documents.reference import DocumentRef
from airflow_deepseek_ocr.pipeline.pipeline import Pipeline
from airflow_deepseek_ocr.sources.base import Sources
from airflow_deepseek_ocr.sources.files import FileSource, ObjectStorageSource
from airflow_deepseek_ocr.sources.s3 import Listing, S3Source
from airflow_deepseek_ocr.store.results_store import Store
from airflow_deepseek_ocr.store.tables import DocumentRow, PageRow
from tests.support.fakes.batch_engine import (
    CONFIG,
    DOCUMENTS,
    LIMITS,
    MARKDOWN,
    TEXT,
    FakeEngine,
    rows,
)
from tests.support.fixtures.made_documents import blank_pdf, png_of_size


def test_failed_documents_get_a_reason_and_do_not_affect_others(
    client: Any, bucket: str, pipeline: Callable[..., Pipeline], store: Store, tmp_path: Path
) -> None:
    locked = tmp_path / "locked.pdf"
    with pikepdf.open(DOCUMENTS / "invoice.pdf") as pdf:
        pdf.save(locked, encryption=pikepdf.Encryption(user="a", owner="b"))
    contents = {
        "good.pdf": (DOCUMENTS / "invoice.pdf").read_bytes(),
        "empty.pdf": b"",
        "notes.pdf": b"only text",
        "table.pdf": (DOCUMENTS / "table.png").read_bytes(),
        "locked.pdf": locked.read_bytes(),
        "cut.pdf": (DOCUMENTS / "invoice.pdf").read_bytes()[:2000],
        "bomb.png": png_of_size(30_000, 30_000),
        "long.pdf": blank_pdf(tmp_path / "long.pdf", 51).read_bytes(),
        "large.bin": b"%PDF-" + bytes(1_000_000),
        "last.tiff": (DOCUMENTS / "letter.tiff").read_bytes(),
    }
    for name, content in contents.items():
        client.put_object(Bucket=bucket, Key=name, Body=content)
    refs = [DocumentRef(f"s3://{bucket}/{name}") for name in contents]
    refs.insert(3, DocumentRef(f"s3://{bucket}/missing.pdf"))
    refs.insert(5, DocumentRef("s3://no-such-bucket-here/x.pdf"))

    summary = pipeline().run(refs)

    assert rows(store) == {
        "good.pdf": ("done", None, False),
        "empty.pdf": ("failed", "empty_file", False),
        "notes.pdf": ("failed", "unsupported_type", False),
        "missing.pdf": ("failed", "missing_key", False),
        "table.pdf": ("done", None, False),
        "x.pdf": ("failed", "missing_bucket", True),
        "locked.pdf": ("failed", "password_protected", False),
        "cut.pdf": ("failed", "damaged", False),
        "bomb.png": ("failed", "too_many_pixels", False),
        "long.pdf": ("failed", "too_many_pages", False),
        "large.bin": ("failed", "too_many_bytes", False),
        "last.tiff": ("done", None, False),
    }
    assert summary.documents == {"done": 3, "failed": 9}
    assert summary.retryable == ["s3://no-such-bucket-here/x.pdf"]
    with Session(store.database.engine) as session:
        assert all(session.scalars(select(DocumentRow.error).where(DocumentRow.status == "failed")))
        assert session.scalars(select(PageRow.markdown)).all() == [MARKDOWN] * 4


def test_stored_documents_are_skipped_without_loading_the_model(
    client: Any, bucket: str, pipeline: Callable[..., Pipeline], engine: FakeEngine
) -> None:
    client.upload_file(str(DOCUMENTS / "letter.tiff"), bucket, "a.tiff")
    ref = DocumentRef(f"s3://{bucket}/a.tiff")
    (found,) = Listing(bucket).documents(client)
    assert pipeline().run([ref, ref, found]).documents == {"done": 1, "skipped": 1}

    def no_model() -> FakeEngine:
        raise AssertionError("the model was asked for")

    assert pipeline(get_engine=no_model).run([ref]).documents == {"skipped": 1}
    assert pipeline(overwrite=True).run([ref]).documents == {"done": 1}
    assert pipeline(config=replace(CONFIG, prompt="ocr")).run([ref]).documents == {"done": 1}
    assert engine.pages == 6


def test_an_overwritten_key_is_processed_as_a_new_document(
    client: Any, bucket: str, pipeline: Callable[..., Pipeline], store: Store
) -> None:
    client.upload_file(str(DOCUMENTS / "table.png"), bucket, "a.png")
    (found,) = Listing(bucket).documents(client)
    client.upload_file(str(DOCUMENTS / "letter.tiff"), bucket, "a.png")

    pipeline().run([found])

    with Session(store.database.engine) as session:
        old, new = session.scalars(select(DocumentRow).order_by(DocumentRow.id)).all()
        assert (old.version, old.status, old.error_code) == (found.version, "failed", "overwritten")
        assert (new.status, new.page_count, new.error_code) == ("done", 2, None)
        assert new.version != old.version


def test_a_version_id_selects_exactly_that_version(
    client: Any, bucket: str, pipeline: Callable[..., Pipeline], store: Store
) -> None:
    client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    client.upload_file(str(DOCUMENTS / "letter.tiff"), bucket, "a.tiff")
    (found,) = Listing(bucket, with_version_ids=True).documents(client)
    client.upload_file(str(DOCUMENTS / "table.png"), bucket, "a.tiff")

    pipeline().run([found])

    with Session(store.database.engine) as session:
        document = session.scalars(select(DocumentRow)).one()
        assert (document.version, document.page_count) == (found.version_id, 2)


def test_no_rights_is_worth_another_try(
    client: Any, bucket: str, pipeline: Callable[..., Pipeline], store: Store
) -> None:
    client.upload_file(str(DOCUMENTS / "table.png"), bucket, "a.png")

    class Denied:
        def get_object(self, **_: Any) -> None:
            response = {
                "Error": {"Code": "AccessDenied"},
                "ResponseMetadata": {"HTTPStatusCode": 403},
            }
            raise ClientError(response, "GetObject")

    denied = Sources({"s3": lambda: S3Source(Denied(), LIMITS)})
    ref = DocumentRef(f"s3://{bucket}/a.png", "v", None, "v")
    assert pipeline(sources=denied).run([ref]).retryable == [ref.uri]
    assert rows(store) == {"a.png": ("failed", "access_denied", True)}


def test_a_model_that_is_missing_loses_nothing(
    client: Any, bucket: str, pipeline: Callable[..., Pipeline], store: Store
) -> None:
    for name in ("a.tiff", "b.tiff", "c.tiff"):
        client.upload_file(str(DOCUMENTS / "letter.tiff"), bucket, name)
    refs = list(Listing(bucket).documents(client))

    def incomplete() -> InProcessEngine:
        return InProcessEngine(Path("/no/such/model"))

    with pytest.raises(UnavailableError, match="does not exist"):
        pipeline(get_engine=incomplete).run(refs)
    failed = ("failed", "model_missing", True)
    assert rows(store) == {"a.tiff": failed, "b.tiff": failed, "c.tiff": failed}
    assert pipeline().run(refs).documents == {"done": 3}


def test_pages_fail_alone(
    client: Any,
    bucket: str,
    pipeline: Callable[..., Pipeline],
    store: Store,
    engine: FakeEngine,
    tmp_path: Path,
) -> None:
    canvas = Canvas(str(tmp_path / "three.pdf"))
    for width in (100, 200, 300):
        canvas.setPageSize((width, 100))
        canvas.drawString(10, 50, "Three pages")
        canvas.showPage()
    canvas.save()
    client.upload_file(str(tmp_path / "three.pdf"), bucket, "three.pdf")
    engine.broken_width, engine.endless_width = 200, 300

    summary = pipeline().run([DocumentRef(f"s3://{bucket}/three.pdf")])

    assert rows(store) == {"three.pdf": ("partial", None, True)}
    assert (summary.pages, summary.failed_pages) == (3, 2)
    with Session(store.database.engine) as session:
        pages = session.scalars(select(PageRow).order_by(PageRow.page_number)).all()
    assert [page.error_code for page in pages] == [None, "engine_error", "no_end_token"]
    assert pages[2].text == TEXT


def test_settings_that_do_not_exist_are_refused_before_anything(
    pipeline: Callable[..., Pipeline], store: Store
) -> None:
    for change in (
        {"resolution": "huge"},
        {"prompt": "poem"},
        {"pages": "x"},
        {"prompt": "locate"},
    ):
        with pytest.raises(ConfigurationError):
            pipeline(config=replace(CONFIG, **change))
    assert rows(store) == {}


def test_files_and_other_storage(
    pipeline: Callable[..., Pipeline], store: Store, tmp_path: Path
) -> None:
    content = (DOCUMENTS / "table.png").read_bytes()
    (tmp_path / "a b.png").write_bytes(content)
    refs = [
        DocumentRef(f"file://{tmp_path}/a%20b.png"),
        DocumentRef("file:///no/such/file.png"),
        DocumentRef("nonsense://x/y.png"),
    ]
    pipeline().run(refs)
    assert rows(store) == {
        "a%20b.png": ("done", None, False),
        "file.png": ("failed", "missing_file", False),
        "y.png": ("failed", "unsupported_scheme", False),
    }
    with Session(store.database.engine) as session:
        version = session.scalar(select(DocumentRow.version).where(DocumentRow.status == "done"))
    # What Airflow's object storage opens is fetched the same way.
    target = tmp_path / "copy"
    found = ObjectStorageSource(LIMITS).fetch(
        DocumentRef(f"file://{DOCUMENTS}/table.png"), target, lambda ref: True
    )
    assert found is not None
    assert (found.version, target.read_bytes()) == (version, content)


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS, errno.EIO, errno.ETIMEDOUT])
@pytest.mark.parametrize("scheme", ["s3", "file"])
def test_a_copy_that_cannot_be_written_is_not_the_storages_fault(
    scheme: str,
    number: int,
    client: Any,
    bucket: str,
    pipeline: Callable[..., Pipeline],
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    client.upload_file(str(DOCUMENTS / "table.png"), bucket, "table.png")
    directory = f"s3://{bucket}" if scheme == "s3" else DOCUMENTS.as_uri()
    usual = Path.open

    def fail(path: Path, mode: str = "r", *rest: Any, **options: Any) -> Any:
        if mode == "wb":
            raise OSError(number, os.strerror(number), str(path))
        return usual(path, mode, *rest, **options)

    monkeypatch.setattr(Path, "open", fail)
    summary = pipeline().run([DocumentRef(f"{directory}/table.png")])
    assert rows(store) == {"table.png": ("failed", "local_disk", True)}
    assert len(summary.retryable) == 1


def test_storage_that_cannot_be_read_is_not_this_hosts_fault(
    bucket: str, pipeline: Callable[..., Pipeline], store: Store
) -> None:
    class Torn(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            if self.tell():
                raise OSError(errno.ENOSPC, "no room for what the storage's client keeps")
            return super().read(10)

    class Files(FileSource):
        def open(self, uri: str) -> Any:
            return Torn(bytes(20))

    class NoCredentials:
        def get_object(self, **_: Any) -> None:
            raise PermissionError(errno.EACCES, "Permission denied", "/run/token")

    sources = Sources(
        {"file": lambda: Files(LIMITS), "s3": lambda: S3Source(NoCredentials(), LIMITS)}
    )
    ref = DocumentRef(f"s3://{bucket}/b.png", "v", None, "v")
    pipeline(sources=sources).run([DocumentRef("file:///a.png"), ref])
    assert rows(store) == dict.fromkeys(("a.png", "b.png"), ("failed", "storage_unavailable", True))


def test_a_file_modified_while_it_is_copied_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "growing.png"
    path.write_bytes((DOCUMENTS / "table.png").read_bytes())

    class OneMoreWrite(io.FileIO):
        def read(self, size: int = -1) -> bytes:
            if self.tell() == 0:
                with path.open("ab") as writer:
                    writer.write(b"more")
            return super().read(size)

    class Source(FileSource):
        def open(self, uri: str) -> Any:
            return OneMoreWrite(path)

    for source, expected in ((FileSource(LIMITS), None), (Source(LIMITS), "two versions")):
        with nullcontext() if expected is None else pytest.raises(UnavailableError, match=expected):
            source.fetch(DocumentRef(f"file://{path}"), tmp_path / "copy", lambda _: True)


def test_results_of_the_quality_checks_are_stored(
    client: Any, bucket: str, pipeline: Callable[..., Pipeline], store: Store, engine: FakeEngine
) -> None:
    """One page is retried, one takes its embedded text; tokens and attempts are counted."""
    client.upload_file(str(DOCUMENTS / "table.png"), bucket, "table.png")
    client.upload_file(str(DOCUMENTS / "invoice.pdf"), bucket, "invoice.pdf")
    engine.endless_width = 640
    refs = [DocumentRef(f"s3://{bucket}/{name}") for name in ("table.png", "invoice.pdf")]
    config = replace(
        CONFIG, resolution="auto", retry_with="no_repeat_ngram,text_layer", text_layer="compare"
    )

    summary = pipeline(config=config).run(refs)

    with Session(store.database.engine) as session:
        invoice, table = session.scalars(
            select(PageRow).join(DocumentRow).order_by(DocumentRow.uri)
        ).all()
    # The invoice's text is not what the engine writes; the table never ends.
    assert (invoice.status, invoice.attempt_count, invoice.error_code) == ("text_layer", 5, None)
    assert "INV-2041" in invoice.markdown
    assert (table.status, table.error_code, table.attempt_count) == ("failed", "no_end_token", 4)
    attempts = json.loads(invoice.attempts or "")
    assert [attempt["how"] for attempt in attempts] == [
        "small",
        "base",
        "gundam",
        "no_repeat_ngram",
        "text_layer",
    ]
    assert "layer_disagrees" in attempts[0]["flags"]
    assert (invoice.score, invoice.flags) == (1, "[]")
    assert (table.score, json.loads(table.flags or "")) == (0.4, ["no_end_token"])
    assert (table.agreement, table.agreement_ordered) == (None, None)
    assert summary.statuses == {"text_layer": 1, "failed": 1}
    assert summary.retried_attempts == 4 + 3
    assert summary.vision_tokens == 8 * 111
    assert summary.vision_tokens_saved == (invoice.vision_tokens_saved or 0) + (
        table.vision_tokens_saved or 0
    )
    assert summary.as_dict()["retried_attempts"] == 7


def test_pages_with_text_of_their_own_need_no_model(
    client: Any, bucket: str, pipeline: Callable[..., Pipeline], store: Store
) -> None:
    def no_model() -> FakeEngine:
        raise AssertionError("the model was asked for")

    client.upload_file(str(DOCUMENTS / "invoice.pdf"), bucket, "invoice.pdf")
    config = replace(CONFIG, text_layer="first")
    summary = pipeline(config=config, get_engine=no_model).run(
        [DocumentRef(f"s3://{bucket}/invoice.pdf")]
    )
    assert summary.documents == {"done": 1}
    assert summary.statuses == {"text_layer": 1}
    with Session(store.database.engine) as session:
        assert "INV-2041" in session.scalars(select(PageRow.markdown)).one()
