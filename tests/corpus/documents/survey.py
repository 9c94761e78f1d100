"""Survey of the test documents of PDF and OCR tools: each is processed within limits of time and memory.

    python -m tests.corpus.documents.survey --directory .survey

One process reads one document after the other (:mod:`.reader`). It is killed if a page exceeds a limit. The
outcome of each document is appended to ``results.jsonl`` in the directory; a later run skips the documents in
it. The survey prints a table, and fails if a document has no row or exceeded a limit.
"""

from __future__ import annotations

import argparse
import json
import os
import selectors
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from urllib.parse import quote

import psutil

from airflow_deepseek_ocr.ocr.documents.open import media_type_of
from tests.corpus.documents.all import CORPUS
from tests.corpus.documents.fetch import DISTRIBUTIONS, SOURCE_PACKAGES, FetchError, fetch

_POLL_S, _START_TIMEOUT_S = 0.05, 120.0
#: Suffixes of documents; files with other names are documents if their content has a supported type.
_SUFFIXES = (
    ".pdf", ".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".heic", ".heif", ".gif", ".bmp", ".jp2",
    ".pnm", ".pbm", ".pgm", ".ppm", ".ps", ".svg",
)  # fmt: skip
#: Name of the collection with the malformed-document corpus.
_OWN = "corpus"


@dataclass
class Outcome:
    """The outcome of a document.

    :param collection: name of its collection.
    :param file: its path in the collection.
    :param status: status of the document; empty if it has no row.
    :param reason: error code of the document.
    :param pages: number of pages by error code, or by status without one.
    :param seconds: duration.
    :param slowest_page_s: longest time until a page was stored.
    :param peak_mib: peak memory beyond that of the model.
    :param fault: a violated requirement; empty if there is none.
    """

    collection: str
    file: str
    status: str = ""
    reason: str = ""
    pages: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    slowest_page_s: float = 0.0
    peak_mib: int = 0
    fault: str = ""


@dataclass(frozen=True, kw_only=True)
class SurveyLimits:
    """Limits of a page.

    :param page_s: seconds for a page.
    :param rendering_s: the part of it for rendering.
    :param memory_bytes: memory beyond that of the process with the model.
    """

    page_s: float = 60.0
    rendering_s: float = 45.0
    memory_bytes: int = 1 << 30


class ReaderProcess:
    """The process that reads documents, and the database that it writes to.

    :param directory: directory for the database and the log.
    :param length: maximum tokens of a page.
    :param limits: limits of each page.
    """

    def __init__(self, directory: Path, length: int, limits: SurveyLimits) -> None:
        self._limits = limits
        self.database = directory / f"results-{time.monotonic_ns()}.db"
        command = [sys.executable, "-W", "ignore", "-m", "tests.corpus.documents.reader"]
        command += ["--database", str(self.database), "--length", str(length)]
        command += ["--page-seconds", str(limits.rendering_s)]
        with (directory / "reader.log").open("a") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=os.environ | {"OMP_NUM_THREADS": "1"},
            )
        self._watched = psutil.Process(self._process.pid)
        self._selector = selectors.DefaultSelector()
        assert self._process.stdout is not None
        self._selector.register(self._process.stdout, selectors.EVENT_READ)
        self.fault, self.peak, self.slowest = "", 0, 0.0
        self._own = 0
        if not self._wait(_START_TIMEOUT_S):
            self.end()
            raise SystemExit(f"The reader does not start. See {directory / 'reader.log'}.")
        self._own = self.peak
        self._counter = sqlite3.connect(f"file:{self.database}?mode=ro", uri=True, timeout=30)

    def read(self, path: Path) -> None:
        """Read a document; sets ``fault``, ``peak`` and ``slowest``."""
        self.fault, self.peak, self.slowest = "", 0, 0.0
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(str(path)).encode() + b"\n")
        self._process.stdin.flush()
        if not self._wait(self._limits.page_s):
            self.end()

    def end(self) -> None:
        """Kill the process and its children."""
        processes = [*self._children(), self._watched]
        for process in processes:
            with suppress(psutil.Error):  # the process has ended
                process.kill()
        self._process.communicate()
        self._selector.close()

    @property
    def pid(self) -> int:
        """The id of the process."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it can read another document."""
        return self._process.poll() is None

    @property
    def peak_mib(self) -> int:
        """Peak memory beyond that of the model while the last document was read."""
        return max(0, self.peak - self._own) >> 20

    def _wait(self, limit_s: float) -> bool:
        """Wait for an answer; return False if a limit is exceeded or the process has died."""
        pages, last = self._pages(), time.monotonic()
        while True:
            answered = bool(self._selector.select(_POLL_S))
            now, so_far = time.monotonic(), self._pages()
            self.slowest = max(self.slowest, now - last)
            if so_far > pages:
                pages, last = so_far, now
            self.peak = max(self.peak, self._memory())
            if answered:
                assert self._process.stdout is not None
                if not self._process.stdout.readline():
                    self.fault = "the process died"
            elif self._own and self.peak - self._own > self._limits.memory_bytes:
                self.fault = "memory limit exceeded"
            elif now - last > limit_s:
                self.fault = "time limit exceeded"
            if answered or self.fault:
                return not self.fault

    def _pages(self) -> int:
        if not self._own:
            return 0
        (count,) = self._counter.execute("SELECT count(*) FROM ocr_pages").fetchone()
        return int(count)

    def _children(self) -> list[psutil.Process]:
        with suppress(psutil.Error):  # the process has ended
            return self._watched.children(recursive=True)
        return []

    def _memory(self) -> int:
        total, own = 0, self._process.args
        for process in (self._watched, *self._children()):
            with suppress(psutil.Error):  # the process has ended
                # A child before its exec() shares all memory of its parent.
                if process == self._watched or process.cmdline() != own:
                    total += process.memory_info().rss
        return total


