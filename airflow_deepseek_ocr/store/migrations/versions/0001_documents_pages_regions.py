"""Documents, pages and regions.

Revision ID: 0001
Revises:
"""

import sqlalchemy as sa

from airflow_deepseek_ocr.store.column_types import LongText, RowId, UtcDateTime
from airflow_deepseek_ocr.store.migrations.steps import add_index, create_table, drop_table, names

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables that a migration that died has not created."""
    create_table(
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
        sa.PrimaryKeyConstraint("id", name=names().constraint("pk", "ocr_documents")),
        sa.UniqueConstraint(
            "document_key", name=names().constraint("uq", "ocr_documents", "document_key")
        ),
    )
    for column in ("version_key", "status"):
        add_index("ocr_documents", column)
    create_table(
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
        sa.PrimaryKeyConstraint("id", name=names().constraint("pk", "ocr_pages")),
        sa.ForeignKeyConstraint(
            ["document_id"],
            [names().target("ocr_documents")],
            name=names().constraint("fk", "ocr_pages", "document_id"),
            ondelete="CASCADE",
        ),
        sa.UniqueConstraint(
            "document_id", "page_number", name=names().constraint("uq", "ocr_pages", "document_id")
        ),
    )
    create_table(
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
        sa.PrimaryKeyConstraint("id", name=names().constraint("pk", "ocr_regions")),
        sa.ForeignKeyConstraint(
            ["page_id"],
            [names().target("ocr_pages")],
            name=names().constraint("fk", "ocr_regions", "page_id"),
            ondelete="CASCADE",
        ),
        sa.UniqueConstraint(
            "page_id", "position", name=names().constraint("uq", "ocr_regions", "page_id")
        ),
    )


def downgrade() -> None:
    """Drop the tables with everything in them."""
    drop_table("ocr_regions")
    drop_table("ocr_pages")
    drop_table("ocr_documents")
