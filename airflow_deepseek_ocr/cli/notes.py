"""The option ``--notes`` of the command ``read``: a Markdown record of the run, kept up to date."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from airflow_deepseek_ocr.cli.output import OutputClosedError
from airflow_deepseek_ocr.exceptions import DeepSeekOCRError, local_disk
from airflow_deepseek_ocr.run_record.facts import (
    file_facts,
    host_facts,
    settings_facts,
    version_facts,
)
from airflow_deepseek_ocr.run_record.record import RunRecord
from airflow_deepseek_ocr.undecodable import readable

if TYPE_CHECKING:
    from airflow_deepseek_ocr.connection.settings import Settings
    from airflow_deepseek_ocr.ocr.engine_protocol import Engine
    from airflow_deepseek_ocr.ocr.fingerprint import ProcessingConfig
    from airflow_deepseek_ocr.ocr.results import PageResult

#: Least seconds between two versions of the file: a run of thousands of pages must not write it for each.
_WRITE_EVERY_S = 5.0
#: Ends of a run that its user waits for.
_ENDED_BY_USER = (KeyboardInterrupt, OutputClosedError)
_PROGRAM = "airflow-deepseek-ocr"


class Notes:
    """A record of a run in a file, or none; used in a ``with`` statement.

    The file is written at the start, every few seconds, and at the end, also if the run fails. Each version
    replaces the one before it, so that it is whole at any time.

    :param path: the file; None writes nothing.
    :param arguments: arguments of the command, for the record.
    :param settings: settings of the run.
    :param config: its processing configuration.
    :raises UnavailableError: ``local_disk`` if the file cannot be written.
    """

    def __init__(
        self,
        path: Path | None,
        arguments: list[str],
        settings: Settings,
        config: ProcessingConfig,
    ) -> None:
        self._path = path
        self._record: RunRecord | None = None
        self._directory: Path | None = None
        self._written = 0.0
        if path is None:
            return
        self._record = RunRecord([_PROGRAM, *arguments], output=_standard_output())
        self._record.sections = {
            "Settings": settings_facts(settings, config),
            "Host": host_facts(),
            "Versions": version_facts(),
        }
        self._write()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._record is None:
            return
        self._record.end(error)
        self._write()
        if self._directory is not None and not isinstance(error, _ENDED_BY_USER):
            # Last, because it reads the whole model, and no page should wait for it.
            with suppress(DeepSeekOCRError, OSError):
                self._record.sections["Model"] += file_facts(self._directory)
                self._write()

    def load(self, directory: Path, load: Callable[[], Engine], started: float) -> Engine:
        """Return the engine, and record the time for loading; the model's files are recorded at the end.

        :param directory: complete directory of the model.
        :param load: load the model.
        :param started: monotonic time at which a fetch of the model began.
        """
        engine = load()
        if self._record is not None:
            self._record.loaded(time.monotonic() - started)
            self._directory = directory
            self._record.sections["Model"] = [
                ("Directory", str(directory)),
                ("Device used", str(getattr(engine, "device", "unknown"))),
                ("Data type used", str(getattr(engine, "dtype", "unknown"))),
            ]
            self._write()
        return engine

    def page(self, document: str, page: PageResult) -> None:
        """Record a page that finished now.

        :param document: path of its document.
        :param page: its result.
        """
        if self._record is not None:
            self._record.page(document, page)
            if time.monotonic() - self._written >= _WRITE_EVERY_S:
                self._write()

    def document_failed(self, document: str, message: str) -> None:
        """Record a document that has no pages.

        :param document: its path.
        :param message: why.
        """
        if self._record is not None:
            self._record.failures.append((document, message))

    def _write(self) -> None:
        if self._path is None or self._record is None:
            return
        temporary = self._path.with_name(f".{self._path.name}.{os.getpid()}.part")
        try:
            try:
                temporary.write_text(readable(self._record.markdown()), encoding="utf-8")
                temporary.replace(self._path)
            finally:
                temporary.unlink(missing_ok=True)
        except OSError as error:
            raise local_disk(f"The notes cannot be written to {self._path}", error) from error
        self._written = time.monotonic()


def _standard_output() -> str:
    """Return where the text goes: the file or device of the standard output."""
    try:
        target = str(Path(f"/proc/self/fd/{sys.stdout.fileno()}").readlink())
    except (OSError, ValueError):
        return "standard output"
    return target if target.startswith("/") else f"standard output ({target.partition(':')[0]})"
