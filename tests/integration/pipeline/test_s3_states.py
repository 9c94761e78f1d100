"""States of S3 that no retry mends: one row each with S3's own words, and silence after it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select

from airflow_deepseek_ocr.connection.options import DiscoveryOptions
from airflow_deepseek_ocr.pipeline.discovery import Discovery
from airflow_deepseek_ocr.pipeline.pipeline import Pipeline
from airflow_deepseek_ocr.sources.base import Sources
from airflow_deepseek_ocr.sources.s3 import S3Source
from airflow_deepseek_ocr.store.results_store import Store
from airflow_deepseek_ocr.store.tables import DocumentRow
from tests.support.fakes.batch_engine import CONFIG, DOCUMENTS, LIMITS, rows
from tests.support.servers.s3_answers import Answer, s3_answers

SSE_C = "The object was stored using a form of Server Side Encryption."
IN_GLACIER = "<StorageClass>GLACIER</StorageClass>"
RESTORED = (
    "<RestoreStatus><IsRestoreInProgress>false</IsRestoreInProgress>"
    "<RestoreExpiryDate>2999-01-01T00:00:00Z</RestoreExpiryDate></RestoreStatus>"
)
ARCHIVED = Answer(status=403, code="InvalidObjectState", message="The operation is not valid")


def test_a_bucket_with_one_object_of_each_state(
    pipeline: Callable[..., Pipeline], store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    good = (DOCUMENTS / "invoice.pdf").read_bytes()
    objects = {
        "good.pdf": Answer(content=good),
        "glacier.pdf": replace(ARCHIVED, listed=IN_GLACIER),
        # The archive tiers of INTELLIGENT_TIERING are not in a listing.
        "tiered.pdf": replace(ARCHIVED, listed="<StorageClass>INTELLIGENT_TIERING</StorageClass>"),
        "sse_c.pdf": Answer(status=400, code="InvalidRequest", message=SSE_C),
        "kms.pdf": Answer(status=400, code="KMS.DisabledException", message="key k is disabled"),
        "method.pdf": Answer(status=405, code="MethodNotAllowed", message="not allowed"),
        "denied.pdf": Answer(status=403, code="AccessDenied", message="no kms:Decrypt"),
    }
    with s3_answers(objects) as answers:
        client = answers.client()
        sources = Sources({"s3": lambda: S3Source(client, LIMITS)})

        def find(retry_failed_after: timedelta) -> list[str]:
            options = DiscoveryOptions(bucket="b", retry_failed_after=retry_failed_after)
            found = Discovery(options, CONFIG.key).find(client, store)
            return [ref.uri.removeprefix("s3://b/") for batch in found for ref in batch]

        caplog.set_level("INFO", "airflow_deepseek_ocr")
        options = DiscoveryOptions(bucket="b")
        ((*refs,),) = Discovery(options, CONFIG.key).find(client, store)
        assert "1 archived objects" in caplog.text
        summary = pipeline(sources=sources).run(refs)
        assert summary.retryable == ["s3://b/denied.pdf"]
        assert rows(store) == {
            "good.pdf": ("done", None, False),
            "tiered.pdf": ("failed", "archived", False),
            "sse_c.pdf": ("failed", "encrypted_elsewhere", False),
            "kms.pdf": ("failed", "encrypted_elsewhere", False),
            "method.pdf": ("failed", "storage_refused", False),
            "denied.pdf": ("failed", "access_denied", True),
        }
        errors = store.database.transaction(
            lambda session: dict(session.execute(select(DocumentRow.uri, DocumentRow.error)).all())
        )
        for key in ("tiered.pdf", "sse_c.pdf", "kms.pdf", "method.pdf", "denied.pdf"):
            assert objects[key].message in errors[f"s3://b/{key}"]

        assert find(timedelta(hours=1)) == []
        assert find(timedelta(0)) == ["denied.pdf"]

        # Restored objects are new again; others are read when a task names them.
        for key in ("tiered.pdf", "glacier.pdf"):
            answers.objects[key] = Answer(content=good, listed=IN_GLACIER + RESTORED)
        answers.objects["kms.pdf"] = Answer(content=good)
        assert find(timedelta(hours=1)) == ["glacier.pdf", "tiered.pdf"]
        pipeline(sources=sources).run(refs)
        done = {key for key, row in rows(store).items() if row[0] == "done"}
        assert done == {"good.pdf", "tiered.pdf", "kms.pdf"}
