"""Names of the tables in a database that other programs use too: a prefix and a schema."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Dialect

from airflow_deepseek_ocr.exceptions import ConfigurationError, ErrorCode

DOCUMENTS, PAGES, REGIONS = "ocr_documents", "ocr_pages", "ocr_regions"
TABLES, TABLE_CELLS, EXPORTS = "ocr_tables", "ocr_table_cells", "ocr_exports"
DOCUMENT_LISTS, LIST_ITEMS = "ocr_document_lists", "ocr_document_list_items"
#: Views of the above.
CURRENT_DOCUMENTS, CURRENT_PAGES = "ocr_current_documents", "ocr_current_pages"
#: Not ``alembic_version``: the database may be Airflow's, which has a table of that name.
VERSIONS = "ocr_alembic_version"

#: Arguments of operators, sensors and triggers, and options of Airflow's configuration.
PREFIX_SETTING, SCHEMA_SETTING = "db_table_prefix", "db_schema"

#: PostgreSQL cuts identifiers after 63 bytes. The longest name without a prefix has 38; the rest is for
#: later tables.
_LONGEST_PREFIX = 20
#: A name that no database folds to another case, so that queries need no quotes.
_PREFIX = re.compile(r"[a-z][a-z0-9_]*")
#: Schemas have the names that other programs gave them.
_SCHEMA = re.compile(r"[\w$-]{1,63}")


@dataclass(frozen=True)
class Names:
    """The names of one set of tables.

    :param prefix: begins the name of each table, index and constraint.
    :param schema: schema of the tables, on MySQL the database; None for the connection's own.
    :raises ConfigurationError: ``argument`` if one of them cannot be part of a name.
    """

    prefix: str = ""
    schema: str | None = None

    def __post_init__(self) -> None:
        if self.prefix and (
            len(self.prefix) > _LONGEST_PREFIX or not _PREFIX.fullmatch(self.prefix)
        ):
            raise ConfigurationError(
                ErrorCode.ARGUMENT,
                f"{PREFIX_SETTING} is {self.prefix[:200]!r}; it must be lower-case letters a to z, digits "
                f"and underscores, begin with a letter, and have at most {_LONGEST_PREFIX} characters, such "
                "as 'scans_'.",
            )
        if self.schema is not None and not _SCHEMA.fullmatch(self.schema):
            raise ConfigurationError(
                ErrorCode.ARGUMENT,
                f"{SCHEMA_SETTING} is {self.schema[:200]!r}; it must be the name of a schema (on MySQL and "
                "MariaDB of a database): letters, digits, underscores, hyphens and dollar signs, at most 63.",
            )

    def table(self, name: str) -> str:
        """Return the name of a table or view, without the schema."""
        return f"{self.prefix}{name}"

    def constraint(self, kind: str, table: str, column: str = "") -> str:
        """Return the name of an index or constraint.

        :param kind: ``pk``, ``uq``, ``ix`` or ``fk``.
        :param table: the table's name without the prefix.
        :param column: its first column; empty for a primary key.
        """
        return "_".join(filter(None, (kind, self.table(table), column)))

    def target(self, table: str, column: str = "id") -> str:
        """Return a column as a foreign key names it."""
        return ".".join(filter(None, (self.schema, self.table(table), column)))

    def qualified(self, name: str, dialect: Dialect) -> str:
        """Return a table's or view's name with its schema, quoted where SQL needs it."""
        quote = dialect.identifier_preparer
        schema = f"{quote.quote_schema(self.schema)}." if self.schema else ""
        return f"{schema}{quote.quote(self.table(name))}"

    def require_possible(self, dialect: str) -> None:
        """Raise if a kind of database has no such names.

        :param dialect: name of SQLAlchemy's dialect.
        :raises ConfigurationError: ``database_schema``.
        """
        if self.schema is not None and dialect == "sqlite":
            raise ConfigurationError(
                ErrorCode.DATABASE_SCHEMA,
                f"{SCHEMA_SETTING} is {self.schema!r}, and SQLite has no schemas. Remove it, or set "
                f"{PREFIX_SETTING}, or a connection to another file.",
            )


def names_of(row: Any) -> Names:
    """Return the names that a mapped class's base has."""
    names: Names = row.names
    return names
