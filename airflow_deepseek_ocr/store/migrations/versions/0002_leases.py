"""Leases of documents, and whether a page is final.

Revision ID: 0002
Revises: 0001
"""

import sqlalchemy as sa
from alembic import op

from airflow_deepseek_ocr.store.column_types import UtcDateTime
from airflow_deepseek_ocr.store.migrations.steps import add_column, drop_column, table_of

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns; failed pages of retryable documents are not final."""
    add_column("ocr_documents", sa.Column("lease_token", sa.String(32)))
    add_column("ocr_documents", sa.Column("lease_expires_at", UtcDateTime))
    add_column(
        "ocr_pages", sa.Column("settled", sa.Boolean, nullable=False, server_default=sa.true())
    )
    documents = table_of("ocr_documents", sa.column("id"), sa.column("retryable", sa.Boolean))
    pages = table_of(
        "ocr_pages",
        sa.column("document_id"),
        sa.column("status", sa.String),
        sa.column("settled", sa.Boolean),
    )
    op.execute(
        pages.update()
        .values(settled=sa.false())
        .where(
            pages.c.status == "failed",
            pages.c.document_id.in_(sa.select(documents.c.id).where(documents.c.retryable)),
        )
    )


def downgrade() -> None:
    """Drop the columns."""
    drop_column("ocr_pages", "settled")
    drop_column("ocr_documents", "lease_expires_at")
    drop_column("ocr_documents", "lease_token")
