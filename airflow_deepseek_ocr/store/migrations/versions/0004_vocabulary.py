"""Columns and stored values take the field's terms.

Revision ID: 0004
Revises: 0003

Each step changes only what still has its old name, so a migration that died is repeated from its beginning.
"""

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import sqlalchemy as sa
from alembic import op

from airflow_deepseek_ocr.store.column_types import LongText
from airflow_deepseek_ocr.store.migrations.steps import is_sql_only, rename_column, table_of

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

#: Keys are hashes of configurations whose members are renamed, so SQL alone cannot migrate rows.
computes_rows = True

#: Rows read and written at once.
_BATCH = 500

#: (table, old name, new name, type, nullable, server default), in an order in which each new name is free.
_COLUMNS = (
    ("ocr_documents", "recipe_key", "config_key", sa.String(64), False, None),
    ("ocr_documents", "recipe", "config", sa.Text(), False, None),
    ("ocr_documents", "attempts", "claims", sa.Integer(), False, None),
    ("ocr_pages", "attempts", "attempt_count", sa.Integer(), False, sa.text("1")),
    ("ocr_pages", "readings", "attempts", LongText, True, None),
    ("ocr_pages", "settled", "is_final", sa.Boolean(), False, sa.true()),
)
_STATUS = {"reading": "processing"}
#: Members of a stored configuration.
_CONFIG_NAMES = {"recipe_version": "config_version", "reread": "retry_with"}
#: Retry steps, in configurations and as the way of an attempt; ``guard:20/200`` keeps its numbers.
_STEPS = {"guard": "no_repeat_ngram", "halves": "slices_2", "quarters": "slices_4"}
_FLAGS = {"only_in_reading": "only_in_output"}
#: Error codes; a page that fails the quality checks has the name of a flag instead.
_CODES = {
    "drawing_killed": "renderer_killed",
    "drawing_process": "renderer_unavailable",
    "guard": "no_repeat_ngram",
    "reread": "retry_with",
    "server_answer": "server_response",
    "server_guard": "server_no_repeat_ngram",
    "server_secret": "server_api_key",
    "servers_folder": "servers_directory",
} | _FLAGS

_Names = Mapping[str, str]


def upgrade() -> None:
    """Give columns and values their new names."""
    for table, old, new, kind, nullable, default in _COLUMNS:
        rename_column(table, old, new, kind, nullable=nullable, default=default)
    _change_values("config_key", "config", "attempts", lambda names: names)


def downgrade() -> None:
    """Give columns and values their old names."""
    for table, old, new, kind, nullable, default in reversed(_COLUMNS):
        rename_column(table, new, old, kind, nullable=nullable, default=default)
    _change_values("recipe_key", "recipe", "readings", _reversed)


def _reversed(names: _Names) -> _Names:
    return {new: old for old, new in names.items()}


def _change_values(
    key_column: str, config_column: str, attempts_column: str, direction: Callable[[_Names], _Names]
) -> None:
    for table, column, names in (
        ("ocr_documents", "status", _STATUS),
        ("ocr_documents", "error_code", _CODES),
        ("ocr_pages", "error_code", _CODES),
    ):
        _rename_values(table, column, direction(names))
    if is_sql_only():
        return
    _rename_in_configs(key_column, config_column, direction(_CONFIG_NAMES), direction(_STEPS))
    _rename_in_attempts(
        attempts_column,
        steps=direction(_STEPS),
        flags=direction(_FLAGS),
        codes=direction(_CODES),
    )


def _rename_values(table: str, column: str, names: _Names) -> None:
    changed = table_of(table, sa.column(column, sa.String))
    for old, new in names.items():
        op.execute(changed.update().where(changed.c[column] == old).values({column: new}))


def _rename_in_configs(key_column: str, config_column: str, names: _Names, steps: _Names) -> None:
    """Rename members and retry steps of configurations, and hash them again.

    A document stays known by its keys: today's configuration has the same hash.
    """
    rows = table_of(
        "ocr_documents",
        sa.column("id", sa.BigInteger),
        sa.column("uri", sa.Text),
        sa.column("version", sa.Text),
        sa.column("document_key", sa.String),
        sa.column(key_column, sa.String),
        sa.column(config_column, sa.Text),
    )
    old_version = next(name for name in names if name.endswith("_version"))
    outdated = rows.c[config_column].contains(f'"{old_version}"', autoescape=True)
    for batch in _batches(rows, outdated):
        changes = []
        for row in batch:
            values = {
                names.get(name, name): value
                for name, value in json.loads(getattr(row, config_column)).items()
            }
            for name in {"reread", "retry_with"} & values.keys():
                values[name] = _with_steps(values[name], steps)
            config = json.dumps(values, sort_keys=True)
            key = _digest(config)
            changes.append(
                {
                    "row_id": row.id,
                    "new_config": config,
                    "new_config_key": key,
                    "new_document_key": _digest(row.uri, row.version, key),
                }
            )
        op.get_bind().execute(
            rows.update()
            .where(rows.c.id == sa.bindparam("row_id"))
            .values(
                {
                    config_column: sa.bindparam("new_config"),
                    key_column: sa.bindparam("new_config_key"),
                    "document_key": sa.bindparam("new_document_key"),
                }
            ),
            changes,
        )


def _rename_in_attempts(
    attempts_column: str, *, steps: _Names, flags: _Names, codes: _Names
) -> None:
    """Rename flags of pages, and ways, flags and error codes of their attempts."""
    rows = table_of(
        "ocr_pages",
        sa.column("id", sa.BigInteger),
        sa.column("flags", sa.Text),
        sa.column(attempts_column, sa.Text),
    )
    outdated = sa.or_(
        *(rows.c.flags.contains(f'"{name}"', autoescape=True) for name in flags),
        *(
            rows.c[attempts_column].contains(f'"{name}{end}', autoescape=True)
            for name in {*steps, *flags, *codes}
            for end in '":'
        ),
    )
    for batch in _batches(rows, outdated):
        changes = []
        for row in batch:
            attempts = json.loads(getattr(row, attempts_column) or "null")
            for attempt in attempts or ():
                attempt["how"] = _with_steps(attempt["how"], steps)
                attempt["flags"] = [flags.get(flag, flag) for flag in attempt["flags"]]
                attempt["error_code"] = codes.get(attempt["error_code"], attempt["error_code"])
            found = json.loads(row.flags or "null")
            changes.append(
                {
                    "row_id": row.id,
                    "new_flags": _dumps(found and [flags.get(flag, flag) for flag in found]),
                    "new_attempts": _dumps(attempts),
                }
            )
        op.get_bind().execute(
            rows.update()
            .where(rows.c.id == sa.bindparam("row_id"))
            .values(
                {
                    "flags": sa.bindparam("new_flags"),
                    attempts_column: sa.bindparam("new_attempts"),
                }
            ),
            changes,
        )


def _batches(rows: sa.TableClause, outdated: Any) -> Iterator[list[Any]]:
    last = 0
    while True:
        batch = list(
            op.get_bind().execute(
                sa.select(rows).where(outdated, rows.c.id > last).order_by(rows.c.id).limit(_BATCH)
            )
        )
        if not batch:
            return
        yield batch
        last = batch[-1].id


def _dumps(value: Any) -> str | None:
    return None if value is None else json.dumps(value)


def _with_steps(text: str, steps: _Names) -> str:
    return re.sub(r"[a-z_0-9]+", lambda match: steps.get(match[0], match[0]), text)


def _digest(*parts: str) -> str:
    """Return the SHA-256 of the parts, as today's keys are made; a copy, since the code may change."""
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()
