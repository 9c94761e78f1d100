"""Size of the tables per page on PostgreSQL: python -m benchmarks.database_size RESULTS.db

The rows of a SQLite results database, such as ``make demo`` leaves in ``.demo/out``, are inserted many
times into a PostgreSQL server that is started for this run.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from sqlalchemy import Engine, create_engine, func, insert, select, text

from airflow_deepseek_ocr.store.migrate import upgrade
from airflow_deepseek_ocr.store.tables import DocumentRow, PageRow, RegionRow
from tests.support.servers.postgres import postgres

#: Columns that tie a table's rows to another table.
_PARENTS = ((DocumentRow, None), (PageRow, "document_id"), (RegionRow, "page_id"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", type=Path, help="SQLite results database")
    parser.add_argument("--copies", type=int, default=2000)
    options = parser.parse_args()
    if not options.results.is_file():
        parser.error(f"there is no file {options.results}")
    source = create_engine(f"sqlite:///{options.results}")
    with postgres() as server:
        target = create_engine(server.sqlalchemy_url)
        upgrade(target)
        copy(source, target, options.copies)
        report(target)
        target.dispose()
    source.dispose()


def copy(source: Engine, target: Engine, copies: int) -> None:
    with source.connect() as connection:
        tables = [
            (
                kind,
                parent,
                [dict(row) for row in connection.execute(select(kind.__table__)).mappings()],
            )
            for kind, parent in _PARENTS
        ]
    step = 1 + max(row["id"] for _, _, rows in tables for row in rows)
    with target.begin() as connection:
        for number in range(copies):
            for kind, parent, rows in tables:
                moved = []
                for row in rows:
                    changed = row | {"id": row["id"] + number * step}
                    if parent is None:
                        changed["document_key"] = f"{number}-{row['id']}"
                    else:
                        changed[parent] = row[parent] + number * step
                    moved.append(changed)
                connection.execute(insert(kind.__table__), moved)


def report(target: Engine) -> None:
    with target.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE"))
        pages = connection.scalar(select(func.count()).select_from(PageRow)) or 0
        characters = connection.scalar(select(func.avg(func.length(PageRow.text))))
        version = connection.scalar(text("SHOW server_version"))
        print(f"PostgreSQL {version}: {pages} pages, {characters:.0f} characters each")
        total = 0
        for kind, _ in _PARENTS:
            rows = connection.scalar(select(func.count()).select_from(kind))
            size = connection.scalar(select(func.pg_total_relation_size(kind.__tablename__)))
            total += size
            print(f"{kind.__tablename__}: {rows} rows, {size / pages:.0f} bytes per page")
        print(f"all: {total / pages:.0f} bytes per page")


if __name__ == "__main__":
    main()
