"""The command ``read``: read files with the model and print their text."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from airflow_deepseek_ocr.cli.attached_files import AttachedFiles, NamedFile
from airflow_deepseek_ocr.cli.export import add_format, formats_of
from airflow_deepseek_ocr.cli.models import fetch
from airflow_deepseek_ocr.cli.notes import Notes
from airflow_deepseek_ocr.cli.output import report, require_output, use_utf8, write, write_json
from airflow_deepseek_ocr.cli.settings import add_fields, connection_settings
from airflow_deepseek_ocr.connection.options import OcrOptions
from airflow_deepseek_ocr.connection.settings import Settings
from airflow_deepseek_ocr.connection.values import ATTACHMENTS
from airflow_deepseek_ocr.exceptions import DeepSeekOCRError, ErrorCode
from airflow_deepseek_ocr.hardware.devices import require_one_device
from airflow_deepseek_ocr.ocr.documents.base import Document, Page
from airflow_deepseek_ocr.ocr.documents.limits import Limits
from airflow_deepseek_ocr.ocr.documents.page_selection import PageSelection
from airflow_deepseek_ocr.ocr.documents.unshown import AttachedFile, unshown_messages
from airflow_deepseek_ocr.ocr.engine_protocol import Engine, Progress
from airflow_deepseek_ocr.ocr.exports.page_json import page_to_dict
from airflow_deepseek_ocr.ocr.fingerprint import FIGURES_DESCRIBED, ProcessingConfig
from airflow_deepseek_ocr.ocr.prompts import DEFAULT_PROMPT, PROMPTS
from airflow_deepseek_ocr.ocr.recognition.page_result import failed_page
from airflow_deepseek_ocr.ocr.recognition.reader import Reader
from airflow_deepseek_ocr.ocr.recognition.retry_strategy import (
    parse_retry_with,
    parse_text_layer_use,
)
from airflow_deepseek_ocr.ocr.rendering.messages import OpenRequest
from airflow_deepseek_ocr.ocr.rendering.pdf_maker import PdfMaker
from airflow_deepseek_ocr.ocr.rendering.pool import RenderPool, SharedDocument
from airflow_deepseek_ocr.ocr.rendering.renderer import Renderer
from airflow_deepseek_ocr.ocr.rendering.sandbox.mode import Sandbox
from airflow_deepseek_ocr.ocr.results import PageResult, PageStatus
from airflow_deepseek_ocr.pipeline.exports.file_exports import FileExports
from airflow_deepseek_ocr.sources.files import open_regular
from airflow_deepseek_ocr.undecodable import readable, readable_line

_FIELDS = (
    "model",
    "model_family",
    "revision",
    "cache_dir",
    "device",
    "dtype",
    "batch_size",
    "max_output_length",
    "resolution",
    "retry_with",
    "text_layer",
    "figures",
    "sandbox",
)


def add_read(commands: Any) -> None:
    """Add the command ``read``."""
    read = commands.add_parser("read", help="read files with the model and print their text")
    read.add_argument("files", nargs="+", type=Path, metavar="FILE", help="PDF or image")
    read.add_argument(
        "--prompt",
        help=f"{', '.join(PROMPTS)} (locate:TEXT to find TEXT) (default: {DEFAULT_PROMPT})",
    )
    add_fields(read, _FIELDS)
    read.add_argument("--pages", help="pages of each document, such as 1-3,10- (default: all)")
    read.add_argument(
        "--dpi",
        type=int,
        default=OcrOptions.dpi,
        help=f"resolution at which PDF pages are rendered (default: {OcrOptions.dpi})",
    )
    read.add_argument(
        "--min-score",
        type=float,
        default=OcrOptions.min_score,
        help="quality score from which output is accepted, 0 (accepts all) to 1 "
        f"(default: {OcrOptions.min_score})",
    )
    read.add_argument(
        "--attachments",
        choices=ATTACHMENTS,
        default=ATTACHMENTS[0],
        help="PDFs and images that are attached to a PDF: named in a warning, or read after it as separate "
        "files (default: name)",
    )
    read.add_argument(
        "--export",
        type=Path,
        metavar="DIR",
        help="write files into a directory for each document in DIR",
    )
    add_format(read)
    read.add_argument("--json", action="store_true", help="print one JSON object per page")
    read.add_argument(
        "--notes",
        type=Path,
        metavar="FILE",
        help="write a Markdown record of the run: host, GPU, versions, model, settings, seconds and status "
        "of each page; enough to repeat it",
    )
    read.set_defaults(run=_read)


def _read(options: argparse.Namespace) -> int:
    require_output()
    if options.json:
        use_utf8()
    formats = formats_of(options) if options.export is not None else ()
    settings = connection_settings(options)
    require_one_device(settings.device)
    config = settings.processing_config(OcrOptions.of(options))
    with (
        Notes(options.notes, options.arguments, settings, config) as notes,
        Renderer(Limits(), Sandbox(settings.sandbox)) as renderer,
        AttachedFiles(options.files, Limits(), read=options.attachments == "read") as files,
        # Starts a process only for a page that is tried again: its document may be closed by then.
        closing(RenderPool(Limits(), Sandbox(settings.sandbox))) as again,
        PdfMaker(Limits(), Sandbox(settings.sandbox)) as maker,
    ):
        renderer.require_sandbox()
        output = _Output(as_json=options.json, notes=notes)
        if options.export is not None:
            output.exports = FileExports(options.export, formats, config, again, maker)
        reader = Reader(
            partial(_engine, settings, notes),
            config.prompt,
            config.resolution,
            steps=parse_retry_with(config.retry_with),
            text_layer_use=parse_text_layer_use(config.text_layer),
            min_score=config.min_score,
            describes_figures=config.figures == FIGURES_DESCRIBED,
        )
        pages = _pages(renderer, again, files, config, output)
        for file, page in reader.read(pages, _show_progress):
            output.page(file, page)
        output.export()
    return 1 if output.failures else 0


def _engine(settings: Settings, notes: Notes) -> Engine:
    from airflow_deepseek_ocr.engines.in_process.engine_cache import EngineKey, cached_engine

    started = time.monotonic()
    directory = fetch(settings)
    key = EngineKey(
        directory=directory,
        device=settings.device,
        dtype=settings.dtype,
        batch_size=settings.batch_size,
        decoding=settings.decoding,
    )
    return notes.load(directory, lambda: cached_engine(key), started)


def _pages(
    renderer: Renderer,
    again: RenderPool,
    files: AttachedFiles,
    config: ProcessingConfig,
    output: _Output,
) -> Iterator[tuple[Path, Page]]:
    selection = PageSelection.parse(config.pages)
    image_only = OpenRequest(selection, config.dpi, text_layer=False, edge_density=False)
    for file in files:
        shared = SharedDocument(file.path, image_only)
        try:
            # Opened here too: the system's message explains a wrong path best.
            with (
                open_regular(os.fspath(file.path), readable_line(str(file.name))),
                renderer.open(
                    file.path,
                    selection=selection,
                    dpi=config.dpi,
                    attachments=files.reads_attachments(file),
                ) as document,
            ):
                found: list[tuple[int | None, AttachedFile]] = [
                    (None, each) for each in document.attached
                ]
                output.opened(file, document)
                for number in document.page_numbers:
                    try:
                        page = document.page(number)
                    except DeepSeekOCRError as error:
                        output.page(file.name, failed_page(number, config.resolution, error))
                    else:
                        found += [(number, each) for each in page.attached]
                        render = partial(again.render_again, shared, number)
                        yield file.name, replace(page, render_again=render)
                output.unshown(file.name, document)
                for name, failure in files.extract(file, document, found):
                    output.document_failed(name, failure.code, str(failure))
        except DeepSeekOCRError as error:
            output.document_failed(file.name, error.code, str(error))
        except OSError as error:
            output.document_failed(
                file.name, ErrorCode.MISSING_FILE, f"{error.strerror}; check the path."
            )


@dataclass
class _Output:
    as_json: bool
    notes: Notes
    failures: int = 0
    exports: FileExports | None = None

    def opened(self, file: NamedFile, document: Document) -> None:
        if self.exports is not None:
            self.exports.opened(file.name, file.path, document.media_type, document.page_count)

    def export(self) -> None:
        for file, exported in self.exports.write() if self.exports is not None else ():
            for each in (*exported.refused, *exported.failed):
                self.failures += 1
                report(
                    f"error: {readable_line(str(file))}: no {each.format} ({each.code}): {each.error}"
                )

    def page(self, file: Path, page: PageResult) -> None:
        if self.exports is not None:
            self.exports.add(file, page)
        self.failures += page.status is PageStatus.FAILED
        self.notes.page(str(file), page)
        if self.as_json:
            write_json(page_to_dict(readable(str(file)), page))
        else:
            name = readable_line(str(file))
            write(f"<!-- {name}, page {page.number} -->\n\n{page.markdown}\n")
        if page.error:
            report(f"error: {readable_line(str(file))}, page {page.number}: {page.error}")

    def unshown(self, file: Path, document: Document) -> None:
        for message in unshown_messages(document.attachments, dynamic_form=document.dynamic_form):
            report(f"warning: {readable_line(str(file))}: {message}")

    def document_failed(self, file: Path, code: ErrorCode, message: str) -> None:
        self.failures += 1
        self.notes.document_failed(str(file), message)
        if self.as_json:
            write_json(
                {
                    "document": readable(str(file)),
                    "page": None,
                    "status": PageStatus.FAILED.value,
                    "error_code": code,
                    "error": message,
                }
            )
        report(f"error: {readable_line(str(file))}: {message}")


def _show_progress(progress: Progress) -> None:
    report(
        f"Pages: {progress.pages_done} done, {progress.pages_in_flight} in progress; "
        f"tokens generated: {progress.tokens}"
    )
