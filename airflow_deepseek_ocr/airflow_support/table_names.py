"""The names of the tables: arguments, and options of Airflow's configuration."""

from __future__ import annotations

from typing import Any

from airflow.providers.common.compat.sdk import conf

from airflow_deepseek_ocr.connection import values
from airflow_deepseek_ocr.store.names import PREFIX_SETTING, SCHEMA_SETTING, Names

#: Section of Airflow's configuration.
CONFIG_SECTION = "deepseek_ocr"


def _prefix(name: str, value: Any) -> str:
    return Names(prefix=values.text(name, value)).prefix


def _schema(name: str, value: Any) -> str | None:
    return Names(schema=values.text(name, value)).schema


#: How the arguments are converted.
TABLE_NAMES: dict[str, values.Convert] = {
    SCHEMA_SETTING: values.optional(_schema),
    PREFIX_SETTING: values.optional(_prefix),
}


def configured_names(db_schema: str | None = None, db_table_prefix: str | None = None) -> Names:
    """Return the names of the tables; None takes the value of Airflow's configuration.

    :raises ConfigurationError: ``argument``.
    """
    given = {SCHEMA_SETTING: db_schema, PREFIX_SETTING: db_table_prefix}
    schema, prefix = (
        convert(name, given[name] or conf.get(CONFIG_SECTION, name, fallback=None))
        for name, convert in TABLE_NAMES.items()
    )
    return Names(prefix or "", schema)
