"""The tasks of a chaos run: new documents are found, tasks start, end and are retried."""

from __future__ import annotations

import random
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.chaos.audit import Findings, Version
from tests.chaos.documents import make_pdf
from tests.chaos.model_server import starter
from tests.chaos.servers import BUCKET, Bucket, Results
from tests.chaos.worker import OK, RETRY
from tests.chaos.worker_process import Ended, WorkerProcess, environment, servers_directory
from tests.support.servers.disk import Disk

TICK_S = 0.05
_POLL_S = 3.0
_RETRIES = 2


@dataclass(frozen=True)
class Plan:
    """What a chaos run does.

    :param faults: how many.
    :param seed: of all random choices; moments still depend on the host's speed.
    :param documents: in the bucket at the beginning; overwriting adds versions.
    :param pages: most pages of a document.
    :param page_s: seconds a page takes the model's server, or None for the small checkpoint.
    :param lines: mean number of pages read and pages stored between two faults.
    :param pause_s: most seconds between two faults, whether or not anything is read.
    :param lease_s: seconds a lease lasts.
    :param tasks: that run at once.
    :param timeout_s: seconds after which a chaos run that does not end is stuck.
    :param servers: model servers on this host, over which each task spreads its pages.
    :param first: kind of fault that strikes before any other does, while there is most to read.
    :param exports: formats of the exports of each document.
    """

    faults: int
    seed: int
    documents: int
    pages: int = 12
    page_s: float | None = 0.05
    lines: float = 3.0
    pause_s: float = 4.0
    lease_s: float = 3.0
    tasks: int = 4
    timeout_s: float = 3600.0
    servers: int = 1
    first: str | None = None
    exports: tuple[str, ...] = ("markdown", "jsonl", "webp")


@dataclass
class Report:
    """What a chaos run did and found."""

    faults: Counter[str] = field(default_factory=Counter)
    tries: Counter[str] = field(default_factory=Counter)
    versions: int = 0
    struck_pages: int = 0
    seconds: float = 0.0
    findings: Findings = field(default_factory=Findings)


@dataclass
class _Task:
    documents: list[dict[str, Any]]
    run_id: str
    map_index: int
    try_number: int = 1
    not_before: float = 0.0


