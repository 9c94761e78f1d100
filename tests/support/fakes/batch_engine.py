"""A fake engine that fails on chosen pages, and the documents it processes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from airflow_deepseek_ocr.connection.options import OcrOptions
from airflow_deepseek_ocr.connection.settings import Settings
from airflow_deepseek_ocr.exceptions import UnavailableError
from airflow_deepseek_ocr.ocr.documents.limits import Limits
from airflow_deepseek_ocr.ocr.documents.reference import DocumentRef
from airflow_deepseek_ocr.ocr.engine_protocol import FinishReason, PageOutput, PageRequest
from airflow_deepseek_ocr.ocr.families.deepseek_ocr import DEEPSEEK_OCR
from airflow_deepseek_ocr.ocr.families.family import ModelFamily
from airflow_deepseek_ocr.ocr.page_pixels import decoded
from airflow_deepseek_ocr.sources.s3 import Listing
from airflow_deepseek_ocr.store.results_store import Store
from airflow_deepseek_ocr.store.row_values import TaskInfo
from airflow_deepseek_ocr.store.tables import DocumentRow
from tests.conftest import ROOT

DOCUMENTS = ROOT / "demo" / "documents"
CONFIG = Settings(
    model="model", revision="r1", resolution="small", max_output_length=100
).processing_config(OcrOptions(dpi=72, retry_with="none", text_layer="off"))
LIMITS = Limits(max_pages=50, max_bytes=1_000_000)
MARKDOWN = "# This page was read just as it should be"
TEXT = f"<|ref|>title<|/ref|><|det|>[[0, 0, 999, 999]]<|/det|>\n{MARKDOWN}"


class FakeEngine:
    """Returns the same text for each page that is not blank; pages of a chosen width fail or do not end."""

    def __init__(self) -> None:
        self.pages = 0
        self.broken_width: int | None = None
        self.endless_width: int | None = None
        self.before: Callable[[PageRequest], None] = lambda request: None

    def family(self) -> ModelFamily:
        """Return DeepSeek-OCR."""
        return DEEPSEEK_OCR

    def smallest_print(self) -> float:
        return 0.0

    def modes(self) -> tuple[str, ...]:
        return tuple(DEEPSEEK_OCR.resolutions)

    def read(self, requests: Iterable[PageRequest], progress: Any = None) -> Iterator[PageOutput]:
        for request in requests:
            self.before(request)
            self.pages += 1
            if request.image.width == self.broken_width:
                yield PageOutput(key=request.key, error=UnavailableError("engine_error", "broken"))
                continue
            ended = request.image.width != self.endless_width
            reason = FinishReason.STOP if ended else FinishReason.LENGTH
            # Text on a blank page fails the quality checks.
            text = TEXT if decoded(request.image).convert("L").getextrema()[0] < 128 else ""
            yield PageOutput(
                key=request.key,
                text=text,
                finish_reason=reason,
                vision_tokens=111,
                text_tokens=12,
                seconds=0.1,
            )

    def close(self) -> None: ...


def rows(store: Store) -> dict[str, tuple[str, str | None, bool]]:
    """(status, error code, retryable) of each document by the last part of its URI."""
    with Session(store.database.engine) as session:
        return {
            row.uri.rpartition("/")[2]: (row.status, row.error_code, row.retryable)
            for row in session.scalars(select(DocumentRow).order_by(DocumentRow.id))
        }


def refs_of(client: Any, bucket: str, *names: str) -> list[DocumentRef]:
    """Upload letters of two pages each."""
    for name in names:
        client.upload_file(str(DOCUMENTS / "letter.tiff"), bucket, name)
    return list(Listing(bucket).documents(client))


A, B = TaskInfo("dag", "a", "read", 0, 1), TaskInfo("dag", "b", "read", 0, 1)
SHORT = timedelta(seconds=1)
