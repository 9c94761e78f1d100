"""The model's confidence in pages, regions and words, and the turn by which a page was read.

Revision ID: 0008
Revises: 0007
"""

import sqlalchemy as sa

from airflow_deepseek_ocr.store.column_types import LongText
from airflow_deepseek_ocr.store.migrations.steps import (
    add_column,
    create_view,
    drop_column,
    drop_view,
    qualified,
)

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

#: Older versions leave the columns empty.
compatible_back_to = "0004"

_PAGE_COLUMNS = ("confidence", "rotation", "uncertain_words")
_REGION_COLUMNS = ("confidence", "word_confidences")


def _pages(*columns: str) -> str:
    """Return the query of pages.

    :param columns: columns of ``ocr_pages`` beside those of migration 0007.
    """
    more = "".join(f", p.{name}" for name in columns)
    return f"""
SELECT
    c.uri, c.result_version AS version, c.result_last_modified AS last_modified, c.config_key, c.model,
    c.revision, c.prompt, c.is_newest_version, c.is_newest_config,
    p.id, p.document_id, p.page_number, p.status, p.error_code, p.error, p.resolution, p.width, p.height,
    p.text, p.markdown, p.vision_tokens, p.text_tokens, p.compression_ratio, p.seconds, p.score, p.flags,
    p.agreement, p.agreement_ordered, p.attempt_count, p.attempts, p.vision_tokens_saved, p.is_final,
    p.created_at{more}
FROM {qualified("ocr_current_documents")} AS c
JOIN {qualified("ocr_pages")} AS p ON p.document_id = c.result_id
"""  # noqa: S608


def upgrade() -> None:
    """Add the columns, and show those of pages in the view."""
    drop_view("ocr_current_pages")
    add_column("ocr_pages", sa.Column("confidence", sa.Double))
    add_column("ocr_pages", sa.Column("rotation", sa.Integer))
    add_column("ocr_pages", sa.Column("uncertain_words", LongText))
    add_column("ocr_regions", sa.Column("confidence", sa.Double))
    add_column("ocr_regions", sa.Column("word_confidences", LongText))
    create_view("ocr_current_pages", _pages(*_PAGE_COLUMNS))


def downgrade() -> None:
    """Drop the columns, and show pages without them."""
    drop_view("ocr_current_pages")
    for table, columns in (("ocr_pages", _PAGE_COLUMNS), ("ocr_regions", _REGION_COLUMNS)):
        for name in columns:
            drop_column(table, name)
    create_view("ocr_current_pages", _pages())
