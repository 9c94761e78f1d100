"""The balanced engine: one engine for several servers, or for all GPUs of a host."""

from __future__ import annotations

import logging
import queue
import time
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from airflow_deepseek_ocr.concurrency.prefetch import Prefetcher, stop_of
from airflow_deepseek_ocr.engines.balancing.page_dispatcher import PageDispatcher
from airflow_deepseek_ocr.engines.balancing.replica import (
    CheckedEngine,
    Failure,
    HealthPolicy,
    Replica,
    Report,
)
from airflow_deepseek_ocr.exceptions import ConfigurationError, DeepSeekOCRError, ErrorCode
from airflow_deepseek_ocr.ocr.engine_protocol import PageOutput, PageRequest, Progress
from airflow_deepseek_ocr.ocr.families.family import ModelFamily

log = logging.getLogger(__name__)

_PROGRESS_INTERVAL_S = 5.0
_POLL_S = 0.2
#: Longest wait for a replica's thread at the end, in seconds. It cancels its requests, which takes less.
_END_TIMEOUT_S = 10.0


@dataclass(frozen=True)
class NamedEngine:
    """An engine and its name in messages.

    :param name: such as ``http://a:8000`` or ``cuda:1``.
    :param engine: the engine.
    """

    name: str
    engine: CheckedEngine


class BalancedEngine:
    """Spreads pages over several engines; see :class:`airflow_deepseek_ocr.ocr.engine_protocol.Engine`.

    Each page is read by one replica: of those with room, the one with the fewest outstanding tokens. The
    pages of a replica that fails are given to the others, and the replica returns when it responds again.

    :param replicas: the engines, which serve the same model.
    :param health: when a replica is ejected and tried again.
    :param progress_interval_s: seconds between two reports of progress.
    """

    def __init__(
        self,
        replicas: Sequence[NamedEngine],
        *,
        health: HealthPolicy | None = None,
        progress_interval_s: float = _PROGRESS_INTERVAL_S,
    ) -> None:
        self._replicas = tuple(replicas)
        self._health = health or HealthPolicy()
        self._progress_interval_s = progress_interval_s
        self._modes: tuple[str, ...] | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the replicas."""
        return tuple(each.name for each in self._replicas)

    def family(self) -> ModelFamily:
        """See :meth:`airflow_deepseek_ocr.ocr.engine_protocol.Engine.family`; all have the same."""
        return self._replicas[0].engine.family()

    def smallest_print(self) -> float:
        """See :meth:`airflow_deepseek_ocr.ocr.engine_protocol.Engine.smallest_print`; all have one model.

        :raises DeepSeekOCRError: no replica responds: the first one's error.
        """
        errors: list[DeepSeekOCRError] = []
        for each in self._replicas:
            try:
                return each.engine.smallest_print()
            except DeepSeekOCRError as error:
                errors.append(error)
        raise errors[0]

    def modes(self) -> tuple[str, ...]:
        """Return the modes that all responding replicas support; all are asked, or started, at once.

        :raises DeepSeekOCRError: no replica responds: the first one's error.
        :raises ConfigurationError: an error of the connection, which concerns each replica; or
            ``server_mode`` if the replicas have no mode in common.
        """
        if self._modes is None:
            with ThreadPoolExecutor(len(self._replicas), "replica-modes") as pool:
                answers = list(pool.map(_modes_or_error, self._replicas))
            errors = [each for each in answers if isinstance(each, DeepSeekOCRError)]
            if len(errors) == len(answers):
                raise errors[0]
            for each, answer in zip(self._replicas, answers, strict=True):
                if isinstance(answer, DeepSeekOCRError):
                    log.warning("%s cannot be used now: %s", each.name, answer)
            self._modes = _common([each for each in answers if isinstance(each, tuple)])
        return self._modes

    def read(
        self, requests: Iterable[PageRequest], progress: Callable[[Progress], None] | None = None
    ) -> Generator[PageOutput, None, None]:
        """See :meth:`airflow_deepseek_ocr.ocr.engine_protocol.Engine.read`.

        :raises DeepSeekOCRError: all replicas failed: the last one's error.
        """
        reports: queue.SimpleQueue[Report] = queue.SimpleQueue()
        dispatcher: PageDispatcher | None = None

        def wake() -> None:
            if dispatcher is not None:
                dispatcher.wake()

        with Prefetcher(
            requests, lambda request: request, bound=1, on_ready=wake, stop=stop_of(requests)
        ) as fetched:
            dispatcher = PageDispatcher(fetched, len(self._replicas), reports, self.family())
            replicas = [
                Replica(number, each.name, each.engine, dispatcher, reports, self._health)
                for number, each in enumerate(self._replicas)
            ]
            for replica in replicas:
                replica.start()
            try:
                yield from self._outputs(dispatcher, replicas, reports, progress)
            finally:
                dispatcher.stop()
                deadline = time.monotonic() + _END_TIMEOUT_S
                for replica in replicas:
                    replica.end(max(0.0, deadline - time.monotonic()))

    def _outputs(
        self,
        dispatcher: PageDispatcher,
        replicas: list[Replica],
        reports: queue.SimpleQueue[Report],
        progress: Callable[[Progress], None] | None,
    ) -> Generator[PageOutput, None, None]:
        finished, reported = 0, time.monotonic()
        while True:
            over = (
                dispatcher.over
            )  # asked before the reports: those of the last pages are there then
            report = _next_report(reports)
            if isinstance(report, PageOutput):
                finished += 1
                yield report
            elif isinstance(report, Failure):
                _note(report, replicas, dispatcher)
            elif report is not None:
                raise report
            elif over:
                if dispatcher.error is not None:
                    raise dispatcher.error
                return
            if progress and time.monotonic() - reported >= self._progress_interval_s:
                reported = time.monotonic()
                in_flight = sum(dispatcher.outstanding(each.number) for each in replicas)
                progress(Progress(finished, in_flight, sum(each.tokens for each in replicas)))

    def close(self) -> None:
        """Close all engines."""
        for each in self._replicas:
            each.engine.close()


def _note(failure: Failure, replicas: list[Replica], dispatcher: PageDispatcher) -> None:
    """Log that a replica failed; raise its error if it was the last one."""
    if not dispatcher.serving:
        raise failure.error
    log.warning(
        "%s failed: %s Its pages are read by the others%s.",
        replicas[failure.replica].name,
        failure.error,
        "" if failure.is_permanent else "; it is tried again",
    )


def _common(answers: list[tuple[str, ...]]) -> tuple[str, ...]:
    """Return the modes that occur in all answers.

    :raises ConfigurationError: ``server_mode`` if there is none.
    """
    common = tuple(each for each in answers[0] if all(each in modes for modes in answers))
    if not common:
        raise ConfigurationError(
            ErrorCode.SERVER_MODE,
            "The servers of the connection have no resolution mode in common. Start them with the same "
            "options (vLLM with or without the plugin).",
        )
    return common


def _modes_or_error(replica: NamedEngine) -> tuple[str, ...] | DeepSeekOCRError:
    try:
        return replica.engine.modes()
    except DeepSeekOCRError as error:
        return error


def _next_report(reports: queue.SimpleQueue[Report]) -> Report:
    try:
        return reports.get(timeout=_POLL_S)
    except queue.Empty:
        return None
