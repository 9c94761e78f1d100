"""The version table says which older versions of the package may use the tables.

Revision ID: 0005
Revises: 0004
"""

import sqlalchemy as sa

from airflow_deepseek_ocr.store.migrations.steps import add_column, drop_column
from airflow_deepseek_ocr.store.names import VERSIONS

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

#: The tables of 0004 are unchanged.
compatible_back_to = "0004"


def upgrade() -> None:
    """Add the column, which each migration fills from its ``compatible_back_to``."""
    add_column(VERSIONS, sa.Column("compatible_back_to", sa.String(32)))


def downgrade() -> None:
    """Drop the column."""
    drop_column(VERSIONS, "compatible_back_to")
