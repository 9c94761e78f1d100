"""The log of an outage of the results database: since when, what happens next, and when it ended."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

log = logging.getLogger(__name__)

#: Seconds that failures must last before they count as an outage: conflicts of transactions pass sooner.
_SHORTEST_S = 1.0


class Outage:
    """Notes of failed and successful transactions, which log the start and the end of an outage once.

    Several threads may use it.

    :param patience_s: seconds for which a transaction is tried again.
    :param clock: monotonic time, in seconds.
    """

    def __init__(self, patience_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._patience_s, self._clock = patience_s, clock
        self._lock = threading.Lock()
        self._since: float | None = None
        self._is_logged = False

    def failed(self, error: BaseException, *, patient: bool) -> None:
        """Note a transaction that failed.

        :param error: the driver's error.
        :param patient: whether it is tried again.
        """
        with self._lock:
            now = self._clock()
            if self._since is None:
                self._since = now
            if not patient or self._is_logged or now - self._since < _SHORTEST_S:
                return
            self._is_logged = True
            log.warning(
                "The results database has been away since %s (%s: %s). Finished pages wait in this task, "
                "which tries for up to %.0f s to store them; after that it fails, and a retry processes "
                "only the missing pages.",
                self.since,
                type(error).__name__,
                " ".join(str(error).split()),
                self._patience_s,
            )

    def ended(self) -> None:
        """Note a transaction that succeeded."""
        with self._lock:
            if self._is_logged and self._since is not None:
                log.info(
                    "The results database is back after %.0f s; the task continues.",
                    self._clock() - self._since,
                )
            self._since, self._is_logged = None, False

    @property
    def since(self) -> str:
        """The time of the first failure in a row, in UTC; now if there was none."""
        seconds = self._clock() - self._since if self._since is not None else 0
        return f"{datetime.now(UTC) - timedelta(seconds=seconds):%H:%M:%S} UTC"
