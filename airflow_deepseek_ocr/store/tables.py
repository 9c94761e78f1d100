"""The tables in the user's database: documents, their pages, the pages' regions, what follows from them.

Keys are hashes of fixed length, because an S3 URI is longer than a string that MySQL can index.
``docs/reference/tables.md`` describes each column.
"""

from __future__ import annotations

from datetime import datetime
from functools import cache
from typing import Any, ClassVar, NamedTuple

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
    false,
    true,
)
from sqlalchemy import (
    text as sql,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, declared_attr, mapped_column

from airflow_deepseek_ocr.store.column_types import TABLE_OPTIONS, LongText, RowId, UtcDateTime
from airflow_deepseek_ocr.store.lists.list_columns import DocumentListColumns, ListItemColumns
from airflow_deepseek_ocr.store.names import (
    DOCUMENTS,
    EXPORTS,
    PAGES,
    REGIONS,
    TABLE_CELLS,
    TABLES,
    Names,
    names_of,
)

#: As :meth:`Names.constraint` makes them.
_CONVENTION = {
    "pk": "pk_%(table_name)s",
    "uq": "uq_%(table_name)s_%(column_0_name)s",
    "ix": "ix_%(table_name)s_%(column_0_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
}


#: Order of columns; that of the others is 0. A reference is made by a function, which would put it last.
_FIRST, _SECOND = -2, -1


class Base(DeclarativeBase):
    """Base of the tables without a prefix, in the connection's own schema."""

    metadata = MetaData(naming_convention=_CONVENTION)
    names: ClassVar[Names] = Names()


#: Status of a document that a task has claimed and not ended; the task may have died.
PROCESSING = "processing"


class DocumentColumns:
    """One version of one document, processed with one configuration.

    ``lease_token`` names the claim that may write its pages; ``lease_expires_at`` is None while no task has
    a lease.
    """

    @declared_attr.directive
    def __tablename__(cls) -> str:
        """Return the table's name."""
        return names_of(cls).table(DOCUMENTS)

    @declared_attr.directive
    def __table_args__(cls) -> tuple[Any, ...]:
        """Return the table's constraints, indexes and options."""
        return (
            UniqueConstraint("document_key"),
            Index(None, "version_key"),
            Index(None, "status"),
            Index(None, "uri", postgresql_using="hash", mysql_length=512, mariadb_length=512),
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
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class PageColumns:
    """One page of a document; ``is_final`` if processing it again would bring the same result.

    ``reviewed_text`` is Markdown that a person has corrected; ``accepted_at`` is set when a person has
    found the page good as it is.
    """

    @declared_attr.directive
    def __tablename__(cls) -> str:
        """Return the table's name."""
        return names_of(cls).table(PAGES)

    @declared_attr.directive
    def __table_args__(cls) -> tuple[Any, ...]:
        """Return the table's constraints, indexes and options."""
        return (
            UniqueConstraint("document_id", "page_number"),
            Index(None, "score"),
            Index(None, "confidence"),
            TABLE_OPTIONS,
        )

    id: Mapped[int] = mapped_column(RowId, primary_key=True, autoincrement=True, sort_order=_FIRST)
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
    confidence: Mapped[float | None] = mapped_column(Double())
    rotation: Mapped[int | None] = mapped_column(Integer)
    uncertain_words: Mapped[str | None] = mapped_column(LongText)
    reviewed_text: Mapped[str | None] = mapped_column(LongText)
    reviewed_by: Mapped[str | None] = mapped_column(Text)
    reviewed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    accepted_by: Mapped[str | None] = mapped_column(Text)
    accepted_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    @declared_attr
    def document_id(cls) -> Mapped[int]:
        """Return the reference to the page's document."""
        target = ForeignKey(names_of(cls).target(DOCUMENTS), ondelete="CASCADE")
        return mapped_column(RowId, target, sort_order=_SECOND)


class RegionColumns:
    """One region of a page; ``x1`` to ``y2`` enclose all its boxes, in pixels of the page image."""

    @declared_attr.directive
    def __tablename__(cls) -> str:
        """Return the table's name."""
        return names_of(cls).table(REGIONS)

    @declared_attr.directive
    def __table_args__(cls) -> tuple[Any, ...]:
        """Return the table's constraints, indexes and options."""
        return (UniqueConstraint("page_id", "position"), TABLE_OPTIONS)

    id: Mapped[int] = mapped_column(RowId, primary_key=True, autoincrement=True, sort_order=_FIRST)
    position: Mapped[int] = mapped_column(Integer)
    label: Mapped[str] = mapped_column(Text)
    text: Mapped[str] = mapped_column(LongText)
    x1: Mapped[int | None] = mapped_column(Integer)
    y1: Mapped[int | None] = mapped_column(Integer)
    x2: Mapped[int | None] = mapped_column(Integer)
    y2: Mapped[int | None] = mapped_column(Integer)
    boxes: Mapped[str] = mapped_column(LongText)
    confidence: Mapped[float | None] = mapped_column(Double())
    word_confidences: Mapped[str | None] = mapped_column(LongText)
    description: Mapped[str | None] = mapped_column(LongText)
    reviewed_text: Mapped[str | None] = mapped_column(LongText)
    reviewed_by: Mapped[str | None] = mapped_column(Text)
    reviewed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    @declared_attr
    def page_id(cls) -> Mapped[int]:
        """Return the reference to the region's page."""
        target = ForeignKey(names_of(cls).target(PAGES), ondelete="CASCADE")
        return mapped_column(RowId, target, sort_order=_SECOND)


class TableColumns:
    """One table of a page; ``region_position`` is the position of the region that contains it."""

    @declared_attr.directive
    def __tablename__(cls) -> str:
        """Return the table's name."""
        return names_of(cls).table(TABLES)

    @declared_attr.directive
    def __table_args__(cls) -> tuple[Any, ...]:
        """Return the table's constraints, indexes and options."""
        return (UniqueConstraint("page_id", "position"), TABLE_OPTIONS)

    id: Mapped[int] = mapped_column(RowId, primary_key=True, autoincrement=True, sort_order=_FIRST)
    position: Mapped[int] = mapped_column(Integer)
    region_position: Mapped[int | None] = mapped_column(Integer)
    row_count: Mapped[int] = mapped_column(Integer)
    column_count: Mapped[int] = mapped_column(Integer)
    caption: Mapped[str | None] = mapped_column(Text)
    is_ragged: Mapped[bool] = mapped_column(Boolean, server_default=false())
    is_truncated: Mapped[bool] = mapped_column(Boolean, server_default=false())

    @declared_attr
    def page_id(cls) -> Mapped[int]:
        """Return the reference to the table's page."""
        target = ForeignKey(names_of(cls).target(PAGES), ondelete="CASCADE")
        return mapped_column(RowId, target, sort_order=_SECOND)


class TableCellColumns:
    """One cell of a table, at its first row and column, both counted from 0."""

    @declared_attr.directive
    def __tablename__(cls) -> str:
        """Return the table's name."""
        return names_of(cls).table(TABLE_CELLS)

    @declared_attr.directive
    def __table_args__(cls) -> tuple[Any, ...]:
        """Return the table's options."""
        return (TABLE_OPTIONS,)

    row_index: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    column_index: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    row_span: Mapped[int] = mapped_column(Integer, server_default=sql("1"))
    column_span: Mapped[int] = mapped_column(Integer, server_default=sql("1"))
    is_header: Mapped[bool] = mapped_column(Boolean, server_default=false())
    text: Mapped[str] = mapped_column(LongText)

    @declared_attr
    def table_id(cls) -> Mapped[int]:
        """Return the reference to the cell's table."""
        target = ForeignKey(names_of(cls).target(TABLES), ondelete="CASCADE")
        return mapped_column(
            RowId, target, primary_key=True, autoincrement=False, sort_order=_FIRST
        )


class ExportColumns:
    """One file written from a document's result; ``page_number`` is None for one of the whole document.

    ``export_key`` is the hash of document, kind, page number and name.
    """

    @declared_attr.directive
    def __tablename__(cls) -> str:
        """Return the table's name."""
        return names_of(cls).table(EXPORTS)

    @declared_attr.directive
    def __table_args__(cls) -> tuple[Any, ...]:
        """Return the table's constraints, indexes and options."""
        return (UniqueConstraint("export_key"), Index(None, "document_id"), TABLE_OPTIONS)

    id: Mapped[int] = mapped_column(RowId, primary_key=True, autoincrement=True, sort_order=_FIRST)
    export_key: Mapped[str] = mapped_column(String(64))
    page_number: Mapped[int | None] = mapped_column(Integer)
    kind: Mapped[str] = mapped_column(String(32))
    name: Mapped[str] = mapped_column(Text)
    uri: Mapped[str] = mapped_column(Text)
    media_type: Mapped[str] = mapped_column(String(128))
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)

    @declared_attr
    def document_id(cls) -> Mapped[int]:
        """Return the reference to the export's document."""
        target = ForeignKey(names_of(cls).target(DOCUMENTS), ondelete="CASCADE")
        return mapped_column(RowId, target, sort_order=_SECOND)


class DocumentRow(DocumentColumns, Base):
    """A row of ``ocr_documents``."""


class PageRow(PageColumns, Base):
    """A row of ``ocr_pages``."""


class RegionRow(RegionColumns, Base):
    """A row of ``ocr_regions``."""


class TableRow(TableColumns, Base):
    """A row of ``ocr_tables``."""


class TableCellRow(TableCellColumns, Base):
    """A row of ``ocr_table_cells``."""


class ExportRow(ExportColumns, Base):
    """A row of ``ocr_exports``."""


class DocumentListRow(DocumentListColumns, Base):
    """A row of ``ocr_document_lists``."""


class ListItemRow(ListItemColumns, Base):
    """A row of ``ocr_document_list_items``."""


class Rows(NamedTuple):
    """The mapped classes of one set of tables, whose columns are the same in each."""

    document: type[DocumentRow]
    page: type[PageRow]
    region: type[RegionRow]
    table: type[TableRow]
    cell: type[TableCellRow]
    export: type[ExportRow]
    document_list: type[DocumentListRow]
    list_item: type[ListItemRow]
    base: type[DeclarativeBase]


#: The classes of the tables without a prefix, with their columns, in the order of :class:`Rows`.
_KINDS: tuple[tuple[Any, Any], ...] = (
    (DocumentRow, DocumentColumns),
    (PageRow, PageColumns),
    (RegionRow, RegionColumns),
    (TableRow, TableColumns),
    (TableCellRow, TableCellColumns),
    (ExportRow, ExportColumns),
    (DocumentListRow, DocumentListColumns),
    (ListItemRow, ListItemColumns),
)


@cache
def rows_of(names: Names) -> Rows:
    """Return the mapped classes of the tables with these names; the same ones at each call."""
    if names == Names():
        return Rows._make([*(kind for kind, _ in _KINDS), Base])
    metadata = MetaData(schema=names.schema, naming_convention=_CONVENTION)
    base: Any = type("NamedBase", (DeclarativeBase,), {"metadata": metadata, "names": names})
    kinds = [type(kind.__name__, (columns, base), {}) for kind, columns in _KINDS]
    return Rows._make([*kinds, base])
