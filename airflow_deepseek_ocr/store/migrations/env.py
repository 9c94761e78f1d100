"""Alembic's environment: migrates a connection, or writes SQL for a dialect.

:mod:`airflow_deepseek_ocr.store.migrate` and :mod:`~airflow_deepseek_ocr.store.migration_sql` hand it either.
"""

from alembic import context

from airflow_deepseek_ocr.store.compatibility import recorder
from airflow_deepseek_ocr.store.migrate import VERSION_TABLE, Migrations
from airflow_deepseek_ocr.store.tables import Base

attributes = context.config.attributes
context.configure(
    connection=attributes.get("connection"),
    dialect_name=attributes.get("dialect"),
    target_metadata=Base.metadata,
    version_table=VERSION_TABLE,
    on_version_apply=recorder(Migrations().compatible_back_to),
    literal_binds=context.is_offline_mode(),
)
with context.begin_transaction():
    context.run_migrations()
