"""Lists of documents, which sensors and tasks pass by name in place of the documents.

Revision ID: 0010
Revises: 0009
"""

import sqlalchemy as sa

from airflow_deepseek_ocr.store.column_types import LongText, RowId, UtcDateTime
from airflow_deepseek_ocr.store.migrations.steps import (
    add_index,
    create_table,
    drop_table,
    foreign_key,
    names,
)

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

#: Older versions pass the documents themselves.
compatible_back_to = "0004"

_LISTS, _ITEMS = "ocr_document_lists", "ocr_document_list_items"


def upgrade() -> None:
    """Create the tables."""
    create_table(
        _LISTS,
        sa.Column("id", RowId, autoincrement=True, nullable=False),
        sa.Column("list_key", sa.String(32), nullable=False),
        sa.Column("origin", sa.Text, nullable=False),
        sa.Column("document_count", sa.Integer),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("expires_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("id", name=names().constraint("pk", _LISTS)),
        sa.UniqueConstraint("list_key", name=names().constraint("uq", _LISTS, "list_key")),
    )
    add_index(_LISTS, "expires_at")
    create_table(
        _ITEMS,
        sa.Column("list_id", RowId, autoincrement=False, nullable=False),
        sa.Column("position", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("version_key", sa.String(64), nullable=False),
        sa.Column("document", LongText, nullable=False),
        sa.PrimaryKeyConstraint("list_id", "position", name=names().constraint("pk", _ITEMS)),
        foreign_key(_ITEMS, "list_id", _LISTS),
    )
    add_index(_ITEMS, "version_key")


def downgrade() -> None:
    """Drop the tables; tasks that were given a list by name do not find it."""
    drop_table(_ITEMS)
    drop_table(_LISTS)
