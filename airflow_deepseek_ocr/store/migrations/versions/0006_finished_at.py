"""When a document's stored result was finished, and an index that finds the versions of a document.

Revision ID: 0006
Revises: 0005
"""

import sqlalchemy as sa

from airflow_deepseek_ocr.store.column_types import UtcDateTime
from airflow_deepseek_ocr.store.migrations.steps import (
    add_column,
    add_index,
    drop_column,
    drop_index,
)

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

#: Older versions leave the column empty; the views then take the status.
compatible_back_to = "0004"

#: Characters of a URI in MySQL's index: 2,048 of InnoDB's at most 3,072 bytes.
_MYSQL_PREFIX = 512


def upgrade() -> None:
    """Add the column and the index."""
    add_column("ocr_documents", sa.Column("finished_at", UtcDateTime))
    add_index(
        "ocr_documents",
        "uri",
        # PostgreSQL's B-tree refuses rows with URIs beyond 2,704 bytes.
        postgresql_using="hash",
        mysql_length=_MYSQL_PREFIX,
        mariadb_length=_MYSQL_PREFIX,
    )


def downgrade() -> None:
    """Drop the index and the column."""
    drop_index("ocr_documents", "uri")
    drop_column("ocr_documents", "finished_at")
