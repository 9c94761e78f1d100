"""What the page remembers of a database that does not answer, so that few threads wait for it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from airflow_deepseek_ocr.exceptions import DatabaseError, ErrorCode

#: Seconds for which requests fail at once after one has waited in vain. A browser asks for many pictures at a
#: time, and people load a page again soon.
_KEEP_S = 2.0
#: Seconds of a failure that is remembered. Others cost nothing, and may be of one request only.
_SLOW_S = 0.5


class Away:
    """Lets one request at a time find out whether the database is back; several threads may use it.

    :param clock: monotonic time, in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._lock = clock, threading.Lock()
        self._error: DatabaseError | None = None
        self._failed_at = float("-inf")
        self._is_tried = False

    @contextmanager
    def attempt(self) -> Iterator[Callable[[], None]]:
        """Use the database inside, unless it is known to be away.

        :return: a function that raises if it was found to be away since the block was entered.
        :raises DatabaseError: ``database_unavailable``, at once.
        """
        start = self._clock()
        is_try = self._begin(start)
        try:
            yield lambda: self._check(start)
        except DatabaseError as error:
            is_slow = self._clock() - start >= _SLOW_S
            if error.code == ErrorCode.DATABASE_UNAVAILABLE and is_slow:
                with self._lock:
                    self._error, self._failed_at = error, self._clock()
            raise
        else:
            with self._lock:
                self._error = None
        finally:
            if is_try:
                with self._lock:
                    self._is_tried = False

    def _begin(self, start: float) -> bool:
        """Return whether this request finds out for the others."""
        with self._lock:
            if self._error is None:
                return False
            if self._is_tried or start - self._failed_at < _KEEP_S:
                raise _again(self._error)
            self._is_tried = True
            return True

    def _check(self, start: float) -> None:
        with self._lock:
            if self._error is not None and self._failed_at >= start:
                raise _again(self._error)


def _again(error: DatabaseError) -> DatabaseError:
    # Another object: each thread adds its own traceback.
    return DatabaseError(error.code, str(error))
