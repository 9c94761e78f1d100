"""The writing of a document's exports: outdated ones are made and written, the manifest last."""

from __future__ import annotations

import hashlib
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from airflow_deepseek_ocr.exceptions import local_disk
from airflow_deepseek_ocr.ocr.exports.exported import ExportedDocument
from airflow_deepseek_ocr.ocr.exports.formats import MANIFEST, ExportFile, Format
from airflow_deepseek_ocr.ocr.rendering.pdf_maker import PdfMaker
from airflow_deepseek_ocr.pipeline.exports import manifest as manifests
from airflow_deepseek_ocr.pipeline.exports.files import GetOriginal, RefusedFormat, make_files
from airflow_deepseek_ocr.pipeline.exports.manifest import FileEntry, FormatEntry, Manifest
from airflow_deepseek_ocr.store.pages.exported_documents import ExportedFile
from airflow_deepseek_ocr.targets.base import ExportTarget
from airflow_deepseek_ocr.temporary_directory import temporary_directory

#: Bytes of a file that are hashed at once.
_CHUNK = 1 << 20


@dataclass(frozen=True)
class Exported:
    """The exports of a document.

    :param files: all of them, the manifest last.
    :param written: number of files that were written now; 0 if nothing had changed.
    :param written_bytes: their bytes.
    :param refused: the formats that cannot be made of this document.
    :param failed: the formats that lack pages, which the next export may have.
    """

    files: tuple[ExportedFile, ...]
    written: int = 0
    written_bytes: int = 0
    refused: tuple[RefusedFormat, ...] = ()
    failed: tuple[RefusedFormat, ...] = ()


class Exporter:
    """Writes exports; several threads may use it.

    :param target: the place.
    :param formats: the formats.
    :param maker: makes searchable PDFs.
    """

    def __init__(self, target: ExportTarget, formats: Sequence[Format], maker: PdfMaker) -> None:
        self._target, self._formats, self._maker = target, tuple(formats), maker

    def export(
        self, document: ExportedDocument, directory: str, get_original: GetOriginal
    ) -> Exported:
        """Make and write the exports of a document that are missing or outdated.

        :param document: its results.
        :param directory: its directory in the place.
        :param get_original: returns the original; called if a format needs it.
        :raises UnavailableError: the place, the original or a process is out of reach, or the disk is full.
        """
        name = f"{directory}/{manifests.NAME}"
        stored = self._target.read(name)
        before, content = manifests.decode(stored), document.content_key
        outdated = before.outdated(self._formats, content)
        if not outdated:
            return self._exported(document, directory, before)
        if (unfinished := before.unfinished(outdated)) != before:
            self._target.put(name, unfinished.encode(document), manifests.MEDIA_TYPE)
        writer = _Writer(self._target, directory, before)
        made: dict[Format, list[FileEntry]] = defaultdict(list)
        refused: list[RefusedFormat] = []
        with _TemporaryPath() as temporary:
            for each in make_files(document, outdated, get_original, self._maker, temporary):
                if isinstance(each, RefusedFormat):
                    refused.append(each)
                else:
                    made[each.format].append(writer.put(each))
        entries = {each: FormatEntry(content, tuple(made[each])) for each in outdated}
        for each in refused:
            files = tuple(made[each.format])
            entries[each.format] = FormatEntry(content, files, each.code.value, each.error)
        # Another task may have written other formats meanwhile.
        stored = self._target.read(name)
        after = Manifest({**manifests.decode(stored).formats, **entries})
        encoded = after.encode(document)
        if encoded != stored:
            self._target.put(name, encoded, manifests.MEDIA_TYPE)
            writer.count(len(encoded))
        for old in before.files().keys() - after.files().keys():
            self._target.remove(f"{directory}/{old}")
        return self._exported(document, directory, after, writer, refused)

    def _exported(
        self,
        document: ExportedDocument,
        directory: str,
        manifest: Manifest,
        writer: _Writer | None = None,
        refused: Sequence[RefusedFormat] = (),
    ) -> Exported:
        files = [
            self._file(directory, format_.value, entry)
            for format_, entry in manifest.files().values()
        ]
        encoded = manifest.encode(document)
        entry = FileEntry(
            manifests.NAME,
            None,
            manifests.MEDIA_TYPE,
            len(encoded),
            manifests.sha256(encoded),
        )
        return Exported(
            (*files, self._file(directory, MANIFEST, entry)),
            writer.written if writer else 0,
            writer.written_bytes if writer else 0,
            tuple(each for each in refused if not each.has_failed),
            tuple(each for each in refused if each.has_failed),
        )

    def _file(self, directory: str, kind: str, entry: FileEntry) -> ExportedFile:
        return ExportedFile(
            kind,
            entry.page_number,
            entry.name,
            self._target.uri(f"{directory}/{entry.name}"),
            entry.media_type,
            entry.size_bytes,
            entry.sha256,
        )


class _Writer:
    """Writes the files that have changed.

    :param before: the files that there are.
    """

    def __init__(self, target: ExportTarget, directory: str, before: Manifest) -> None:
        self._target, self._directory = target, directory
        self._before = before.finished_files()
        self.written = self.written_bytes = 0

    def put(self, file: ExportFile) -> FileEntry:
        size, digest = _measure(file.content)
        entry = FileEntry(file.name, file.page_number, file.media_type, size, digest)
        if self._before.get(file.name) != (file.format, entry):
            self._target.put(f"{self._directory}/{file.name}", file.content, file.media_type)
            self.count(size)
        return entry

    def count(self, size: int) -> None:
        self.written += 1
        self.written_bytes += size


def _measure(content: bytes | Path) -> tuple[int, str]:
    if isinstance(content, bytes):
        return len(content), manifests.sha256(content)
    digest = hashlib.sha256()
    with content.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return content.stat().st_size, digest.hexdigest()


class _TemporaryPath:
    """A private temporary directory. Use it as a context manager.

    :raises UnavailableError: ``local_disk`` if it cannot be created.
    """

    def __enter__(self) -> Path:
        parent = temporary_directory()
        try:
            self._directory = tempfile.TemporaryDirectory(prefix="deepseek-ocr-export-", dir=parent)
        except OSError as error:
            raise local_disk(
                f"A temporary directory cannot be created in {parent}", error
            ) from error
        return Path(self._directory.name)

    def __exit__(self, *_: object) -> None:
        self._directory.cleanup()
