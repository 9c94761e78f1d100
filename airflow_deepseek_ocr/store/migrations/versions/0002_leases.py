"""Leases of documents, and pages that need not be read again.

Revision ID: 0002
Revises: 0001
"""

import sqlalchemy as sa
from alembic import op

from airflow_deepseek_ocr.store.column_types import UtcDateTime

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns; pages whose failure was not their own are to be read again."""
    _add("ocr_documents", sa.Column("lease_token", sa.String(32)))
    _add("ocr_documents", sa.Column("lease_expires_at", UtcDateTime))
    _add("ocr_pages", sa.Column("settled", sa.Boolean, nullable=False, server_default=sa.true()))
    documents = sa.table("ocr_documents", sa.column("id"), sa.column("retryable", sa.Boolean))
    pages = sa.table(
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
    op.drop_column("ocr_pages", "settled")
    op.drop_column("ocr_documents", "lease_expires_at")
    op.drop_column("ocr_documents", "lease_token")


def _add(table: str, column: "sa.Column[object]") -> None:
    # MySQL commits each change of a table: a migration that died in the middle left some behind.
    present = {each["name"] for each in sa.inspect(op.get_bind()).get_columns(table)}
    if column.name not in present:
        op.add_column(table, column)
