"""Faults of a chaos run. Each method returns whether there was a target."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from pathlib import Path
from signal import SIGCONT, SIGKILL, SIGSTOP, SIGTERM, Signals

import httpx

from airflow_deepseek_ocr.engines.supervisor.process import kill_server
from airflow_deepseek_ocr.engines.supervisor.registry import ServerRecord, all_records
from airflow_deepseek_ocr.exceptions import DeepSeekOCRError
from tests.chaos.servers import Bucket, Results, ResultsFile, ResultsServer
from tests.chaos.task_queue import TICK_S, Plan, TaskQueue
from tests.support.servers.disk import Disk

#: Seconds in which a full disk must refuse space, or it was no fault.
_HIT_S = 6.0
#: Messages of programs about a full disk.
_FULL = re.compile(r"No space left on device|disk is full|The table '.*' is full|[Ee]rror 28\b")


class Faults(TaskQueue):
    """Injects faults into tasks and servers.

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
        super().__init__(plan, bucket, results, directory, model, disk)
        # With weights: servers that are away most of the time would leave nothing to strike.
        self._faults: dict[str, tuple[int, Callable[[], bool]]] = {
            "task killed": (340, self._kill_task),
            "task terminated": (50, self._terminate_task),
            "task stopped past its lease": (40, self._stop_task),
            "sensor killed": (40, self._kill_sensor),
            "worker killed with its tasks": (15, self._kill_worker),
            "model server killed": (50 * plan.servers**2, self._kill_server),
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

    def _kill_task(self) -> bool:
        return self._hit(SIGKILL) is not None

    def _terminate_task(self) -> bool:
        job = self._hit(SIGTERM)
        if job is None:
            return False
        self._later.append((time.monotonic() + 0.5, lambda: self._workers.signal(job, SIGKILL)))
        return True

    def _stop_task(self) -> bool:
        """Stop a task as on a hanging host: its lease expires, a retry may start, then it continues."""
        job = self._hit(SIGSTOP)
        if job is None:
            return False
        if self._random.random() < 0.5:
            task = self._running[job]
            assert task is not None
            self._running[job] = None
            self._retry(task)
        pause = self._plan.lease_s * self._random.uniform(1.2, 2.5)
        self._later.append((time.monotonic() + pause, lambda: self._workers.signal(job, SIGCONT)))
        return True

    def _kill_sensor(self) -> bool:
        return self._finding is not None and self._workers.signal(self._finding, SIGKILL)

    def _kill_worker(self) -> bool:
        if self._any_task() is None:
            return False
        self._workers.kill()
        for ended in self._workers.ended():
            self._finding = None if ended.job == self._finding else self._finding
            self._task_ended(ended)
        self._workers.start()
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
                time.sleep(TICK_S / 2)
            return False

        self._in_background_if_it_hits("model", "model server killed", away)
        return False

    def _kill_busy_server(self) -> bool:
        records = list(all_records(self._servers))
        self._random.shuffle(records)
        for record in records:
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
        found = re.search(r"^deepseek_ocr_pending_pages (\d+)", figures, re.MULTILINE)
        return int(found[1]) if found else 0

    def _add_full_disk(
        self, name: str, weight: int, disk: Disk, server_log: Callable[[], str]
    ) -> None:
        self._faults[name] = weight, lambda: self._fill_up(name, disk, server_log)

    def _fill_up(self, name: str, disk: Disk, server_log: Callable[[], str]) -> bool:
        """Fill a disk until a process is refused space, and a while longer; count it if one was."""
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
                    time.sleep(TICK_S)
            finally:
                disk.free()
            self._results.recover()
            return hit

        self._in_background_if_it_hits("disk", name, away)
        return False

    def _complaints(self, server_log: Callable[[], str]) -> int:
        """How often full disks were complained of."""
        recent = range(max(0, self._jobs - 60), self._jobs + 1)
        texts = [self._workers.log(job) for job in recent] + [server_log()]
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
        """Run ``work`` in the background, and count the fault if it returns True."""

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
        if job is None or not self._workers.signal(job, number):
            return None
        self._note(f"{number.name} to job {job}")
        return job
