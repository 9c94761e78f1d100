"""Exports of files that were read without a database."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from airflow_deepseek_ocr.ocr.documents.reference import digest
from airflow_deepseek_ocr.ocr.exports.exported import (
    ExportedDocument,
    ExportedPage,
    exported_page,
)
from airflow_deepseek_ocr.ocr.exports.formats import Format
from airflow_deepseek_ocr.ocr.fingerprint import ProcessingConfig
from airflow_deepseek_ocr.ocr.rendering.pdf_maker import PdfMaker
from airflow_deepseek_ocr.ocr.rendering.pool import RenderPool
from airflow_deepseek_ocr.ocr.results import PageResult
from airflow_deepseek_ocr.pipeline.exports.exporter import Exported, Exporter
from airflow_deepseek_ocr.pipeline.exports.original import Original
from airflow_deepseek_ocr.targets.directory import DirectoryTarget
from airflow_deepseek_ocr.targets.names import safe_part
from airflow_deepseek_ocr.undecodable import readable


@dataclass
class _File:
    path: Path
    media_type: str
    page_count: int
    pages: dict[int, ExportedPage] = field(default_factory=dict)


class FileExports:
    """Collects the pages of files, and exports them to directories of their names.

    :param directory: contains the directories.
    :param formats: the formats.
    :param config: the processing configuration.
    :param pool: renders pages again.
    :param maker: makes searchable PDFs.
    """

    def __init__(
        self,
        directory: Path,
        formats: Sequence[Format],
        config: ProcessingConfig,
        pool: RenderPool,
        maker: PdfMaker,
    ) -> None:
        self._config, self._pool = config, pool
        self._exporter = Exporter(DirectoryTarget(directory), formats, maker)
        self._files: dict[Path, _File] = {}

    def opened(self, name: Path, path: Path, media_type: str, page_count: int) -> None:
        """Note a file whose pages follow.

        :param name: its name, or that of a file attached to another one.
        :param path: a copy that exists until the exports are written.
        :param media_type: its type.
        :param page_count: number of its pages.
        """
        self._files.setdefault(name, _File(path, media_type, page_count))

    def add(self, name: Path, page: PageResult) -> None:
        """Note a page that was read, or that could not be."""
        exported = exported_page(page, prompt=self._config.prompt)
        self._files[name].pages[page.number] = exported

    def write(self) -> Iterator[tuple[Path, Exported]]:
        """Write the exports of each file.

        :raises UnavailableError: ``local_disk``, ``renderer_unavailable``, ``renderer_killed``.
        """
        taken: set[str] = set()
        for name, file in self._files.items():
            directory = base = safe_part(readable(name.name))
            number = 1
            while directory in taken:
                number += 1
                directory = f"{base}-{number}"
            taken.add(directory)
            document = self._document(name, file)

            def original(file: _File = file, document: ExportedDocument = document) -> Original:
                return Original(file.path, document, self._pool, with_text=True)

            yield name, self._exporter.export(document, directory, original)

    def _document(self, name: Path, file: _File) -> ExportedDocument:
        uri = readable(str(name))
        # Another file of the same name may have the same text, and another picture.
        with file.path.open("rb") as content:
            version = hashlib.file_digest(content, "sha256").hexdigest()
        config = self._config
        return ExportedDocument(
            uri=uri,
            version=version,
            version_key=digest(uri, version),
            config_key=config.key,
            model=config.model,
            revision=config.revision,
            prompt=config.prompt,
            media_type=file.media_type,
            page_count=file.page_count,
            dpi=config.dpi,
            pages=tuple(page for _, page in sorted(file.pages.items())),
        )
