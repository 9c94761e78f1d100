"""Alembic's environment: migrates a connection, or writes SQL for a dialect.

:mod:`airflow_deepseek_ocr.store.migrate` and :mod:`~airflow_deepseek_ocr.store.migration_sql` hand it either.
"""

from alembic import context

from airflow_deepseek_ocr.store.compatibility import recorder
from airflow_deepseek_ocr.store.migrate import Migrations
from airflow_deepseek_ocr.store.names import VERSIONS, Names
from airflow_deepseek_ocr.store.tables import rows_of

attributes = context.config.attributes
names: Names = attributes["names"]
context.configure(
    connection=attributes.get("connection"),
    dialect_name=attributes.get("dialect"),
    target_metadata=rows_of(names).base.metadata,
    version_table=names.table(VERSIONS),
    version_table_schema=names.schema,
    on_version_apply=recorder(Migrations(names).compatible_back_to),
    names=names,
    literal_binds=context.is_offline_mode(),
)
with context.begin_transaction():
    context.run_migrations()