def documents(collection: Path) -> list[Path]:
    """Return the documents under a directory."""
    files = (
        path for path in sorted(collection.rglob("*")) if path.is_file() and not path.is_symlink()
    )
    return [
        path
        for path in files
        if path.suffix.lower() in _SUFFIXES or media_type_of(path) is not None
    ]


def stored_outcome(database: Path, path: Path) -> tuple[str, str, dict[str, int]]:
    """Return status and error code of a document, and the number of its pages by error code or status.

    A failure that should be retried has the status ``retryable``: the infrastructure should not fail here.
    """
    with closing(sqlite3.connect(database, timeout=30)) as store:
        rows = store.execute(
            "SELECT id, iif(retryable, 'retryable', status), coalesce(error_code, '') "
            "FROM ocr_documents WHERE uri = ?",
            ("file://" + quote(str(path)),),
        ).fetchall()
        if len(rows) != 1:
            return "", "", {}
        ((document, status, reason),) = rows
        pages = store.execute(
            "SELECT coalesce(error_code, status), count(*) FROM ocr_pages WHERE document_id = ? "
            "GROUP BY 1 ORDER BY 1",
            (document,),
        )
        return status, reason, dict(pages.fetchall())


def survey(
    directory: Path,
    names: Iterable[str],
    *,
    length: int,
    seconds: float,
    limits: SurveyLimits = SurveyLimits(),
) -> Iterator[Outcome]:
    """Read all documents that have no result yet, and yield their outcomes.

    :param directory: directory of all collections.
    :param names: names of the collections.
    :param length: maximum tokens of a page.
    :param seconds: no document is started after this time.
    :param limits: limits of each page.
    """
    deadline = time.monotonic() + seconds
    known = {(each.collection, each.file) for each in load(directory) if not each.fault}
    with tempfile.TemporaryDirectory(prefix="corpus-") as databases:
        reader: ReaderProcess | None = None
        try:
            for name in names:
                for path in documents(directory / name):
                    file = str(path.relative_to(directory / name))
                    if (name, file) in known:
                        continue
                    if time.monotonic() > deadline:
                        return
                    if reader is None or not reader.alive:
                        reader = ReaderProcess(Path(databases), length, limits)
                    yield _read(reader, name, file, path)
        finally:
            if reader is not None:
                reader.end()


def _read(reader: ReaderProcess, collection: str, file: str, path: Path) -> Outcome:
    started = time.monotonic()
    reader.read(path.resolve())
    status, reason, pages = stored_outcome(reader.database, path.resolve())
    fault = reader.fault
    if not fault and status not in ("done", "partial", "failed"):
        fault = "no row" if not status else f"left as {status}"
    return Outcome(
        collection,
        file,
        status,
        reason,
        pages,
        round(time.monotonic() - started, 2),
        round(reader.slowest, 2),
        reader.peak_mib,
        fault,
    )


