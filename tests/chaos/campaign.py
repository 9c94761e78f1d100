"""A campaign: documents are found and read by tasks that are retried, while faults strike."""

from __future__ import annotations

import random
import re
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from signal import SIGCONT, SIGKILL, SIGSTOP, SIGTERM, Signals
from typing import Any

import httpx

from airflow_deepseek_ocr.engines.supervisor.process import kill_server
from airflow_deepseek_ocr.engines.supervisor.registry import ServerRecord, all_records
from airflow_deepseek_ocr.exceptions import DeepSeekOCRError
from tests.chaos.audit import Findings, Version, audit
from tests.chaos.crew import Crew, Ended, environment, servers_directory
from tests.chaos.documents import make_pdf
from tests.chaos.model_server import starter
from tests.chaos.servers import BUCKET, Bucket, Results, ResultsFile, ResultsServer
from tests.chaos.worker import OK, RETRY
from tests.support.servers.disk import Disk

_TICK_S, _LOOK_S = 0.05, 3.0
_RETRIES = 2
#: Seconds in which everything must have ended after the last fault.
_QUIET_TIMEOUT_S = 180.0
#: Seconds in which a full disk must be in somebody's way, or it was no fault.
_HIT_S = 6.0
#: How often a fault is of a kind that did not happen yet, as long as there is one.
_NEW = 0.7
#: What programs say of a full disk, databases in their own words.
_FULL = re.compile(r"No space left on device|disk is full|The table '.*' is full|[Ee]rror 28\b")


