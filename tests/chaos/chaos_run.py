"""A chaos run: documents are found and read by tasks that are retried, while faults are injected."""

from __future__ import annotations

import time

from airflow_deepseek_ocr.engines.supervisor.process import kill_server
from airflow_deepseek_ocr.engines.supervisor.registry import all_records
from tests.chaos.audit import audit
from tests.chaos.export_audit import audit_exports
from tests.chaos.faults import Faults
from tests.chaos.task_queue import Plan, Report

__all__ = ["ChaosRun", "Plan", "Report"]

#: Seconds in which everything must have ended after the last fault.
_QUIET_TIMEOUT_S = 180.0
#: Share of faults of a kind that has not happened yet, while there is one.
_NEW = 0.7


class ChaosRun(Faults):
    """Runs a plan against servers that run already."""

    def run(self) -> Report:
        """Fill the bucket, read it, and audit.

        :raises TimeoutError: when it does not come to an end.
        """
        started = time.monotonic()
        self._workers.start()
        try:
            self._fill()
            self._strike(started + self._plan.timeout_s)
            self._come_to_rest()
            self._export_rest()
        finally:
            for thread in self._away.values():
                thread.join(60)
            self._workers.stop()
            for record in all_records(self._servers):
                kill_server(record)
        report = self._report
        report.seconds = time.monotonic() - started
        report.versions = sum(map(len, self._versions.values()))
        current = [versions[-1] for versions in self._versions.values()]
        older = [version for versions in self._versions.values() for version in versions[:-1]]
        report.findings = audit(self._results.url, current, older, self._event_log)
        report.findings.exports = audit_exports(
            self._results.url,
            self._exports,
            self._plan.exports,
            {version.body_md5 for version in current},
        )
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
        """A kind of fault: mostly one that did not happen yet, so that short chaos runs have them too."""
        if self._plan.first and not self._report.faults:
            return self._plan.first
        new = [name for name in self._faults if name not in self._report.faults]
        if new and self._any_task() is not None and self._random.random() < _NEW:
            return self._random.choice(new)
        weights = [weight for weight, _ in self._faults.values()]
        return self._random.choices(list(self._faults), weights)[0]

    def _lines(self) -> int:
        if self._event_log is None or not self._event_log.exists():
            return 0
        lines = self._event_log.read_bytes()
        return lines.count(b" read ") + lines.count(b" stored ")

    def _export_rest(self) -> None:
        """Clear a task over all documents: what tasks that were given up have not exported is exported now.

        It reads no page; the audit would notice.
        """
        given_up = self._report.tries["given up"]
        self._run_of([[{"uri": versions[-1].uri} for versions in self._versions.values()]])
        deadline = time.monotonic() + _QUIET_TIMEOUT_S
        self._next_poll = deadline
        while self._waiting or self._running:
            if time.monotonic() > deadline or self._report.tries["given up"] > given_up:
                self._dump()
                raise TimeoutError("the last exports are not made")
            self._tick()

    def _come_to_rest(self) -> None:
        """Let everything end; the sensor must find nothing any more."""
        deadline = time.monotonic() + _QUIET_TIMEOUT_S
        polls = 0
        while polls < 2:
            if time.monotonic() > deadline:
                self._dump()
                raise TimeoutError("the tasks do not come to rest")
            found = self._tick()
            quiet = not (self._waiting or self._running or self._later or self._away)
            polls = polls + 1 if found == [] and quiet else (0 if not quiet else polls)
            # What failed for the servers' sake is due again after a second.
            if found == []:
                time.sleep(1.2)
                self._next_poll = 0.0
