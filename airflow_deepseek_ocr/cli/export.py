"""The command ``export``: make exports of stored documents, without the model."""

from __future__ import annotations

import argparse
import threading
from collections.abc import Sequence
from contextlib import closing
from typing import Any

from airflow_deepseek_ocr.cli.output import report, write
from airflow_deepseek_ocr.cli.results_database import (
    add_database,
    add_selection,
    airflow_importable,
    opened_database,
    selection_of,
)
from airflow_deepseek_ocr.cli.settings import add_fields
from airflow_deepseek_ocr.counted import counted
from airflow_deepseek_ocr.exceptions import DeepSeekOCRError, ErrorCode
from airflow_deepseek_ocr.hardware.cpu_limits import default_render_processes
from airflow_deepseek_ocr.ocr.documents.limits import Limits
from airflow_deepseek_ocr.ocr.documents.reference import DocumentRef
from airflow_deepseek_ocr.ocr.exports.formats import ALL, Format, parse_formats, require_packages
from airflow_deepseek_ocr.ocr.rendering.pool import RenderPool
from airflow_deepseek_ocr.ocr.rendering.sandbox.mode import Sandbox
from airflow_deepseek_ocr.pipeline.exports.export_queue import ExportPlan, ExportQueue
from airflow_deepseek_ocr.pipeline.exports.exporter import Exported
from airflow_deepseek_ocr.pipeline.working_directory import working_directory
from airflow_deepseek_ocr.sources.attachments import AttachmentSource
from airflow_deepseek_ocr.sources.base import Sources
from airflow_deepseek_ocr.sources.files import FileSource
from airflow_deepseek_ocr.sources.s3 import S3Source
from airflow_deepseek_ocr.store.browsing.selection import Selection, StoredVersion, find
from airflow_deepseek_ocr.store.migrate import read_schema
from airflow_deepseek_ocr.targets.address import parse_address
from airflow_deepseek_ocr.undecodable import readable_line


def add_export(commands: Any) -> None:
    """Add the command ``export``."""
    command = commands.add_parser(
        "export",
        help="make files of stored documents: Markdown, searchable PDF, ALTO and others, without the model",
    )
    add_selection(command)
    command.add_argument(
        "--to",
        required=True,
        metavar="PLACE",
        help="s3://bucket/prefix or a directory (its absolute path), not beside the documents",
    )
    add_format(command)
    command.add_argument(
        "--aws-conn-id",
        metavar="ID",
        help="Airflow connection to S3, for the originals and the exports (default: this host's own "
        "credentials)",
    )
    add_fields(command, ("sandbox",))
    add_database(command)
    command.set_defaults(run=_export)


def add_format(command: argparse.ArgumentParser) -> None:
    """Add the option ``--format``."""
    command.add_argument(
        "--format",
        dest="formats",
        default=Format.MARKDOWN.value,
        metavar="LIST",
        help=f"formats of exports, separated by commas: {', '.join(Format)}, {ALL} "
        f"(default: {Format.MARKDOWN})",
    )


def formats_of(options: argparse.Namespace) -> tuple[Format, ...]:
    """Return the formats that ``--format`` names.

    :raises ConfigurationError: ``export_format``.
    :raises MissingExtraError: ``missing_extra``.
    """
    formats = parse_formats([name.strip() for name in options.formats.split(",") if name.strip()])
    require_packages(formats)
    return formats


def _export(options: argparse.Namespace) -> int:
    formats, address = formats_of(options), parse_address(options.to)
    selection = selection_of(options, ErrorCode.ARGUMENT)
    limits, sandbox = Limits(), Sandbox(options.sandbox)
    with opened_database(options) as database, working_directory() as directory:
        with database.clear_errors():
            read_schema(database.engine, database.names).require_usable()
        found = [each for each in find(database, selection) if each.owner is None]
        address.require_apart(each.uri for each in found)
        missing = _missing(selection, found)

        def client() -> Any:
            return _s3_client(options.aws_conn_id)

        sources = Sources(
            {"s3": lambda: S3Source(client(), limits), "file": lambda: FileSource(limits)}
        )
        events = _Events()
        with (
            closing(RenderPool(limits, sandbox, default_render_processes())) as pool,
            closing(AttachmentSource(sources, limits, sandbox)) as source,
            ExportQueue(
                ExportPlan(address.open(client), formats),
                database,
                pool,
                source,
                directory,
                events,
                limits=limits,
                sandbox=sandbox,
            ) as queue,
        ):
            for each in found:
                queue.add(DocumentRef(each.uri), each.document_key)
            queue.finish()
    write(
        f"{counted(events.documents, 'document')} exported, {events.unchanged} up to date, "
        f"{events.failed} failed: {counted(events.files, 'file')}, {events.size:,} bytes."
    )
    return int(bool(missing or events.failed))


def _missing(selection: Selection, found: Sequence[StoredVersion]) -> bool:
    missing = sorted(set(selection.uris) - {each.uri for each in found})
    for uri in missing:
        report(f"Nothing is stored about {readable_line(uri)}, or a task is processing it.")
    return bool(missing)


class _Events:
    """Prints what happens to documents, in the threads that export them."""

    def __init__(self) -> None:
        self.documents = self.unchanged = self.failed = self.files = self.size = 0
        self._lock = threading.Lock()

    def exported(self, ref: DocumentRef, exported: Exported) -> None:
        """See :meth:`ExportEvents.exported`."""
        with self._lock:
            self.documents += bool(exported.written)
            self.unchanged += not exported.written
            self.files += exported.written
            self.size += exported.written_bytes
        for each in exported.refused:
            report(
                f"warning: {readable_line(ref.uri)}: no {each.format} ({each.code}): {each.error}"
            )
        place = exported.files[-1].uri.rpartition("/")[0]
        write(f"{readable_line(ref.uri)}  {counted(exported.written, 'file')}  {place}")

    def export_failed(self, ref: DocumentRef, error: DeepSeekOCRError) -> None:
        """See :meth:`ExportEvents.export_failed`."""
        with self._lock:
            self.failed += 1
        report(f"error: {readable_line(ref.uri)}: {error.code}: {error}")


def _s3_client(aws_conn_id: str | None) -> Any:
    if aws_conn_id is None:
        import boto3

        return boto3.client("s3")
    with airflow_importable():
        from airflow_deepseek_ocr.airflow_support.connections import s3_client

        return s3_client(aws_conn_id)
