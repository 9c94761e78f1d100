"""The three tables in the user's database: documents, their pages, the pages' regions.

Keys are hashes of fixed length, because an S3 URI is longer than a string that MySQL can index.
``docs/reference/tables.md`` describes each column.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import (
    BigInteger,
    Boolean,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Text,
    UniqueConstraint,
    true,
)
from sqlalchemy import (
    text as sql,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from airflow_deepseek_ocr.store.column_types import TABLE_OPTIONS, LongText, RowId, UtcDateTime


class Base(DeclarativeBase):
    """Base of the tables."""

    metadata = MetaData(
        naming_convention={
            "pk": "pk_%(table_name)s",
            "uq": "uq_%(table_name)s_%(column_0_name)s",
            "ix": "ix_%(table_name)s_%(column_0_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
        }
    )


#: Status of a document that a task has claimed and not ended; the task may have died.
PROCESSING = "processing"


class DocumentRow(Base):
    """One version of one document, processed with one configuration.

    ``lease_token`` names the claim that may write its pages; ``lease_expires_at`` is None while no task has
    a lease.
    """

    __tablename__ = "ocr_documents"
    __table_args__ = (
        UniqueConstraint("document_key"),
        Index(None, "version_key"),
        Index(None, "status"),
        TABLE_OPTIONS,
    )

    id: Mapped[int] = mapped_column(RowId, primary_key=True, autoincrement=True)
    document_key: Mapped[str] = mapped_column(String(64))
    version_key: Mapped[str] = mapped_column(String(64))
    uri: Mapped[str] = mapped_column(Text)
    version: Mapped[str] = mapped_column(Text)
    etag: Mapped[str | None] = mapped_column(Text)
    size_bytes: Mapped[int | None] = mapped_column(BigInteger)
    last_modified: Mapped[datetime | None] = mapped_column(UtcDateTime)
    config_key: Mapped[str] = mapped_column(String(64))
    config: Mapped[str] = mapped_column(Text)
    model: Mapped[str] = mapped_column(Text)
    revision: Mapped[str] = mapped_column(Text)
    prompt: Mapped[str] = mapped_column(Text)
    resolution: Mapped[str] = mapped_column(String(16))
    status: Mapped[str] = mapped_column(String(16))
    retryable: Mapped[bool] = mapped_column(Boolean)
    error_code: Mapped[str | None] = mapped_column(String(64))
    error: Mapped[str | None] = mapped_column(LongText)
    media_type: Mapped[str] = mapped_column(String(64))
    page_count: Mapped[int] = mapped_column(Integer)
    claims: Mapped[int] = mapped_column(Integer)
    dag_id: Mapped[str | None] = mapped_column(Text)
    run_id: Mapped[str | None] = mapped_column(Text)
    task_id: Mapped[str | None] = mapped_column(Text)
    map_index: Mapped[int | None] = mapped_column(Integer)
    try_number: Mapped[int | None] = mapped_column(Integer)
    lease_token: Mapped[str | None] = mapped_column(String(32))
    lease_expires_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)


class PageRow(Base):
    """One page of a document; ``is_final`` if processing it again would bring the same result."""

    __tablename__ = "ocr_pages"
    __table_args__ = (UniqueConstraint("document_id", "page_number"), TABLE_OPTIONS)

    id: Mapped[int] = mapped_column(RowId, primary_key=True, autoincrement=True)
    document_id: Mapped[int] = mapped_column(
        RowId, ForeignKey("ocr_documents.id", ondelete="CASCADE")
    )
    page_number: Mapped[int] = mapped_column(Integer)
    status: Mapped[str] = mapped_column(String(16))
    error_code: Mapped[str | None] = mapped_column(String(64))
    error: Mapped[str | None] = mapped_column(LongText)
    resolution: Mapped[str] = mapped_column(String(16))
    width: Mapped[int] = mapped_column(Integer)
    height: Mapped[int] = mapped_column(Integer)
    text: Mapped[str] = mapped_column(LongText)
    markdown: Mapped[str] = mapped_column(LongText)
    vision_tokens: Mapped[int] = mapped_column(Integer)
    text_tokens: Mapped[int] = mapped_column(Integer)
    compression_ratio: Mapped[float | None] = mapped_column(Double())
    seconds: Mapped[float] = mapped_column(Double())
    score: Mapped[float | None] = mapped_column(Double())
    flags: Mapped[str | None] = mapped_column(Text)
    agreement: Mapped[float | None] = mapped_column(Double())
    agreement_ordered: Mapped[float | None] = mapped_column(Double())
    attempt_count: Mapped[int] = mapped_column(Integer, server_default=sql("1"))
    attempts: Mapped[str | None] = mapped_column(LongText)
    vision_tokens_saved: Mapped[int | None] = mapped_column(Integer)
    is_final: Mapped[bool] = mapped_column(Boolean, server_default=true())
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class RegionRow(Base):
    """One region of a page; ``x1`` to ``y2`` enclose all its boxes, in pixels of the page image."""

    __tablename__ = "ocr_regions"
    __table_args__ = (UniqueConstraint("page_id", "position"), TABLE_OPTIONS)

    id: Mapped[int] = mapped_column(RowId, primary_key=True, autoincrement=True)
    page_id: Mapped[int] = mapped_column(RowId, ForeignKey("ocr_pages.id", ondelete="CASCADE"))
    position: Mapped[int] = mapped_column(Integer)
    label: Mapped[str] = mapped_column(Text)
    text: Mapped[str] = mapped_column(LongText)
    x1: Mapped[int | None] = mapped_column(Integer)
    y1: Mapped[int | None] = mapped_column(Integer)
    x2: Mapped[int | None] = mapped_column(Integer)
    y2: Mapped[int | None] = mapped_column(Integer)
    boxes: Mapped[str] = mapped_column(LongText)
