"""Pages per second and CPU time of each format of exports, beside those of reading without a model.

    python -m benchmarks.exports [--pages N] [--picture-pages N]

Half of the pages are a PDF of dense text, half are colour scans. Words are placed and figures cut as for any
document; nothing is exported twice.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

from sqlalchemy import create_engine

from airflow_deepseek_ocr.connection.options import OcrOptions
from airflow_deepseek_ocr.connection.settings import Settings
from airflow_deepseek_ocr.exceptions import DeepSeekOCRError
from airflow_deepseek_ocr.ocr.documents.limits import Limits
from airflow_deepseek_ocr.ocr.documents.reference import DocumentRef
from airflow_deepseek_ocr.ocr.exports.formats import WITH_PICTURES, Format
from airflow_deepseek_ocr.ocr.rendering.pool import RenderPool
from airflow_deepseek_ocr.ocr.rendering.sandbox.mode import Sandbox
from airflow_deepseek_ocr.pipeline.exports.export_queue import ExportPlan, ExportQueue
from airflow_deepseek_ocr.pipeline.exports.exporter import Exported
from airflow_deepseek_ocr.pipeline.pipeline import Pipeline
from airflow_deepseek_ocr.sources.base import Sources
from airflow_deepseek_ocr.sources.files import FileSource
from airflow_deepseek_ocr.store.browsing.selection import Selection, find
from airflow_deepseek_ocr.store.results_store import Store
from airflow_deepseek_ocr.targets.directory import DirectoryTarget
from benchmarks.pipeline.documents import colour_scans, long_pdf
from benchmarks.pipeline.one_run import InstantEngine

#: Formats that Airflow's UI and most people take, of one rendering.
_TOGETHER = (Format.MARKDOWN, Format.FIGURES, Format.WEBP)


class _Sizes:
    """Counts bytes."""

    def __init__(self) -> None:
        self.bytes = 0

    def exported(self, ref: DocumentRef, exported: Exported) -> None:
        """See :meth:`ExportEvents.exported`."""
        if exported.refused:
            raise RuntimeError(f"{ref.uri}: {exported.refused}")
        self.bytes += exported.written_bytes

    def export_failed(self, ref: DocumentRef, error: DeepSeekOCRError) -> None:
        """See :meth:`ExportEvents.export_failed`."""
        raise error


def main() -> None:
    """Measure all formats, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pages", type=int, default=100)
    parser.add_argument(
        "--picture-pages",
        type=int,
        help="pages of the formats that render them (default: as --pages)",
    )
    arguments = parser.parse_args()
    print("| | pages | pages/s | CPU ms a page | bytes a page |\n|---|---|---|---|---|")
    rendered = [*((each,) for each in Format if each in WITH_PICTURES), _TOGETHER]
    others = [(each,) for each in Format if each not in WITH_PICTURES]
    if arguments.picture_pages in (None, arguments.pages):
        _measure(arguments.pages, [*others, *rendered])
    else:
        _measure(arguments.pages, others)
        _measure(arguments.picture_pages, rendered)


def _measure(pages: int, formats: Sequence[tuple[Format, ...]]) -> None:
    with tempfile.TemporaryDirectory() as name:
        directory, half = Path(name), max(1, pages // 2)
        paths = [long_pdf(directory / "long.pdf", half), *colour_scans(directory / "scans", half)]
        refs = [DocumentRef(path.as_uri()) for path in paths]
        engine = create_engine(f"sqlite:///{directory}/results.db")
        with closing(Store(engine)) as store:
            store.ensure_schema()
            _row("reading without a model", 2 * half, lambda: _read(store, refs))
            for each in formats:
                names = ", ".join(each)
                _row(names, 2 * half, lambda each=each: _export(store, each, directory))  # type: ignore[misc]


def _row(name: str, pages: int, work: Callable[[], int]) -> None:
    cpu, started = _cpu_seconds(), time.monotonic()
    size = work()
    seconds, used = time.monotonic() - started, _cpu_seconds() - cpu
    figures = f"{pages:,} | {pages / seconds:.1f} | {1000 * used / pages:.1f} | {size // pages:,}"
    print(f"| {name} | {figures} |", flush=True)


def _read(store: Store, refs: list[DocumentRef]) -> int:
    Pipeline(
        sources=Sources({"file": lambda: FileSource(Limits())}),
        get_engine=InstantEngine,
        store=store,
        config=Settings().processing_config(OcrOptions()),
    ).run(refs)
    return 0


def _export(store: Store, formats: tuple[Format, ...], directory: Path) -> int:
    sizes, limits = _Sizes(), Limits()
    with (
        tempfile.TemporaryDirectory(dir=directory) as target,
        closing(RenderPool(limits, processes=max(1, os.cpu_count() or 1))) as pool,
        ExportQueue(
            ExportPlan(DirectoryTarget(Path(target)), formats),
            store.database,
            pool,
            FileSource(limits),
            directory,
            sizes,
            limits=limits,
            sandbox=Sandbox.AUTO,
        ) as queue,
    ):
        for each in find(store.database, Selection()):
            queue.add(DocumentRef(each.uri), each.document_key)
        queue.finish()
    return sizes.bytes


def _cpu_seconds() -> float:
    """Return the CPU time of this process and of the children that have ended."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


if __name__ == "__main__":
    main()