def load(directory: Path) -> list[Outcome]:
    """Return the stored outcomes, the last one of each document."""
    path = directory / "results.jsonl"
    found = {}
    for line in path.read_text().splitlines() if path.exists() else ():
        outcome = Outcome(**json.loads(line))
        found[outcome.collection, outcome.file] = outcome
    return list(found.values())


def row(outcome: Outcome) -> str:
    """Return a line of the log."""
    pages = ", ".join(f"{count} {how}" for how, count in outcome.pages.items())
    name = f"{outcome.collection}/{outcome.file}"
    if not name.isprintable():
        name = repr(name)
    return (
        f"{outcome.fault or outcome.status:8} {outcome.seconds:7.2f} s {outcome.peak_mib:5} MiB  "
        f"{name}: {pages or outcome.reason}"
    )


def summary(outcomes: list[Outcome]) -> Iterator[str]:
    """Yield the lines of two tables in Markdown: outcomes by collection and by error code."""
    yield "| collection | documents | done | partial | failed | pages | longest page | most memory | faults |"
    yield "|---|---|---|---|---|---|---|---|---|"
    collections = dict.fromkeys(each.collection for each in outcomes)
    for name in (*collections, "all"):
        selected = [each for each in outcomes if name in (each.collection, "all")]
        statuses = Counter(each.status for each in selected)
        counts = " | ".join(str(statuses[each]) for each in ("done", "partial", "failed"))
        pages = sum(sum(each.pages.values()) for each in selected)
        longest = max(each.slowest_page_s for each in selected)
        most = max(each.peak_mib for each in selected)
        faults = sum(bool(each.fault) for each in selected)
        yield f"| {name} | {len(selected)} | {counts} | {pages} | {longest:.1f} s | {most} MiB | {faults} |"
    without = Counter(each.reason for each in outcomes if not each.pages)
    ways: Counter[str] = Counter()
    for each in outcomes:
        ways.update(each.pages)
    yield ""
    yield "| pages ended as | pages | | documents without pages | documents |"
    yield "|---|---|---|---|---|"
    left, right = ways.most_common(), without.most_common()
    for index in range(max(len(left), len(right))):
        cells = [
            f"`{table[index][0]}` | {table[index][1]}" if index < len(table) else " | "
            for table in (left, right)
        ]
        yield f"| {cells[0]} | | {cells[1]} |"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--directory", type=Path, default=Path(".survey"))
    parser.add_argument("--length", type=int, default=64, help="maximum tokens of a page")
    parser.add_argument(
        "--seconds",
        type=float,
        default=float("inf"),
        help="stop after this time; run it again to continue",
    )
    options = parser.parse_args()
    directory: Path = options.directory
    directory.mkdir(parents=True, exist_ok=True)
    (directory / _OWN).mkdir(exist_ok=True)
    for document in CORPUS.values():
        (directory / _OWN / document.name).write_bytes(document.make())
    names, missing = [_OWN], []
    for name in (*DISTRIBUTIONS, *SOURCE_PACKAGES):
        try:
            fetch(name, directory)
            names.append(name)
        except FetchError as error:
            missing.append(name)
            print(f"cannot be fetched: {error}", file=sys.stderr)
    with (directory / "results.jsonl").open("a") as results:
        for outcome in survey(directory, names, length=options.length, seconds=options.seconds):
            results.write(json.dumps(asdict(outcome)) + "\n")
            results.flush()
            print(row(outcome), flush=True)
    outcomes = [each for each in load(directory) if each.collection in names]
    print("\n".join(["", *summary(outcomes)]))
    for each in outcomes:
        if each.fault:
            print(f"FAULT: {row(each)}")
    unread = sum(len(documents(directory / name)) for name in names) - len(outcomes)
    if unread:
        print(f"{unread} documents have not been read yet. Run it again.")
    if missing:
        print(f"Collections that could not be fetched: {', '.join(missing)}.")
    return int(bool(unread or any(each.fault for each in outcomes)))


if __name__ == "__main__":
    sys.exit(main())
