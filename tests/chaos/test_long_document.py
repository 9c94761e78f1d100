"""A long document whose task is killed half-way: the next try reads the other half, in flat memory."""

from __future__ import annotations

import json
import time
from collections import Counter
from pathlib import Path
from signal import SIGKILL

import psutil
import pytest
from sqlalchemy import create_engine, text

from airflow_deepseek_ocr.pipeline.page_writer import BATCH_PAGES
from tests.chaos.audit import Version, audit
from tests.chaos.documents import make_pdf
from tests.chaos.engine import AHEAD, AT_ONCE
from tests.chaos.servers import BUCKET, bucket, results
from tests.chaos.worker_process import Ended, WorkerProcess, environment
from tests.conftest import TINY_MODEL

PAGES, KILLED_AT = 300, 150
#: At this resolution a page's image takes 1.4 MB: were they kept, memory would grow by 430 MB.
DPI = 1200
#: MiB by which the task's memory may grow between its 20th page and its last one.
GROWTH = 20
TIMEOUT_S = 120


class Watched:
    """One task that reads the document, and its memory."""

    def __init__(self, workers: WorkerProcess, directory: Path, try_number: int) -> None:
        self._workers, self._event_log = workers, directory / f"event_log {try_number}"
        self._job = try_number
        self.memory: list[tuple[int, float]] = []
        task = {"dag_id": "d", "run_id": "r", "task_id": "t", "map_index": -1}
        workers.send(
            self._job,
            "read",
            documents=[f"s3://{BUCKET}/long.pdf"],
            lease_s=3600,
            wait_s=1,
            page_s=0.01,
            dpi=DPI,
            event_log=str(self._event_log),
            task=task | {"try_number": try_number},
        )

    def pages(self, what: str) -> list[int]:
        """Numbers of the pages that were ``read`` or ``stored``, in that order."""
        lines = self._event_log.read_text().splitlines() if self._event_log.exists() else []
        return [int(line.split()[-1]) for line in lines if line.split()[1] == what]

    def run(self, *, kill_at: int | None = None) -> Ended:
        """Watch until the task ends; kill it when so many pages are stored."""
        deadline = time.monotonic() + TIMEOUT_S
        while time.monotonic() < deadline:
            for ended in self._workers.ended():
                return ended
            stored = len(self.pages("stored"))
            pid = self._workers.pid(self._job)
            if pid is not None:
                try:
                    rss = psutil.Process(pid).memory_info().rss / 2**20
                except psutil.NoSuchProcess:
                    continue
                if rss:  # a process that just died has none
                    self.memory.append((stored, rss))
            if kill_at is not None and stored >= kill_at:
                self._workers.signal(self._job, SIGKILL)
                kill_at = None
            time.sleep(0.02)
        raise TimeoutError(self._workers.log(self._job)[-3000:])


@pytest.mark.timeout(300)
def test_the_next_try_reads_the_missing_pages_only(tmp_path: Path) -> None:
    body = make_pdf(7, 0, PAGES)
    version = Version.of(f"s3://{BUCKET}/long.pdf", 7, 0, PAGES, body, text_known=True)
    with bucket() as objects, results("postgres", tmp_path) as database:
        objects.fill({"long.pdf": body})
        workers = WorkerProcess(tmp_path, environment(objects, database, tmp_path, TINY_MODEL))
        workers.start()
        try:
            first = Watched(workers, tmp_path, 1)
            assert first.run(kill_at=KILLED_AT).status == -SIGKILL
            engine = create_engine(database.url)
            with engine.connect() as connection:
                stored = set(connection.scalars(text("SELECT page_number FROM ocr_pages")))
            engine.dispose()
            second = Watched(workers, tmp_path, 2)
            ended = second.run()
        finally:
            workers.stop()
        findings = audit(database.url, [version], [], tmp_path / "no event log")

    assert ended.status == 0, workers.log(2)[-3000:]
    assert findings.broken == {}
    assert findings.pages == PAGES
    missing = set(range(1, PAGES + 1)) - stored
    again = Counter(second.pages("read"))
    assert again == Counter(missing)
    twice = set(first.pages("read")) & set(again)
    # Those in progress, and those that waited for their transaction: longer on a busy host.
    assert len(twice) <= AT_ONCE + AHEAD + BATCH_PAGES
    assert ended.result["pages"] == len(missing)
    assert ended.result["pages_resumed"] == len(stored)
    figures = {"stored when killed": len(stored), "read by the next try": len(again)}
    figures["read twice"] = len(twice)
    for name, task in (("first", first), ("second", second)):
        steady = [rss for pages, rss in task.memory if pages >= 20]
        growth = max(steady) - steady[0]
        figures[f"MiB of the {name} try, then more"] = (round(steady[0]), round(growth, 1))
        assert growth < GROWTH, task.memory
    print(json.dumps(figures))
