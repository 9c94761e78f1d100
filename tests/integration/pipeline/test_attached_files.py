"""Attached files of PDFs in S3, with a real server: versions, retries, discovery, deletion."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

from PIL import Image
from sqlalchemy import select
from sqlalchemy.orm import Session

from airflow_deepseek_ocr.connection.options import DiscoveryOptions
from airflow_deepseek_ocr.ocr.documents.reference import DocumentRef
from airflow_deepseek_ocr.pipeline.discovery import Discovery
from airflow_deepseek_ocr.pipeline.options import PipelineOptions
from airflow_deepseek_ocr.pipeline.pipeline import Pipeline
from airflow_deepseek_ocr.store.results_store import Store
from airflow_deepseek_ocr.store.tables import DocumentRow
from tests.support.fakes.batch_engine import CONFIG, DOCUMENTS, LIMITS, FakeEngine, rows
from tests.support.unshown_pdfs import containing, pdf, saved

TABLE = (DOCUMENTS / "table.png").read_bytes()
READ = PipelineOptions(limits=LIMITS, read_attachments=True)
KEY = "mail #1/c#attachment=x.pdf"


def upload(client: Any, bucket: str, pages: int = 1) -> DocumentRef:
    inner = saved(containing(pdf(), [("deep.png", TABLE)]))
    content = saved(containing(pdf(pages), [("a.png", TABLE), ("in.pdf", inner)]))
    client.put_object(Bucket=bucket, Key=KEY, Body=content)
    return DocumentRef(f"s3://{bucket}/{KEY}")


def attached(ref: DocumentRef) -> list[str]:
    names = ("#attachment=a.png", "#attachment=in.pdf", "#attachment=in.pdf#attachment=deep.png")
    return [ref.uri + name for name in names]


def test_files_of_a_version_are_found_done_and_replaced_with_it(
    client: Any, bucket: str, pipeline: Callable[..., Pipeline], store: Store
) -> None:
    client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    ref = upload(client, bucket)
    search = Discovery(DiscoveryOptions(bucket=bucket, with_version_ids=True), CONFIG.key)
    ((found,),) = search.find(client, store)
    assert pipeline(options=READ).run([found]).documents == {"done": 4}
    assert search.find(client, store) == []
    with Session(store.database.engine) as session:
        versions = session.scalars(select(DocumentRow.version).order_by(DocumentRow.id)).all()
    assert versions == [
        found.version,
        f"{found.version}#attachment=1",
        f"{found.version}#attachment=2",
        f"{found.version}#attachment=2#attachment=1",
    ]
    upload(client, bucket, pages=2)
    ((newer,),) = search.find(client, store)
    assert newer.version != found.version
    assert pipeline(options=READ).run([newer]).documents == {"done": 4}
    # The old version is still there for another configuration.
    other = pipeline(options=READ, config=replace(CONFIG, prompt="ocr"))
    assert other.run([found]).documents == {"done": 4}
    assert ref.uri == found.uri


def test_files_that_failed_are_found_and_those_of_an_overwritten_pdf_follow_it(
    client: Any,
    bucket: str,
    pipeline: Callable[..., Pipeline],
    store: Store,
    engine: FakeEngine,
) -> None:
    ref = upload(client, bucket)
    with Image.open(io.BytesIO(TABLE)) as image:
        engine.broken_width = image.width
    summary = pipeline(options=READ).run([ref])
    first, _, deep = attached(ref)
    assert sorted(summary.retryable) == sorted([first, deep])
    options = DiscoveryOptions(bucket=bucket, retry_failed_after=timedelta(0))
    (due,) = Discovery(options, CONFIG.key).find(client, store)
    assert sorted(each.uri for each in due) == sorted([first, deep])
    engine.broken_width = None
    (again,) = (each for each in due if each.uri == first)
    assert pipeline().run([DocumentRef.of(again.as_dict())]).documents == {"done": 1}
    upload(client, bucket, pages=2)
    (stale,) = (each for each in due if each.uri == deep)
    summary = pipeline(options=READ).run([stale])
    assert summary.failed == {deep: "overwritten"}
    assert summary.documents == {"failed": 1, "done": 4}
    assert len(rows(store)) == 4
