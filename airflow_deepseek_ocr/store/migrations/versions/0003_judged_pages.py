"""What the judge found of each page, and how often it was read.

Revision ID: 0003
Revises: 0002
"""

import sqlalchemy as sa
from alembic import op

from airflow_deepseek_ocr.store.column_types import LongText

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_COLUMNS = ("score", "flags", "agreement", "agreement_ordered", "readings", "vision_tokens_saved")


def upgrade() -> None:
    """Add the columns; pages read before were read once and never judged."""
    _add(sa.Column("score", sa.Double))
    _add(sa.Column("flags", sa.Text))
    _add(sa.Column("agreement", sa.Double))
    _add(sa.Column("agreement_ordered", sa.Double))
    _add(sa.Column("attempts", sa.Integer, nullable=False, server_default=sa.text("1")))
    _add(sa.Column("readings", LongText))
    _add(sa.Column("vision_tokens_saved", sa.Integer))


def downgrade() -> None:
    """Drop the columns."""
    for name in (*_COLUMNS, "attempts"):
        op.drop_column("ocr_pages", name)


def _add(column: "sa.Column[object]") -> None:
    # MySQL commits each change of a table: a migration that died in the middle left some behind.
    present = {each["name"] for each in sa.inspect(op.get_bind()).get_columns("ocr_pages")}
    if column.name not in present:
        op.add_column("ocr_pages", column)
