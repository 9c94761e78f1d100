"""Reads what PDF and OCR tools test with through the whole path, within limits of time and memory.

    python -m tests.corpus.documents.survey --directory .survey

One process opens one document after the other (:mod:`.reader`). It is ended if a page takes too long or
memory grows too much. The outcome of each document is appended to ``results.jsonl`` in the directory;
documents listed there are not read again. Prints a table, and fails if a document ended in no row or went
over a limit.
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
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from urllib.parse import quote

import psutil

from airflow_deepseek_ocr.ocr.documents.open import media_type_of
from tests.corpus.documents.all import ANIMALS
from tests.corpus.documents.fetch import DISTRIBUTIONS, SOURCE_PACKAGES, FetchError, fetch

#: Most that a page may take, and the part of it that may go into drawing.
PAGE_S, DRAWING_S = 60.0, 45.0
#: Most memory beyond that of the process with the model.
MEMORY_BYTES = 1 << 30
_LOOK_S, _START_S = 0.05, 120.0
#: What is taken for a document by its name; others are, if their content is of a supported type.
_SUFFIXES = (
    ".pdf", ".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".heic", ".heif", ".gif", ".bmp", ".jp2",
    ".pnm", ".pbm", ".pgm", ".ppm", ".ps", ".svg",
)  # fmt: skip
_OWN = "zoo"


@dataclass
class Outcome:
    """What became of a document.

    :param collection: where it is from.
    :param file: its path there.
    :param status: the document's; empty if there is no row.
    :param reason: the document's error code.
    :param pages: how many pages ended in each way: a status, or the error code.
    :param seconds: how long it took.
    :param slowest_page_s: longest time until a page was stored.
    :param peak_mib: most memory beyond the model's own.
    :param fault: what must not be.
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


class Reading:
    """The process that reads, and the database that it writes to.

    :param directory: for the database and the log.
    :param length: most tokens of a page.
    """

    def __init__(self, directory: Path, length: int) -> None:
        self.database = directory / f"results-{time.monotonic_ns()}.db"
        command = [sys.executable, "-W", "ignore", "-m", "tests.corpus.documents.reader"]
        command += ["--database", str(self.database), "--length", str(length)]
        command += ["--page-seconds", str(DRAWING_S)]
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
        if not self._wait(_START_S):
            self.end()
            raise SystemExit(f"The reader does not start; see {directory / 'reader.log'}.")
        self._own = self.peak
        self._counter = sqlite3.connect(f"file:{self.database}?mode=ro", uri=True, timeout=30)

    def read(self, path: Path) -> None:
        """Read a document; ``fault``, ``peak`` and ``slowest`` say how it went."""
        self.fault, self.peak, self.slowest = "", 0, 0.0
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(str(path)).encode() + b"\n")
        self._process.stdin.flush()
        if not self._wait(PAGE_S):
            self.end()

    def end(self) -> None:
        """End the process and what it has started."""
        processes = [*self._children(), self._watched]
        for process in processes:
            with _gone():
                process.kill()
        self._process.communicate()
        self._selector.close()

    @property
    def alive(self) -> bool:
        """Whether it may be given another document."""
        return self._process.poll() is None

    @property
    def peak_mib(self) -> int:
        """Most memory beyond the model's own since the last document was given."""
        return max(0, self.peak - self._own) >> 20

    def _wait(self, limit_s: float) -> bool:
        """Wait for an answer, as long as there is another page in time, and memory."""
        pages, last = self._pages(), time.monotonic()
        while True:
            answered = bool(self._selector.select(_LOOK_S))
            now, so_far = time.monotonic(), self._pages()
            self.slowest = max(self.slowest, now - last)
            if so_far > pages:
                pages, last = so_far, now
            self.peak = max(self.peak, self._memory())
            if answered:
                assert self._process.stdout is not None
                if not self._process.stdout.readline():
                    self.fault = "the process died"
            elif self._own and self.peak - self._own > MEMORY_BYTES:
                self.fault = "over the limit of memory"
            elif now - last > limit_s:
                self.fault = "over the limit of time"
            if answered or self.fault:
                return not self.fault

    def _pages(self) -> int:
        if not self._own:
            return 0
        (count,) = self._counter.execute("SELECT count(*) FROM ocr_pages").fetchone()
        return int(count)

    def _children(self) -> list[psutil.Process]:
        with _gone():
            return self._watched.children(recursive=True)
        return []

    def _memory(self) -> int:
        total, own = 0, self._process.args
        for process in (self._watched, *self._children()):
            with _gone():
                # A child that has not become another program yet shares all of its parent's memory.
                if process == self._watched or process.cmdline() != own:
                    total += process.memory_info().rss
        return total


class _gone:  # noqa: N801 - reads as what it passes over
    """Passes over processes that have ended meanwhile."""

    def __enter__(self) -> None: ...

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> bool:
        return kind is not None and issubclass(kind, psutil.Error)


