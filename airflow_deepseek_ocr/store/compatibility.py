"""Which older versions of the package may use the tables of a newer one.

Each migration from 0005 on says in ``compatible_back_to`` which migration's version of the package still
works on the tables that it leaves. The version table keeps that of the last migration.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

if TYPE_CHECKING:
    from alembic.runtime.migration import MigrationContext

#: Column of the version table, and attribute of a migration.
COMPATIBLE_BACK_TO = "compatible_back_to"


def recorder(oldest: Callable[[str], str | None]) -> Callable[..., None]:
    """Return a callback for Alembic's ``on_version_apply``, which runs in the migration's transaction.

    :param oldest: returns what a migration says; None before the version table has the column.
    """

    def record(*, ctx: MigrationContext, heads: Iterable[str], **_: Any) -> None:
        for revision in heads:
            value = oldest(revision)
            if value is not None:
                versions = sa.table(
                    ctx.version_table,
                    sa.column(COMPATIBLE_BACK_TO, sa.String),
                    schema=ctx.version_table_schema,
                )
                ctx.execute(versions.update().values({COMPATIBLE_BACK_TO: value}))

    return record
