"""Proof that the tables of a database are the package's, before anything in them is changed.

``docs/design/results-database.md`` says why the version table and the columns are the proof.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from sqlalchemy import Connection, bindparam, inspect, text

from airflow_deepseek_ocr.exceptions import ConfigurationError, ErrorCode
from airflow_deepseek_ocr.store.names import (
    CURRENT_DOCUMENTS,
    CURRENT_PAGES,
    DOCUMENT_LISTS,
    DOCUMENTS,
    EXPORTS,
    LIST_ITEMS,
    PAGES,
    PREFIX_SETTING,
    REGIONS,
    SCHEMA_SETTING,
    TABLE_CELLS,
    TABLES,
    VERSIONS,
    Names,
)
from airflow_deepseek_ocr.store.tables import rows_of


class _Expected(NamedTuple):
    """An object of the package.

    :param columns: those that it has at every migration.
    """

    kind: str
    columns: str


#: The columns of a table are those that it was created with and that no later migration renames.
EXPECTED = {
    VERSIONS: _Expected("table", "version_num"),
    DOCUMENTS: _Expected(
        "table",
        "id document_key version_key uri version etag size_bytes last_modified model revision prompt "
        "resolution status retryable error_code error media_type page_count dag_id run_id task_id map_index "
        "try_number created_at updated_at",
    ),
    PAGES: _Expected(
        "table",
        "id document_id page_number status error_code error resolution width height text markdown "
        "vision_tokens text_tokens compression_ratio seconds created_at",
    ),
    REGIONS: _Expected("table", "id page_id position label text x1 y1 x2 y2 boxes"),
    TABLES: _Expected("table", "id page_id position row_count column_count"),
    TABLE_CELLS: _Expected("table", "table_id row_index column_index row_span column_span text"),
    EXPORTS: _Expected("table", "id export_key document_id page_number kind uri created_at"),
    DOCUMENT_LISTS: _Expected("table", "id list_key origin document_count created_at expires_at"),
    LIST_ITEMS: _Expected("table", "list_id position version_key document"),
    CURRENT_DOCUMENTS: _Expected("view", "id uri version config_key status result_id"),
    CURRENT_PAGES: _Expected("view", "uri version config_key id document_id page_number markdown"),
}

#: Each query returns a row for each column of an object: schema, name, kind, the table of an index or
#: constraint, column.
_QUERIES = {
    # Without a schema a name is the first object of that name in the search path.
    "postgresql": """
        SELECT n.nspname, c.relname, CASE c.relkind WHEN 'r' THEN 'table' WHEN 'p' THEN 'table'
            WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' WHEN 'f' THEN 'foreign table'
            WHEN 'S' THEN 'sequence' WHEN 'c' THEN 'type' ELSE 'index' END,
            t.relname, a.attname
        FROM pg_catalog.pg_class c
        JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        LEFT JOIN pg_catalog.pg_index i ON i.indexrelid = c.oid
        LEFT JOIN pg_catalog.pg_class t ON t.oid = i.indrelid
        LEFT JOIN pg_catalog.pg_attribute a
            ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
        WHERE c.relname IN :names AND (n.nspname = CAST(:schema AS name)
            OR CAST(:schema AS name) IS NULL AND pg_catalog.pg_table_is_visible(c.oid))
        """,
    # Comparisons here ignore case; names of tables do so on some hosts only.
    "mysql": """
        SELECT t.table_schema, IF(@@lower_case_table_names = 0, t.table_name, lower(t.table_name)),
            CASE WHEN t.table_type IN ('BASE TABLE', 'SYSTEM VERSIONED') THEN 'table'
            ELSE lower(t.table_type) END, NULL, c.column_name
        FROM information_schema.tables t
        LEFT JOIN information_schema.columns c
            ON c.table_schema = t.table_schema AND c.table_name = t.table_name
        WHERE t.table_schema = COALESCE(:schema, DATABASE()) AND t.table_name IN :names
        UNION ALL
        SELECT constraint_schema, lower(constraint_name), 'foreign key',
            IF(@@lower_case_table_names = 0, table_name, lower(table_name)), NULL
        FROM information_schema.referential_constraints
        WHERE constraint_schema = COALESCE(:schema, DATABASE()) AND constraint_name IN :names
        """,
    # SQLite compares names without case.
    "sqlite": """
        SELECT :schema, lower(m.name), m.type, CASE m.type WHEN 'index' THEN lower(m.tbl_name) END, c.name
        FROM sqlite_master m LEFT JOIN pragma_table_info(m.name) c
        WHERE m.type IN ('table', 'view', 'index') AND lower(m.name) IN :names
        """,
}
#: Where a table is created that is named without a schema; NULL if nowhere.
_DEFAULT_SCHEMA = {"postgresql": "SELECT current_schema()", "mysql": "SELECT DATABASE()"}


@dataclass
class Found:
    """An object of the database whose name is one of the package's.

    :param of_table: the table of an index or constraint.
    """

    schema: str | None
    name: str
    kind: str
    of_table: str | None = None
    columns: set[str] = field(default_factory=set)

    def __str__(self) -> str:
        where = f"{self.schema}." if self.schema else ""
        of_table = f" (of {self.of_table})" if self.of_table else ""
        return f"{self.kind} {where}{self.name}{of_table}"


class Ownership:
    """The objects of a database that have names of the package.

    :param connection: to the database, of which one query is made.
    :param names: the names of the tables.
    """

    def __init__(self, connection: Connection, names: Names) -> None:
        self._connection, self._names = connection, names
        self._found = _objects(connection, names)

    @property
    def home(self) -> str | None:
        """The schema of the version table; None if there is none, or if the database has no schemas."""
        versions = self._of(VERSIONS)
        return versions.schema if versions else None

    def has_versions(self) -> bool:
        """Return whether there is a version table.

        :raises ConfigurationError: ``database_foreign`` if it, or a table beside it, is not the package's.
        """
        versions = self._of(VERSIONS)
        if versions is None:
            return False
        self._require_expected(versions, VERSIONS)
        for name in EXPECTED:
            found = self._of(name)
            if found and found.schema != versions.schema:
                raise self._foreign(
                    found,
                    f"the package's tables are in schema {versions.schema}, and the search path of the "
                    "connection leads to this one",
                )
            if found and found.kind != EXPECTED[name].kind:
                self._require_expected(found, name)
        return True

    def require_known(self, revision: str) -> None:
        """Raise if a version table with an unknown revision is all there is, as of another application.

        :raises ConfigurationError: ``database_foreign``.
        """
        versions = self._of(VERSIONS)
        if versions and not any(map(self._of, (DOCUMENTS, PAGES, REGIONS))):
            raise self._foreign(
                versions,
                f"its revision {revision!r} is none of the package's, and there is no table "
                f"{self._names.table(DOCUMENTS)}",
            )

    def require_changeable(self) -> None:
        """Raise if a migration would change, or collide with, an object of another application.

        :raises ConfigurationError: ``database_foreign``; ``database_schema`` if there is no schema for the
            tables.
        """
        versions = self.has_versions()
        for name in EXPECTED:
            found = self._of(name)
            if found:
                self._require_expected(found, name)
            if found and not versions:
                raise self._foreign(
                    found,
                    f"there is no table {self._names.table(VERSIONS)}, which the package creates before all "
                    "others. If it was lost, restore it from a backup",
                )
        home = self.home if versions else self._require_schema()
        ours = {self._names.table(each) for each in EXPECTED}
        for found in self._found.values():
            if found.schema == home and not {found.name, found.of_table} & ours:
                raise self._foreign(
                    found, "the package gives one of its indexes or constraints this name"
                )

    def _require_schema(self) -> str | None:
        """Return the schema in which tables are created; None on SQLite."""
        dialect = _dialect(self._connection)
        schema = self._names.schema
        if dialect == "sqlite":
            return None
        if schema is None:
            schema = self._connection.scalar(text(_DEFAULT_SCHEMA[dialect]))
            if schema is None:
                raise ConfigurationError(
                    ErrorCode.DATABASE_SCHEMA,
                    "The results connection leads to no schema for the tables. Name a database in its field "
                    f"Schema, a schema that exists in PostgreSQL's search_path, or set {SCHEMA_SETTING}.",
                )
        elif schema not in inspect(self._connection).get_schema_names():
            raise ConfigurationError(
                ErrorCode.DATABASE_SCHEMA,
                f"{SCHEMA_SETTING} is {schema!r}, and the results database has no such schema, or hides it "
                "from this user. Create it (CREATE SCHEMA), and grant the user its rights there.",
            )
        return schema

    def _of(self, name: str) -> Found | None:
        return self._found.get(self._names.table(name))

    def _require_expected(self, found: Found, name: str) -> None:
        expected = EXPECTED[name]
        if found.kind != expected.kind:
            raise self._foreign(found, f"the package has a {expected.kind} of this name")
        missing = [each for each in expected.columns.split() if each not in found.columns]
        if missing:
            more = ", ..." if missing[5:] else ""
            raise self._foreign(found, f"it has no column {', '.join(missing[:5])}{more}")

    def _foreign(self, found: Found, reason: str) -> ConfigurationError:
        return ConfigurationError(
            ErrorCode.DATABASE_FOREIGN,
            f"The results database has a {found} that airflow-deepseek-ocr did not make: {reason}. Nothing "
            f"was changed. Give the package's tables another prefix ({PREFIX_SETTING}) or schema "
            f"({SCHEMA_SETTING}), in section [deepseek_ocr] of Airflow's configuration or as arguments.",
        )


def _dialect(connection: Connection) -> str:
    return connection.dialect.name.replace("mariadb", "mysql")


def _objects(connection: Connection, names: Names) -> dict[str, Found]:
    """Return the objects by name."""
    wanted = {names.table(each) for each in EXPECTED}
    for table in rows_of(names).base.metadata.tables.values():
        wanted |= {str(each.name) for each in table.constraints}
        wanted |= {str(each.name) for each in table.indexes}
    query = text(_QUERIES[_dialect(connection)]).bindparams(bindparam("names", expanding=True))
    objects: dict[str, Found] = {}
    for schema, name, kind, of_table, column in connection.execute(
        query, {"schema": names.schema, "names": sorted(wanted)}
    ):
        if name in wanted:
            found = objects.setdefault(name, Found(schema, name, kind, of_table))
            found.columns.add(column)
    return objects
