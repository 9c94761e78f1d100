"""The columns of lists of documents, which are passed by name where an XCom is too small for them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, Integer, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, declared_attr, mapped_column

from airflow_deepseek_ocr.store.column_types import TABLE_OPTIONS, LongText, RowId, UtcDateTime
from airflow_deepseek_ocr.store.names import DOCUMENT_LISTS, LIST_ITEMS, names_of


class DocumentListColumns:
    """A list of documents; ``document_count`` is None while it is written."""

    @declared_attr.directive
    def __tablename__(cls) -> str:
        """Return the table's name."""
        return names_of(cls).table(DOCUMENT_LISTS)

    @declared_attr.directive
    def __table_args__(cls) -> tuple[Any, ...]:
        """Return the table's constraints, indexes and options."""
        return (UniqueConstraint("list_key"), Index(None, "expires_at"), TABLE_OPTIONS)

    id: Mapped[int] = mapped_column(RowId, primary_key=True, autoincrement=True)
    list_key: Mapped[str] = mapped_column(String(32))
    origin: Mapped[str] = mapped_column(Text)
    document_count: Mapped[int | None] = mapped_column(Integer)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)


class ListItemColumns:
    """A document of a list, as JSON; ``position`` is counted from 0.

    It refers to no row of ``ocr_documents``: most documents of a list have none yet.
    """

    @declared_attr.directive
    def __tablename__(cls) -> str:
        """Return the table's name."""
        return names_of(cls).table(LIST_ITEMS)

    @declared_attr.directive
    def __table_args__(cls) -> tuple[Any, ...]:
        """Return the table's indexes and options."""
        return (Index(None, "version_key"), TABLE_OPTIONS)

    position: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    version_key: Mapped[str] = mapped_column(String(64))
    document: Mapped[str] = mapped_column(LongText)

    @declared_attr
    def list_id(cls) -> Mapped[int]:
        """Return the reference to the item's list."""
        target = ForeignKey(names_of(cls).target(DOCUMENT_LISTS), ondelete="CASCADE")
        return mapped_column(RowId, target, primary_key=True, autoincrement=False, sort_order=-1)
