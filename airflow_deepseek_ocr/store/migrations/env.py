"""Alembic's environment; :func:`airflow_deepseek_ocr.store.migrate.upgrade` hands it a connection."""

from alembic import context

from airflow_deepseek_ocr.store.migrate import VERSION_TABLE
from airflow_deepseek_ocr.store.tables import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    version_table=VERSION_TABLE,
)
with context.begin_transaction():
    context.run_migrations()