class TaskQueue:
    """Finds documents and runs tasks on a worker, like Airflow's scheduler.

    :param directory: for logs and results.
    :param model: the small checkpoint's directory.
    :param disk: for workers' temporary files, if there can be one that is filled up.
    """

    def __init__(
        self,
        plan: Plan,
        bucket: Bucket,
        results: Results,
        directory: Path,
        model: Path,
        disk: Disk | None = None,
    ) -> None:
        self._plan, self._bucket, self._results, self._directory = plan, bucket, results, directory
        self._random = random.Random(plan.seed)
        self._event_log = None if plan.page_s is None else directory / "event_log"
        server = None
        if self._event_log is not None and plan.page_s is not None:
            server = starter(directory, self._event_log, plan.page_s)
        temporary = disk.path if disk else directory
        self._servers = servers_directory(temporary)
        self._workers = WorkerProcess(
            directory,
            environment(
                bucket,
                results,
                directory,
                model,
                server=server,
                temporary=temporary,
                servers=plan.servers,
            ),
        )
        self._exports = directory / "exports"
        self._versions: dict[int, list[Version]] = {}
        self._waiting: list[_Task] = []
        self._running: dict[int, _Task | None] = {}
        self._finding: int | None = None
        self._delivered: deque[list[list[dict[str, Any]]]] = deque(maxlen=8)
        self._later: list[tuple[float, Callable[[], None]]] = []
        self._away: dict[str, threading.Thread] = {}
        #: Faults under way of which it is not known yet whether they hit anything.
        self._uncertain = 0
        self._counting = threading.Lock()
        self._jobs = self._runs = 0
        self._next_poll = 0.0
        self._report = Report()

    def _tick(self) -> list[Any] | None:
        """Let time pass; returns what the sensor found, if it ended well just now."""
        time.sleep(TICK_S)
        now = time.monotonic()
        for entry in [each for each in self._later if each[0] <= now]:
            self._later.remove(entry)
            entry[1]()
        self._away = {name: thread for name, thread in self._away.items() if thread.is_alive()}
        found = None
        for ended in self._workers.ended():
            if ended.job == self._finding:
                self._finding = None
                found = ended.result
                if ended.result:
                    self._event(ended.result)
            self._task_ended(ended)
        few = len(self._waiting) + len(self._running) < self._plan.tasks + 2
        if self._finding is None and few and now >= self._next_poll:
            self._find()
        ready = [task for task in self._waiting if task.not_before <= now]
        for task in ready[: self._plan.tasks - len(self._running)]:
            self._waiting.remove(task)
            self._start(task)
        return found

    def _find(self) -> None:
        self._next_poll = time.monotonic() + _POLL_S
        self._finding = self._next_job()
        self._workers.send(self._finding, "find", bucket=BUCKET, batch_size=3, max_documents=24)

    def _event(self, batches: list[list[dict[str, Any]]]) -> None:
        """An event starts a run, at once or late, so that events overtake each other."""
        self._delivered.append(batches)
        delay = self._random.uniform(1, 4) if self._random.random() < 0.15 else 0.0
        self._later.append((time.monotonic() + delay, lambda: self._run_of(batches)))

    def _run_of(self, batches: list[list[dict[str, Any]]]) -> None:
        self._runs += 1
        self._waiting += [
            _Task(batch, f"run {self._runs}", index) for index, batch in enumerate(batches)
        ]

    def _start(self, task: _Task) -> None:
        job = self._next_job()
        self._running[job] = task
        self._report.tries["started"] += 1
        self._workers.send(
            job,
            "read",
            documents=task.documents,
            lease_s=self._plan.lease_s,
            wait_s=20,
            page_s=None,
            exports=list(self._plan.exports),
            export_to=str(self._exports),
            event_log=self._event_log and str(self._event_log),
            task={
                "dag_id": "chaos",
                "run_id": task.run_id,
                "task_id": "read",
                "map_index": task.map_index,
                "try_number": task.try_number,
            },
        )

    def _task_ended(self, ended: Ended) -> None:
        task = self._running.pop(ended.job, None)
        if task is None:
            return
        kinds = {OK: "ended well", RETRY: "failed, worth a retry"}
        died = ended.status is None or ended.status < 0
        self._report.tries["died" if died else kinds.get(ended.status, "failed")] += 1
        if not died and ended.status not in kinds:
            print(f"job {ended.job}: {self._workers.log(ended.job)[-500:]}", file=sys.stderr)
        if ended.status != OK:
            self._retry(task)

    def _retry(self, task: _Task) -> None:
        if task.try_number <= _RETRIES:
            delay = self._random.uniform(0.1, 1.0)
            again = _Task(task.documents, task.run_id, task.map_index, task.try_number + 1)
            again.not_before = time.monotonic() + delay
            self._waiting.append(again)
        else:
            self._report.tries["given up"] += 1

    def _any_task(self) -> int | None:
        jobs = [job for job, task in self._running.items() if task is not None]
        return self._random.choice(jobs) if jobs else None

    def _fill(self) -> None:
        self._bucket.fill(dict(self._new_version(n) for n in range(self._plan.documents)))

    def _new_version(self, document: int) -> tuple[str, bytes]:
        versions = self._versions.setdefault(document, [])
        pages = self._random.randint(1, self._plan.pages)
        key, body = f"in/{document:05}.pdf", make_pdf(document, len(versions), pages)
        uri, known = f"s3://{BUCKET}/{key}", self._plan.page_s is not None
        versions.append(Version.of(uri, document, len(versions), pages, body, text_known=known))
        return key, body

    def _next_job(self) -> int:
        self._jobs += 1
        return self._jobs

    def _note(self, what: str) -> None:
        with (self._directory / "faults.log").open("a") as log:
            log.write(f"{time.time():.3f} {what}\n")

    def _dump(self) -> None:
        print(f"running {self._running}, waiting {self._waiting}", file=sys.stderr)
        for job in self._running:
            print(f"--- job {job}\n{self._workers.log(job)[-3000:]}", file=sys.stderr)

    def _count(self, name: str) -> None:
        with self._counting:
            self._report.faults[name] += 1
        self._note(name)
