"""The command ``read``: read files and print their text."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from airflow_deepseek_ocr.cli.models import fetch
from airflow_deepseek_ocr.cli.settings import connection_settings
from airflow_deepseek_ocr.exceptions import DeepSeekOCRError
from airflow_deepseek_ocr.ocr.documents.base import Page
from airflow_deepseek_ocr.ocr.documents.limits import Limits
from airflow_deepseek_ocr.ocr.documents.page_selection import PageSelection
from airflow_deepseek_ocr.ocr.engine_protocol import Engine, Progress
from airflow_deepseek_ocr.ocr.exports.page_json import page_to_dict
from airflow_deepseek_ocr.ocr.recognition.reader import Reader, failed_page
from airflow_deepseek_ocr.ocr.recognition.retry_strategy import (
    parse_retry_with,
    parse_text_layer_use,
)
from airflow_deepseek_ocr.ocr.rendering.renderer import Renderer
from airflow_deepseek_ocr.ocr.results import PageResult, PageStatus


def read(options: argparse.Namespace) -> int:
    """Read files and print their text."""
    from airflow_deepseek_ocr.engines.in_process.engine_cache import (
        EngineKey,
        cached_engine,
    )

    settings = connection_settings(options)
    config = settings.config(prompt=options.prompt, pages=options.pages, dpi=options.dpi)

    def engine() -> Engine:
        return cached_engine(
            EngineKey(
                directory=fetch(settings),
                device=settings.device,
                dtype=settings.dtype,
                batch_size=settings.batch_size,
                decoding=settings.decoding,
            )
        )

    output = _Output(sys.stdout, as_json=options.json)
    reader = Reader(
        engine,
        config.prompt,
        config.resolution,
        steps=parse_retry_with(config.retry_with),
        text_layer_use=parse_text_layer_use(config.text_layer),
    )
    pages = _pages(options.files, config.pages, config.dpi, config.resolution, output)
    for file, page in reader.read(pages, _show_progress):
        output.page(file, page)
    return 1 if output.failures else 0


def _pages(
    files: Sequence[Path], pages: str, dpi: int, resolution: str, output: _Output
) -> Iterator[tuple[Path, Page]]:
    selection = PageSelection.parse(pages)
    with Renderer(Limits()) as renderer:
        for file in files:
            try:
                # Opened here too, for the system's own words about a path that is wrong.
                with file.open("rb"), renderer.open(file, selection=selection, dpi=dpi) as document:
                    for number in document.page_numbers:
                        try:
                            page = document.page(number)
                        except DeepSeekOCRError as error:
                            output.page(file, failed_page(number, resolution, error))
                        else:
                            yield file, page
            except DeepSeekOCRError as error:
                output.document_failed(file, error.code, str(error))
            except OSError as error:
                output.document_failed(file, "missing_file", f"{error.strerror}; check the path.")


@dataclass
class _Output:
    stream: TextIO
    as_json: bool
    failures: int = 0

    def page(self, file: Path, page: PageResult) -> None:
        self.failures += page.status is PageStatus.FAILED
        if self.as_json:
            self._json(page_to_dict(str(file), page))
        else:
            print(f"<!-- {file}, page {page.number} -->\n\n{page.markdown}\n", file=self.stream)
        if page.error:
            print(f"error: {file}, page {page.number}: {page.error}", file=sys.stderr)

    def document_failed(self, file: Path, code: str, message: str) -> None:
        self.failures += 1
        if self.as_json:
            self._json(
                {
                    "document": str(file),
                    "page": None,
                    "status": PageStatus.FAILED.value,
                    "error_code": code,
                    "error": message,
                }
            )
        print(f"error: {file}: {message}", file=sys.stderr)

    def _json(self, values: dict[str, object]) -> None:
        print(json.dumps(values, ensure_ascii=False), file=self.stream, flush=True)


def _show_progress(progress: Progress) -> None:
    print(
        f"{progress.pages_done} pages read, {progress.pages_in_flight} being read "
        f"({progress.tokens} tokens)",
        file=sys.stderr,
    )
