"""Documents, pages and regions.

Revision ID: 0001
Revises:
"""

import sqlalchemy as sa
from alembic import op

from airflow_deepseek_ocr.store.column_types import TABLE_OPTIONS, LongText, RowId, UtcDateTime
from airflow_deepseek_ocr.store.migrations.steps import add_index

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables that a migration that died has not created."""
    op.create_table(
        "ocr_documents",
        sa.Column("id", RowId, autoincrement=True, nullable=False),
        sa.Column("document_key", sa.String(64), nullable=False),
        sa.Column("version_key", sa.String(64), nullable=False),
        sa.Column("uri", sa.Text, nullable=False),
        sa.Column("version", sa.Text, nullable=False),
        sa.Column("etag", sa.Text),
        sa.Column("size_bytes", sa.BigInteger),
        sa.Column("last_modified", UtcDateTime),
        sa.Column("recipe_key", sa.String(64), nullable=False),
        sa.Column("recipe", sa.Text, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("revision", sa.Text, nullable=False),
        sa.Column("prompt", sa.Text, nullable=False),
        sa.Column("resolution", sa.String(16), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("retryable", sa.Boolean, nullable=False),
        sa.Column("error_code", sa.String(64)),
        sa.Column("error", LongText),
        sa.Column("media_type", sa.String(64), nullable=False),
        sa.Column("page_count", sa.Integer, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("dag_id", sa.Text),
        sa.Column("run_id", sa.Text),
        sa.Column("task_id", sa.Text),
        sa.Column("map_index", sa.Integer),
        sa.Column("try_number", sa.Integer),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("updated_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_ocr_documents"),
        sa.UniqueConstraint("document_key", name="uq_ocr_documents_document_key"),
        if_not_exists=True,
        **TABLE_OPTIONS,
    )
    for column in ("version_key", "status"):
        add_index(f"ix_ocr_documents_{column}", "ocr_documents", [column])
    op.create_table(
        "ocr_pages",
        sa.Column("id", RowId, autoincrement=True, nullable=False),
        sa.Column("document_id", RowId, nullable=False),
        sa.Column("page_number", sa.Integer, nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("error_code", sa.String(64)),
        sa.Column("error", LongText),
        sa.Column("resolution", sa.String(16), nullable=False),
        sa.Column("width", sa.Integer, nullable=False),
        sa.Column("height", sa.Integer, nullable=False),
        sa.Column("text", LongText, nullable=False),
        sa.Column("markdown", LongText, nullable=False),
        sa.Column("vision_tokens", sa.Integer, nullable=False),
        sa.Column("text_tokens", sa.Integer, nullable=False),
        sa.Column("compression_ratio", sa.Double),
        sa.Column("seconds", sa.Double, nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_ocr_pages"),
        sa.ForeignKeyConstraint(
            ["document_id"],
            ["ocr_documents.id"],
            name="fk_ocr_pages_document_id",
            ondelete="CASCADE",
        ),
        sa.UniqueConstraint("document_id", "page_number", name="uq_ocr_pages_document_id"),
        if_not_exists=True,
        **TABLE_OPTIONS,
    )
    op.create_table(
        "ocr_regions",
        sa.Column("id", RowId, autoincrement=True, nullable=False),
        sa.Column("page_id", RowId, nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("label", sa.Text, nullable=False),
        sa.Column("text", LongText, nullable=False),
        sa.Column("x1", sa.Integer),
        sa.Column("y1", sa.Integer),
        sa.Column("x2", sa.Integer),
        sa.Column("y2", sa.Integer),
        sa.Column("boxes", LongText, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_ocr_regions"),
        sa.ForeignKeyConstraint(
            ["page_id"], ["ocr_pages.id"], name="fk_ocr_regions_page_id", ondelete="CASCADE"
        ),
        sa.UniqueConstraint("page_id", "position", name="uq_ocr_regions_page_id"),
        if_not_exists=True,
        **TABLE_OPTIONS,
    )


def downgrade() -> None:
    """Drop the tables with everything in them."""
    op.drop_table("ocr_regions")
    op.drop_table("ocr_pages")
    op.drop_table("ocr_documents")