@dataclass(frozen=True)
class Plan:
    """What a campaign does.

    :param faults: how many.
    :param seed: of all random choices; moments still depend on the host's speed.
    :param documents: in the bucket at the beginning; overwriting adds versions.
    :param pages: most pages of a document.
    :param page_s: seconds a page takes the model's server, or None for the small checkpoint.
    :param lines: mean number of pages read and pages stored between two faults.
    :param pause_s: most seconds between two faults, whether or not anything is read.
    :param lease_s: seconds a lease lasts.
    :param tasks: that run at once.
    :param timeout_s: seconds after which a campaign that does not end is stuck.
    :param first: kind of fault that strikes before any other does, while there is most to read.
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
    first: str | None = None


@dataclass
class Report:
    """What a campaign did and found."""

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


class Campaign:
    """Runs a plan against servers that run already.

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
        self._diary = None if plan.page_s is None else directory / "diary"
        server = None
        if self._diary is not None and plan.page_s is not None:
            server = starter(directory, self._diary, plan.page_s)
        temporary = disk.path if disk else directory
        self._servers = servers_directory(temporary)
        self._crew = Crew(
            directory,
            environment(bucket, results, directory, model, server=server, temporary=temporary),
        )
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
        self._next_look = 0.0
        self._report = Report()
        # With weights: servers that are away most of the time would leave nothing to strike.
        self._faults: dict[str, tuple[int, Callable[[], bool]]] = {
            "task killed": (340, self._kill_task),
            "task terminated": (50, self._terminate_task),
            "task stopped past its lease": (40, self._stop_task),
            "sensor killed": (40, self._kill_sensor),
            "worker killed with its tasks": (15, self._kill_worker),
            "model server killed": (50, self._kill_server),
            "object overwritten": (220, self._overwrite),
            "event delivered again": (60, self._deliver_again),
            "S3 connections cut": (60, lambda: self._cut(self._bucket, 120_000)),
            "S3 server killed": (8, lambda: self._take_away("s3", self._bucket)),
        }
        if isinstance(results, ResultsServer):
            self._faults["database connections cut"] = (110, lambda: self._cut(results, 4_000))
            self._faults["database server killed"] = (15, lambda: self._take_away("db", results))
        elif isinstance(results, ResultsFile):
            self._faults["database locked"] = (80, lambda: self._lock(results))
        if disk:
            self._add_full_disk("workers' disk filled up", 25, disk, lambda: "")
        if results.disk:
            self._add_full_disk("database's disk filled up", 30, results.disk, results.log)

    def run(self) -> Report:
        """Fill the bucket, read it, and audit.

        :raises TimeoutError: when it does not come to an end.
        """
        started = time.monotonic()
        self._crew.start()
        try:
            self._fill()
            self._strike(started + self._plan.timeout_s)
            self._come_to_rest()
        finally:
            for thread in self._away.values():
                thread.join(60)
            self._crew.stop()
            for record in all_records(self._servers):
                kill_server(record)
        report = self._report
        report.seconds = time.monotonic() - started
        report.versions = sum(map(len, self._versions.values()))
        current = [versions[-1] for versions in self._versions.values()]
        older = [version for versions in self._versions.values() for version in versions[:-1]]
        report.findings = audit(self._results.url, current, older, self._diary)
        return report

    def _strike(self, deadline: float) -> None:
        """Faults come with the pages, so that a slow host gets no more of them than a quick one."""
        lines = next_line = 0.0
        latest = time.monotonic() + self._plan.pause_s
        while sum(self._report.faults.values()) < self._plan.faults:
            now = time.monotonic()
            if now > deadline:
                raise TimeoutError(f"not all faults happened; so far {self._report.faults}")
            with self._counting:
                faults = sum(self._report.faults.values()) + self._uncertain
            room = faults < self._plan.faults
            if room and (lines >= next_line or now >= latest):
                next_line = lines + self._random.expovariate(1 / self._plan.lines)
                latest = now + self._plan.pause_s
                name = self._choice()
                # Where there is nothing to strike, the next moment brings another fault.
                under_way = self._uncertain
                if self._faults[name][1]():
                    self._count(name)
                elif self._uncertain == under_way:
                    latest = now
            self._tick()
            lines = self._lines()

    def _choice(self) -> str:
        """A kind of fault: mostly one that did not happen yet, so that short campaigns have them too."""
        if self._plan.first and not self._report.faults:
            return self._plan.first
        new = [name for name in self._faults if name not in self._report.faults]
        if new and self._any_task() is not None and self._random.random() < _NEW:
            return self._random.choice(new)
        weights = [weight for weight, _ in self._faults.values()]
        return self._random.choices(list(self._faults), weights)[0]

    def _count(self, name: str) -> None:
        with self._counting:
            self._report.faults[name] += 1
        self._note(name)

    def _lines(self) -> int:
        if self._diary is None or not self._diary.exists():
            return 0
        lines = self._diary.read_bytes()
        return lines.count(b" read ") + lines.count(b" stored ")

    def _come_to_rest(self) -> None:
        """Let everything end; the sensor must find nothing any more."""
        deadline = time.monotonic() + _QUIET_TIMEOUT_S
        looks = 0
        while looks < 2:
            if time.monotonic() > deadline:
                self._dump()
                raise TimeoutError("the tasks do not come to rest")
            found = self._tick()
            quiet = not (self._waiting or self._running or self._later or self._away)
            looks = looks + 1 if found == [] and quiet else (0 if not quiet else looks)
            # What failed for the servers' sake is due again after a second.
            if found == []:
                time.sleep(1.2)
                self._next_look = 0.0

    def _tick(self) -> list[Any] | None:
        """Let time pass; returns what the sensor found, if it ended well just now."""
        time.sleep(_TICK_S)
        now = time.monotonic()
        for entry in [each for each in self._later if each[0] <= now]:
            self._later.remove(entry)
            entry[1]()
        self._away = {name: thread for name, thread in self._away.items() if thread.is_alive()}
        found = None
        for ended in self._crew.ended():
            if ended.job == self._finding:
                self._finding = None
                found = ended.result
                if ended.result:
                    self._event(ended.result)
            self._task_ended(ended)
        few = len(self._waiting) + len(self._running) < self._plan.tasks + 2
        if self._finding is None and few and now >= self._next_look:
            self._find()
        ready = [task for task in self._waiting if task.not_before <= now]
        for task in ready[: self._plan.tasks - len(self._running)]:
            self._waiting.remove(task)
            self._start(task)
        return found

    def _find(self) -> None:
        self._next_look = time.monotonic() + _LOOK_S
        self._finding = self._next_job()
        self._crew.send(self._finding, "find", bucket=BUCKET, batch_size=3, max_documents=24)

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
        self._crew.send(
            job,
            "read",
            documents=task.documents,
            lease_s=self._plan.lease_s,
            wait_s=20,
            page_s=None,
            diary=self._diary and str(self._diary),
            task={
                "dag_id": "campaign",
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
            print(f"job {ended.job}: {self._crew.log(ended.job)[-500:]}", file=sys.stderr)
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

    # Faults: each returns whether there was something to strike.

    def _kill_task(self) -> bool:
        return self._hit(SIGKILL) is not None

    def _terminate_task(self) -> bool:
        job = self._hit(SIGTERM)
        if job is None:
            return False
        self._later.append((time.monotonic() + 0.5, lambda: self._crew.signal(job, SIGKILL)))
        return True

    def _stop_task(self) -> bool:
        """A host that hangs: its lease runs out, maybe a retry starts, and then it goes on."""
        job = self._hit(SIGSTOP)
        if job is None:
            return False
        if self._random.random() < 0.5:
            task = self._running[job]
            assert task is not None
            self._running[job] = None
            self._retry(task)
        pause = self._plan.lease_s * self._random.uniform(1.2, 2.5)
        self._later.append((time.monotonic() + pause, lambda: self._crew.signal(job, SIGCONT)))
        return True

    def _kill_sensor(self) -> bool:
        return self._finding is not None and self._crew.signal(self._finding, SIGKILL)

    def _kill_worker(self) -> bool:
        if self._any_task() is None:
            return False
        self._crew.kill()
        for ended in self._crew.ended():
            self._finding = None if ended.job == self._finding else self._finding
            self._task_ended(ended)
        self._crew.start()
        return True

    def _kill_server(self) -> bool:
        """Kill the model's server as soon as it has pages in flight; counted if it comes to that."""
        if "model" in self._away or self._any_task() is None:
            return False

        def away() -> bool:
            deadline = time.monotonic() + _HIT_S
            while time.monotonic() < deadline:
                if self._kill_busy_server():
                    return True
                time.sleep(_TICK_S / 2)
            return False

        self._in_background_if_it_hits("model", "model server killed", away)
        return False

    def _kill_busy_server(self) -> bool:
        for record in all_records(self._servers):
            if record.process() is None or not (pages := self._pages_in_flight(record)):
                continue
            kill_server(record)
            self._report.struck_pages += pages
            self._note(f"server {record.pid} had {pages} pages")
            return True
        return False

    @staticmethod
    def _pages_in_flight(record: ServerRecord) -> int:
        try:
            with record.endpoint.client(httpx.Timeout(2)) as client:
                figures = client.get("/metrics").raise_for_status().text
        except (httpx.TransportError, DeepSeekOCRError):
            return 0
        found = re.search(r"^deepseek_ocr_pages_pending (\d+)", figures, re.MULTILINE)
        return int(found[1]) if found else 0

    def _add_full_disk(
        self, name: str, weight: int, disk: Disk, server_log: Callable[[], str]
    ) -> None:
        self._faults[name] = weight, lambda: self._fill_up(name, disk, server_log)

    def _fill_up(self, name: str, disk: Disk, server_log: Callable[[], str]) -> bool:
        """Fill a disk until somebody complains, and a while longer; counted if somebody did."""
        if {"disk", "db"} & self._away.keys() or self._any_task() is None:
            return False
        pause = self._random.uniform(0, 2)
        before = self._complaints(server_log)

        def away() -> bool:
            try:
                deadline, hit = time.monotonic() + _HIT_S, False
                while time.monotonic() < deadline:
                    disk.fill()  # again: others give space back meanwhile
                    if not hit and self._complaints(server_log) > before:
                        hit, deadline = True, time.monotonic() + pause
                    time.sleep(_TICK_S)
            finally:
                disk.free()
            self._results.recover()
            return hit

        self._in_background_if_it_hits("disk", name, away)
        return False

    def _complaints(self, server_log: Callable[[], str]) -> int:
        """How often full disks were complained of."""
        recent = range(max(0, self._jobs - 60), self._jobs + 1)
        texts = [self._crew.log(job) for job in recent] + [server_log()]
        return sum(len(_FULL.findall(text)) for text in texts)

    def _overwrite(self) -> bool:
        if "s3" in self._away:
            return False
        document = self._random.choice(list(self._versions))
        # Rather one that is being read.
        names = [each["uri"] for task in self._running.values() if task for each in task.documents]
        busy = [number for number, versions in self._versions.items() if versions[-1].uri in names]
        if busy and self._random.random() < 0.7:
            document = self._random.choice(busy)
        key, body = self._new_version(document)
        self._bucket.fill({key: body})
        return True

    def _deliver_again(self) -> bool:
        if not self._delivered:
            return False
        self._run_of([self._random.choice(self._random.choice(self._delivered))])
        return True

    def _cut(self, server: Bucket | ResultsServer, size: int) -> bool:
        if self._random.random() < 0.5:
            server.proxy.cut()
        else:
            server.proxy.cut_after(self._random.randrange(size))
        return True

    def _take_away(self, name: str, server: Bucket | ResultsServer) -> bool:
        if name in self._away or (name == "db" and "disk" in self._away):
            return False
        pause = self._random.uniform(0, 2)

        def away() -> None:
            server.kill()
            time.sleep(pause)
            server.start()
            self._note(f"{name} is back")

        return self._in_background(name, away)

    def _lock(self, results: ResultsFile) -> bool:
        seconds = self._random.uniform(0.1, 1.5)
        return "lock" not in self._away and self._in_background(
            "lock", lambda: results.lock(seconds)
        )

    def _in_background(self, name: str, work: Callable[[], None]) -> bool:
        self._away[name] = threading.Thread(target=work, daemon=True)
        self._away[name].start()
        return True

    def _in_background_if_it_hits(self, key: str, name: str, work: Callable[[], bool]) -> None:
        """The same, for what is only counted if ``work`` returns that it hit something."""

        def count() -> None:
            try:
                if work():
                    self._count(name)
            finally:
                with self._counting:
                    self._uncertain -= 1

        with self._counting:
            self._uncertain += 1
        self._in_background(key, count)

    def _hit(self, number: Signals) -> int | None:
        job = self._any_task()
        if job is None or not self._crew.signal(job, number):
            return None
        self._note(f"{number.name} to job {job}")
        return job

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
            print(f"--- job {job}\n{self._crew.log(job)[-3000:]}", file=sys.stderr)
