"""How often and how long a page is retried, and the errors that are retried."""

from __future__ import annotations

from dataclasses import dataclass

import httpx
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type
from tenacity.wait import wait_random_exponential

from airflow_deepseek_ocr.exceptions import DeepSeekOCRError

#: Seconds of the first exponential pause; each further one is twice as long.
_FIRST_PAUSE_S = 0.25


@dataclass(frozen=True, kw_only=True)
class RetryPolicy:
    """Time-outs and numbers of attempts.

    :param connect_s: seconds until a connection must be established.
    :param page_s: seconds until a page must be answered; the server drops the page afterwards.
    :param full_s: seconds for which a page may wait until a full server admits it.
    :param attempts: attempts for a page that the server fails on.
    :param broken_attempts: attempts for a page during which the connection breaks, as the page may be the
        reason.
    :param max_pause_s: longest pause between two attempts, in seconds.
    """

    connect_s: float = 10.0
    page_s: float = 900.0
    full_s: float = 3600.0
    attempts: int = 5
    broken_attempts: int = 3
    max_pause_s: float = 20.0

    @property
    def timeout(self) -> httpx.Timeout:
        """The time-outs for httpx."""
        return httpx.Timeout(self.page_s, connect=self.connect_s, pool=None)


class PageFailedError(Exception):
    """This page failed, and another attempt would fail as well.

    :param error: error of the page.
    """

    def __init__(self, error: DeepSeekOCRError) -> None:
        super().__init__(str(error))
        self.error = error


class RetryableError(PageFailedError):
    """An attempt failed in a way that another attempt may not.

    :param error: error of the page if no attempt is left.
    :param after_s: seconds that the server asks to wait.
    """

    def __init__(self, error: DeepSeekOCRError, after_s: float = 0.0) -> None:
        super().__init__(error)
        self.after_s = after_s


class ServerFullError(RetryableError):
    """The server did not admit the page."""


class ConnectionBrokenError(RetryableError):
    """The connection broke after the page was sent."""


class PageFileMissingError(RetryableError):
    """The server did not find the page's file."""


@dataclass
class FailedAttempts:
    """The failed attempts of one page.

    :param policy: how many are allowed.
    :param broken: attempts during which the connection broke.
    :param others: other failed attempts.
    :param as_file: whether the page may go as a file: not after the server has missed one.
    """

    policy: RetryPolicy
    broken: int = 0
    others: int = 0
    as_file: bool = True

    def retrying(self) -> AsyncRetrying:
        """Return the loop that runs attempts and counts failures here."""
        return AsyncRetrying(
            retry=retry_if_exception_type(RetryableError),
            stop=self.is_over,
            wait=Backoff(self.policy.max_pause_s),
            reraise=True,
        )

    def is_over(self, state: RetryCallState) -> bool:
        """Count the failed attempt, and return whether it was the last one allowed."""
        error = state.outcome.exception() if state.outcome else None
        if isinstance(error, ServerFullError):
            return (state.seconds_since_start or 0) > self.policy.full_s
        self.as_file = self.as_file and not isinstance(error, PageFileMissingError)
        if isinstance(error, ConnectionBrokenError):
            self.broken += 1
        else:
            self.others += 1
        return self.broken >= self.policy.broken_attempts or self.others >= self.policy.attempts


class Backoff:
    """Exponential pauses with full jitter, added to the pause that the server asks for.

    :param max_pause_s: upper bound of either part, in seconds.
    """

    def __init__(self, max_pause_s: float) -> None:
        self._max_pause_s = max_pause_s
        self._jitter = wait_random_exponential(multiplier=_FIRST_PAUSE_S, max=max_pause_s)

    def __call__(self, state: RetryCallState) -> float:
        """Return the seconds until the next attempt."""
        error = state.outcome.exception() if state.outcome else None
        asked = error.after_s if isinstance(error, RetryableError) else 0.0
        # Without jitter, all refused pages would return at the same moment.
        return min(asked, self._max_pause_s) + float(self._jitter(state))
