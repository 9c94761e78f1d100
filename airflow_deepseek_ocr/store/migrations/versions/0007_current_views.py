"""Views of the current result of each document, and of its pages.

Revision ID: 0007
Revises: 0006

``docs/reference/tables.md`` defines what is current.
"""

from airflow_deepseek_ocr.store.migrations.steps import (
    create_view,
    current_pages,
    drop_view,
    is_mysql,
    qualified,
)

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

#: Older versions do not use the views.
compatible_back_to = "0004"

#: Newest version first. Documents that failed before their version was known have an empty one. S3 stores
#: times to the second; of two versions in one second the one that was found later is newer.
_NEWEST = "is_known DESC, stored_at DESC, created_at DESC, id DESC"
#: Of several configurations with the same version, the one that finished last.
_NEWEST_CONFIG = "has_result DESC, is_known DESC, stored_at DESC, result_at DESC, id DESC"


def _documents(uri: str) -> str:
    """Return the query of documents.

    The windows have ids only: MariaDB sorts its rows once for each window. All partitions contain the URI, so
    databases apply a condition on it before they rank.

    :param uri: what distinguishes URIs.
    """
    documents = qualified("ocr_documents")
    first = "FIRST_VALUE(id) OVER (PARTITION BY"
    return f"""
SELECT
    d.id, w.uri, d.version, d.etag, d.size_bytes, d.last_modified, d.config_key, d.config, d.model,
    d.revision, d.prompt, d.resolution, d.status, d.retryable, d.error_code, d.error, d.media_type,
    d.page_count, d.claims, d.dag_id, d.run_id, d.task_id, d.map_index, d.try_number, d.lease_expires_at,
    d.created_at, d.updated_at, d.finished_at,
    r.id AS result_id, r.version AS result_version, r.last_modified AS result_last_modified,
    COALESCE(r.version_key = v.version_key, FALSE) AS is_newest_version,
    d.config_key = c.config_key AS is_newest_config
FROM (
    SELECT
        id, uri,
        {first} {uri}, config_key ORDER BY {_NEWEST} ROWS UNBOUNDED PRECEDING) AS newest_id,
        FIRST_VALUE(CASE WHEN has_result = 1 THEN id END) OVER (
            PARTITION BY {uri}, config_key ORDER BY has_result DESC, {_NEWEST} ROWS UNBOUNDED PRECEDING
        ) AS result_id,
        {first} {uri} ORDER BY {_NEWEST} ROWS UNBOUNDED PRECEDING) AS newest_version_id,
        {first} {uri} ORDER BY {_NEWEST_CONFIG} ROWS UNBOUNDED PRECEDING) AS newest_config_id
    FROM (
        SELECT
            id, uri, config_key, created_at,
            CASE WHEN version = '' THEN 0 ELSE 1 END AS is_known,
            COALESCE(last_modified, created_at) AS stored_at,
            COALESCE(finished_at, updated_at) AS result_at,
            CASE
                WHEN finished_at IS NOT NULL OR status IN ('done', 'partial') THEN 1 ELSE 0
            END AS has_result
        FROM {documents}
    ) AS a
) AS w
JOIN {documents} AS d ON d.id = w.id
LEFT JOIN {documents} AS r ON r.id = w.result_id
LEFT JOIN {documents} AS v ON v.id = w.newest_version_id
LEFT JOIN {documents} AS c ON c.id = w.newest_config_id
WHERE w.id = w.newest_id
"""  # noqa: S608


def upgrade() -> None:
    """Create the views."""
    # MySQL sorts by the first 1,024 bytes of a text, and ignores spaces at its end. MySQL 9.6 has no MD5().
    create_view("ocr_current_documents", _documents("uri, SHA2(uri, 256)" if is_mysql() else "uri"))
    create_view("ocr_current_pages", current_pages())


def downgrade() -> None:
    """Drop the views."""
    drop_view("ocr_current_pages")
    drop_view("ocr_current_documents")