def documents(collection: Path) -> list[Path]:
    """The documents under a directory."""
    files = (
        path for path in sorted(collection.rglob("*")) if path.is_file() and not path.is_symlink()
    )
    return [
        path
        for path in files
        if path.suffix.lower() in _SUFFIXES or media_type_of(path) is not None
    ]


def what_is_stored(database: Path, path: Path) -> tuple[str, str, dict[str, int]]:
    """Status and reason of a document, and how many of its pages ended in each way.

    What is worth a retry has the status ``retryable``: nothing outside of the documents should fail here.
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


def survey(directory: Path, names: Iterable[str], length: int, seconds: float) -> Iterator[Outcome]:
    """Reads all documents that have no result yet.

    :param directory: where the collections are kept.
    :param names: the collections.
    :param length: most tokens of a page.
    :param seconds: when to stop for now.
    """
    deadline = time.monotonic() + seconds
    known = {(each.collection, each.file) for each in load(directory) if not each.fault}
    with tempfile.TemporaryDirectory(prefix="zoo-") as kept:
        reading: Reading | None = None
        try:
            for name in names:
                for path in documents(directory / name):
                    file = str(path.relative_to(directory / name))
                    if (name, file) in known:
                        continue
                    if time.monotonic() > deadline:
                        return
                    if reading is None or not reading.alive:
                        reading = Reading(Path(kept), length)
                    yield _read(reading, name, file, path)
        finally:
            if reading is not None:
                reading.end()


def _read(reading: Reading, collection: str, file: str, path: Path) -> Outcome:
    started = time.monotonic()
    reading.read(path.resolve())
    status, reason, pages = what_is_stored(reading.database, path.resolve())
    fault = reading.fault
    if not fault and status not in ("done", "partial", "failed"):
        fault = "no row" if not status else f"left as {status}"
    return Outcome(
        collection,
        file,
        status,
        reason,
        pages,
        round(time.monotonic() - started, 2),
        round(reading.slowest, 2),
        reading.peak_mib,
        fault,
    )


def load(directory: Path) -> list[Outcome]:
    """Results so far, the last of each document."""
    path = directory / "results.jsonl"
    found = {}
    for line in path.read_text().splitlines() if path.exists() else ():
        outcome = Outcome(**json.loads(line))
        found[outcome.collection, outcome.file] = outcome
    return list(found.values())


def row(outcome: Outcome) -> str:
    """A line of the table."""
    pages = ", ".join(f"{count} {how}" for how, count in outcome.pages.items())
    name = f"{outcome.collection}/{outcome.file}"
    if not name.isprintable():
        name = repr(name)
    return (
        f"{outcome.fault or outcome.status:8} {outcome.seconds:7.2f} s {outcome.peak_mib:5} MiB  "
        f"{name}: {pages or outcome.reason}"
    )


def summary(outcomes: list[Outcome]) -> Iterator[str]:
    """Tables in Markdown: by collection, by reason, and the costliest documents."""
    yield "| collection | documents | done | partial | failed | pages | longest page | most memory | faults |"
    yield "|---|---|---|---|---|---|---|---|---|"
    collections = dict.fromkeys(each.collection for each in outcomes)
    for name in (*collections, "all"):
        ours = [each for each in outcomes if name in (each.collection, "all")]
        statuses = Counter(each.status for each in ours)
        counts = " | ".join(str(statuses[each]) for each in ("done", "partial", "failed"))
        pages = sum(sum(each.pages.values()) for each in ours)
        longest = max(each.slowest_page_s for each in ours)
        most = max(each.peak_mib for each in ours)
        faults = sum(bool(each.fault) for each in ours)
        yield f"| {name} | {len(ours)} | {counts} | {pages} | {longest:.1f} s | {most} MiB | {faults} |"
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
    parser.add_argument("--length", type=int, default=64, help="most tokens of a page")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="stop after so long")
    options = parser.parse_args()
    directory: Path = options.directory
    directory.mkdir(parents=True, exist_ok=True)
    (directory / _OWN).mkdir(exist_ok=True)
    for animal in ANIMALS.values():
        (directory / _OWN / animal.name).write_bytes(animal.make())
    names, missing = [_OWN], []
    for name in (*DISTRIBUTIONS, *SOURCE_PACKAGES):
        try:
            fetch(name, directory)
            names.append(name)
        except FetchError as error:
            missing.append(name)
            print(f"not to be had here: {error}", file=sys.stderr)
    with (directory / "results.jsonl").open("a") as results:
        for outcome in survey(directory, names, options.length, options.seconds):
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
        print(f"{unread} documents are still to be read; run it again.")
    if missing:
        print(f"Not to be had here, and not read: {', '.join(missing)}.")
    return int(bool(unread or any(each.fault for each in outcomes)))


if __name__ == "__main__":
    sys.exit(main())
