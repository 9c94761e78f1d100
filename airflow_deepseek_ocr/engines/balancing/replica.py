"""One replica of a balanced engine: a thread that reads pages, fails, waits, and returns."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Protocol

from airflow_deepseek_ocr.engines.balancing.page_dispatcher import PageDispatcher
from airflow_deepseek_ocr.exceptions import (
    ConfigurationError,
    DeepSeekOCRError,
    ServerUnreachableError,
)
from airflow_deepseek_ocr.ocr.engine_protocol import Engine, PageOutput, PageRequest, Progress

log = logging.getLogger(__name__)


class CheckedEngine(Engine, Protocol):
    """An engine whose server can be asked whether it responds."""

    def check(self) -> None:
        """Return if the server that :meth:`modes` found responds.

        :raises DeepSeekOCRError: it does not respond, or it cannot serve this connection.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class HealthPolicy:
    """When a replica is ejected, and when it is tried again.

    The pauses are those of Envoy's outlier detection in kind (each ejection is longer than the last one);
    the figures are this package's.

    :param interval_s: seconds between two health checks.
    :param silence_s: seconds without a successful check after which a replica is ejected. A busy server
        answers late; three checks of ten seconds may fail before.
    :param first_pause_s: seconds until an ejected replica is tried again; each further pause is twice as
        long.
    :param max_pause_s: longest pause in seconds.
    """

    interval_s: float = 10.0
    silence_s: float = 60.0
    first_pause_s: float = 5.0
    max_pause_s: float = 120.0


@dataclass(frozen=True)
class Failure:
    """A replica failed; its pages are with the others.

    :param replica: number of the replica.
    :param error: what failed.
    """

    replica: int
    error: DeepSeekOCRError

    @property
    def is_permanent(self) -> bool:
        """Whether the replica is not tried again: a setting is wrong."""
        return isinstance(self.error, ConfigurationError)


#: What replicas report: outputs, failures, an error of the program, and the end of a thread (None).
Report = PageOutput | Failure | BaseException | None


class Replica:
    """Reads pages of the dispatcher with one engine, in a thread, until the dispatcher is over.

    :param number: its number at the dispatcher, from 0.
    :param name: its name in messages.
    :param engine: its engine.
    :param dispatcher: where pages come from.
    :param reports: receives failures; the dispatcher puts the outputs there.
    :param health: when it is ejected and tried again.
    """

    def __init__(
        self,
        number: int,
        name: str,
        engine: CheckedEngine,
        dispatcher: PageDispatcher,
        reports: queue.SimpleQueue[Report],
        health: HealthPolicy,
    ) -> None:
        self.number, self.name = number, name
        self.tokens = 0
        self._engine, self._dispatcher, self._reports, self._health = (
            engine,
            dispatcher,
            reports,
            health,
        )
        self._pause_s = health.first_pause_s
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"replica-{number}", daemon=True)
        self._checks = threading.Thread(
            target=self._watch, name=f"replica-health-{number}", daemon=True
        )

    def start(self) -> None:
        """Start reading."""
        self._thread.start()
        self._checks.start()

    def end(self, timeout_s: float) -> None:
        """Wait until the thread has ended; the dispatcher must be stopped or over.

        :param timeout_s: longest wait in seconds. A thread that waits for a server is left to itself.
        """
        self._ended.set()
        self._thread.join(timeout_s)

    def _run(self) -> None:
        try:
            while not self._dispatcher.over:
                self._read()
                if not self._dispatcher.over and not self._return():
                    return
        except BaseException as error:
            self._reports.put(error)
        finally:
            self._ended.set()
            self._reports.put(None)

    def _read(self) -> None:
        """Read pages until the dispatcher is over, or until this replica is ejected."""
        try:
            with closing(
                self._engine.read(_Pages(self._dispatcher, self.number), self._note)
            ) as outputs:
                for output in outputs:
                    if self._dispatcher.finish(self.number, output):
                        self._pause_s = self._health.first_pause_s
        except DeepSeekOCRError as error:
            self._fail(error)

    def _note(self, progress: Progress) -> None:
        self.tokens = progress.tokens

    def _fail(self, error: DeepSeekOCRError) -> None:
        self._dispatcher.eject(self.number, error)
        self._reports.put(Failure(self.number, error))

    def _return(self) -> bool:
        """Wait until the engine can read again; return False if it never will, or if pages are over."""
        while True:
            if self._sleep(self._pause_s):
                return False
            self._pause_s = min(2 * self._pause_s, self._health.max_pause_s)
            try:
                self._engine.modes()  # finds or starts a managed server
                self._engine.check()
            except ConfigurationError as error:
                self._fail(error)
                return False
            except DeepSeekOCRError as error:
                log.info("%s is still away: %s", self.name, error)
                continue
            log.info("%s is back.", self.name)
            self._dispatcher.restore(self.number)
            return True

    def _sleep(self, seconds: float) -> bool:
        """Wait; return True at once when the pages are over."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            if self._dispatcher.over or self._ended.wait(min(left, 0.2)):
                return True
        return self._dispatcher.over

    def _watch(self) -> None:
        """Eject the replica if its server does not respond while it has pages."""
        answered = time.monotonic()
        while not self._sleep(self._health.interval_s):
            if not self._dispatcher.outstanding(self.number):
                answered = time.monotonic()
                continue
            try:
                self._engine.check()
                answered = time.monotonic()
            except DeepSeekOCRError as error:
                if time.monotonic() - answered > self._health.silence_s:
                    self._fail(
                        ServerUnreachableError(
                            f"{self.name} has not responded for {time.monotonic() - answered:.0f} s: "
                            f"{error}"
                        )
                    )


class _Pages(Iterator[PageRequest]):
    """The dispatcher's pages for one replica."""

    def __init__(self, dispatcher: PageDispatcher, replica: int) -> None:
        self._dispatcher, self._replica = dispatcher, replica

    def __next__(self) -> PageRequest:
        request = self._dispatcher.take(self._replica)
        if request is None:
            raise StopIteration
        return request

    def stop(self) -> None:
        """End the wait: the engine takes no more pages."""
        self._dispatcher.withhold(self._replica)
