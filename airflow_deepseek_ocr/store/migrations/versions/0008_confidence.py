"""The model's confidence in pages, regions and words, and the turn by which a page was read.

Revision ID: 0008
Revises: 0007
"""

import sqlalchemy as sa

from airflow_deepseek_ocr.store.column_types import LongText
from airflow_deepseek_ocr.store.migrations.steps import (
    add_column,
    create_view,
    current_pages,
    drop_column,
    drop_view,
    replace_view,
)

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

#: Older versions leave the columns empty.
compatible_back_to = "0004"

_PAGE_COLUMNS = ("confidence", "rotation", "uncertain_words")
_REGION_COLUMNS = ("confidence", "word_confidences")


def upgrade() -> None:
    """Add the columns, and show those of pages in the view."""
    add_column("ocr_pages", sa.Column("confidence", sa.Double))
    add_column("ocr_pages", sa.Column("rotation", sa.Integer))
    add_column("ocr_pages", sa.Column("uncertain_words", LongText))
    add_column("ocr_regions", sa.Column("confidence", sa.Double))
    add_column("ocr_regions", sa.Column("word_confidences", LongText))
    replace_view("ocr_current_pages", current_pages(*_PAGE_COLUMNS), _PAGE_COLUMNS)


def downgrade() -> None:
    """Drop the columns, and show pages without them."""
    drop_view("ocr_current_pages")
    for table, columns in (("ocr_pages", _PAGE_COLUMNS), ("ocr_regions", _REGION_COLUMNS)):
        for name in columns:
            drop_column(table, name)
    create_view("ocr_current_pages", current_pages())
