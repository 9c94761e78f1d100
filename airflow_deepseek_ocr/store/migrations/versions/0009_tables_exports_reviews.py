"""Tables of pages with their cells, exports, and what people say about pages and regions.

Revision ID: 0009
Revises: 0008
"""

import sqlalchemy as sa

from airflow_deepseek_ocr.store.column_types import LongText, RowId, UtcDateTime
from airflow_deepseek_ocr.store.migrations.steps import (
    add_column,
    add_index,
    create_table,
    create_view,
    current_pages,
    drop_column,
    drop_index,
    drop_table,
    drop_view,
    foreign_key,
    names,
    replace_view,
)

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

#: Older versions store pages without rows of tables, and leave the new columns empty.
compatible_back_to = "0004"

#: (table, column, type)
_COLUMNS = (
    ("ocr_pages", "reviewed_text", LongText),
    ("ocr_pages", "reviewed_by", sa.Text()),
    ("ocr_pages", "reviewed_at", UtcDateTime()),
    ("ocr_pages", "accepted_by", sa.Text()),
    ("ocr_pages", "accepted_at", UtcDateTime()),
    ("ocr_regions", "description", LongText),
    ("ocr_regions", "reviewed_text", LongText),
    ("ocr_regions", "reviewed_by", sa.Text()),
    ("ocr_regions", "reviewed_at", UtcDateTime()),
)
#: The queue of pages that need a review takes the worst; the table is not read for it.
_INDEXES = ("score", "confidence")
#: Columns of pages that the view had before, beside those of migration 0007, and has from now on.
_SHOWN = ("confidence", "rotation", "uncertain_words")
_NEW = ("reviewed_text", "reviewed_by", "reviewed_at", "accepted_by", "accepted_at")


def upgrade() -> None:
    """Create the tables, add columns and indexes, and let the view show them."""
    for table, column, kind in _COLUMNS:
        add_column(table, sa.Column(column, kind))
    for column in _INDEXES:
        add_index("ocr_pages", column)
    _create_tables()
    _create_exports()
    replace_view("ocr_current_pages", current_pages(*_SHOWN, *_NEW), _NEW)


def _create_tables() -> None:
    create_table(
        "ocr_tables",
        sa.Column("id", RowId, autoincrement=True, nullable=False),
        sa.Column("page_id", RowId, nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("region_position", sa.Integer),
        sa.Column("row_count", sa.Integer, nullable=False),
        sa.Column("column_count", sa.Integer, nullable=False),
        sa.Column("caption", sa.Text),
        sa.Column("is_ragged", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("is_truncated", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.PrimaryKeyConstraint("id", name=names().constraint("pk", "ocr_tables")),
        foreign_key("ocr_tables", "page_id", "ocr_pages"),
        sa.UniqueConstraint(
            "page_id", "position", name=names().constraint("uq", "ocr_tables", "page_id")
        ),
    )
    create_table(
        "ocr_table_cells",
        sa.Column("table_id", RowId, autoincrement=False, nullable=False),
        sa.Column("row_index", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("column_index", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("row_span", sa.Integer, nullable=False, server_default=sa.text("1")),
        sa.Column("column_span", sa.Integer, nullable=False, server_default=sa.text("1")),
        sa.Column("is_header", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("text", LongText, nullable=False),
        sa.PrimaryKeyConstraint(
            "table_id",
            "row_index",
            "column_index",
            name=names().constraint("pk", "ocr_table_cells"),
        ),
        foreign_key("ocr_table_cells", "table_id", "ocr_tables"),
    )


def _create_exports() -> None:
    create_table(
        "ocr_exports",
        sa.Column("id", RowId, autoincrement=True, nullable=False),
        sa.Column("document_id", RowId, nullable=False),
        sa.Column("export_key", sa.String(64), nullable=False),
        sa.Column("page_number", sa.Integer),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("uri", sa.Text, nullable=False),
        sa.Column("media_type", sa.String(128), nullable=False),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("id", name=names().constraint("pk", "ocr_exports")),
        foreign_key("ocr_exports", "document_id", "ocr_documents"),
        sa.UniqueConstraint(
            "export_key", name=names().constraint("uq", "ocr_exports", "export_key")
        ),
    )
    add_index("ocr_exports", "document_id")


def downgrade() -> None:
    """Drop what the migration made; reviews are lost."""
    drop_view("ocr_current_pages")
    create_view("ocr_current_pages", current_pages(*_SHOWN))
    drop_table("ocr_exports")
    drop_table("ocr_table_cells")
    drop_table("ocr_tables")
    for column in _INDEXES:
        drop_index("ocr_pages", column)
    for table, column, _ in reversed(_COLUMNS):
        drop_column(table, column)
