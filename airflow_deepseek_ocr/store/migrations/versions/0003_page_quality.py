"""Results of the quality checks of each page, and its attempts.

Revision ID: 0003
Revises: 0002
"""

import sqlalchemy as sa

from airflow_deepseek_ocr.store.column_types import LongText
from airflow_deepseek_ocr.store.migrations.steps import add_column, drop_column

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_COLUMNS = ("score", "flags", "agreement", "agreement_ordered", "readings", "vision_tokens_saved")


def upgrade() -> None:
    """Add the columns; pages stored before had one attempt and no quality check."""
    add_column("ocr_pages", sa.Column("score", sa.Double))
    add_column("ocr_pages", sa.Column("flags", sa.Text))
    add_column("ocr_pages", sa.Column("agreement", sa.Double))
    add_column("ocr_pages", sa.Column("agreement_ordered", sa.Double))
    add_column(
        "ocr_pages",
        sa.Column("attempts", sa.Integer, nullable=False, server_default=sa.text("1")),
    )
    add_column("ocr_pages", sa.Column("readings", LongText))
    add_column("ocr_pages", sa.Column("vision_tokens_saved", sa.Integer))


def downgrade() -> None:
    """Drop the columns."""
    for name in (*_COLUMNS, "attempts"):
        drop_column("ocr_pages", name)
