"""Columns and values take the field's terms.

Revision ID: 0004
Revises: 0003
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

from airflow_deepseek_ocr.store.column_types import LongText

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

#: (table, old name, new name, type, nullable), in an order in which no name is taken when it is given.
_RENAMED = (
    ("ocr_documents", "recipe_key", "config_key", sa.String(64), False),
    ("ocr_documents", "recipe", "config", sa.Text(), False),
    ("ocr_documents", "attempts", "claims", sa.Integer(), False),
    ("ocr_pages", "attempts", "attempt_count", sa.Integer(), False),
    ("ocr_pages", "readings", "attempts", LongText, True),
    ("ocr_pages", "settled", "is_final", sa.Boolean(), False),
)


def upgrade() -> None:
    """Rename the columns."""
    for table, old, new, kind, nullable in _RENAMED:
        _rename(table, old, new, kind, nullable=nullable)


def downgrade() -> None:
    """Give the columns their old names."""
    for table, old, new, kind, nullable in reversed(_RENAMED):
        _rename(table, new, old, kind, nullable=nullable)


def _rename(
    table: str,
    old: str,
    new: str,
    kind: Any,
    *,
    nullable: bool,
) -> None:
    # MySQL commits each change of a table: a migration that died in the middle left some behind.
    present = {each["name"] for each in sa.inspect(op.get_bind()).get_columns(table)}
    if new not in present:
        default: Any = None
        if new in ("is_final", "settled"):
            default = sa.true()
        elif table == "ocr_pages" and {old, new} == {"attempts", "attempt_count"}:
            default = sa.text("1")
        op.alter_column(
            table,
            old,
            new_column_name=new,
            existing_type=kind,
            existing_nullable=nullable,
            existing_server_default=default,
        )
