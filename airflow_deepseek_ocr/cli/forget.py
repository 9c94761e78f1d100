"""The command ``forget``: delete documents with everything that is stored about them."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any

from airflow_deepseek_ocr.cli.output import report, write
from airflow_deepseek_ocr.cli.results_database import (
    add_database,
    add_selection,
    opened_database,
    selection_of,
)
from airflow_deepseek_ocr.counted import counted
from airflow_deepseek_ocr.exceptions import ConfigurationError, ErrorCode
from airflow_deepseek_ocr.store.browsing.selection import StoredVersion, find
from airflow_deepseek_ocr.store.database import Database
from airflow_deepseek_ocr.store.forget import Deleted, forget
from airflow_deepseek_ocr.store.leases import LeasedByAnother
from airflow_deepseek_ocr.store.migrate import read_schema
from airflow_deepseek_ocr.undecodable import readable_line

#: Characters of a configuration's key that are printed.
_KEY_LENGTH = 12
_REMAINS = (
    "Not deleted: the files themselves (a run that finds them reads them again), and copies in backups of "
    "the database, XComs and task logs."
)


def add_forget(commands: Any) -> None:
    """Add the command ``forget``."""
    command = commands.add_parser(
        "forget", help="delete documents with all that the results database holds about them"
    )
    add_selection(command)
    command.add_argument(
        "--dry-run", action="store_true", help="list what would be deleted, and delete nothing"
    )
    command.add_argument("--yes", action="store_true", help="do not ask for confirmation")
    command.add_argument(
        "--force",
        action="store_true",
        help="also delete documents that a task is processing; the task can store nothing more of them "
        "and leaves them",
    )
    add_database(command)
    command.set_defaults(run=_forget)


def _forget(options: argparse.Namespace) -> int:
    selection = selection_of(options, ErrorCode.FORGET)
    with opened_database(options) as database:
        with database.clear_errors():
            read_schema(database.engine, database.names).require_usable()
        found = list(find(database, selection))
        missing = sorted(set(selection.uris) - {each.uri for each in found})
        for uri in missing:
            report(f"Nothing is stored about {readable_line(uri)}.")
        if options.dry_run or not found:
            _list(found)
            return int(bool(missing))
        if not options.yes:
            _list(found)
            _confirm(len(found))
        kept = _delete(database, found, force=options.force)
    return int(bool(missing or kept))


def _list(found: Sequence[StoredVersion]) -> None:
    for each in found:
        state = f"processed now by {each.owner}" if each.owner else each.status
        write(
            f"{readable_line(each.uri)}  version {each.version or '(unknown)'}  "
            f"config {each.config_key[:_KEY_LENGTH]}  {counted(each.pages, 'page')}  {state}"
        )
    pages = sum(each.pages for each in found)
    write(f"{_documents(found)}, {_rows(found)}, {counted(pages, 'page')}.")


def _documents(found: Sequence[StoredVersion]) -> str:
    return counted(len({each.uri for each in found}), "document")


def _rows(found: Sequence[StoredVersion]) -> str:
    return f"{counted(len(found), 'row')} of ocr_documents"


def _confirm(rows: int) -> None:
    if sys.stdin is None or not sys.stdin.isatty():
        raise ConfigurationError(
            ErrorCode.FORGET,
            "Nothing was deleted: there is no terminal to confirm at. Give --yes, or --dry-run to list only.",
        )
    try:
        answer = input(f"Delete {counted(rows, 'row')} for good? Type yes: ")
    except EOFError:  # Ctrl-D
        answer = ""
    if answer.strip().lower() != "yes":
        raise ConfigurationError(ErrorCode.FORGET, "Nothing was deleted.")


def _delete(database: Database, found: Sequence[StoredVersion], *, force: bool) -> int:
    """Delete the rows one after the other, and return how many tasks kept."""
    deleted: list[StoredVersion] = []
    pages = regions = kept = 0
    for each in found:
        result = forget(database, each.document_key, force=force)
        if isinstance(result, LeasedByAnother):
            kept += 1
            report(
                f"Not deleted: {readable_line(each.uri)} is being processed by {result.owner}. Wait or end "
                "the task and repeat the command, or give --force."
            )
        elif isinstance(result, Deleted):
            deleted.append(each)
            pages, regions = pages + result.pages, regions + result.regions
    write(
        f"Deleted {_documents(deleted)}: {_rows(deleted)}, {counted(pages, 'page')}, "
        f"{counted(regions, 'region')}. {_REMAINS}"
    )
    return kept
