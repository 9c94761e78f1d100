"""One call's connections to a server that may go away, and how long they are tried."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx
from tenacity import RetryCallState
from tenacity.wait import wait_random_exponential

from airflow_deepseek_ocr.concurrency.event_loop_thread import run_in_daemon_thread
from airflow_deepseek_ocr.engines.protocol.endpoint import Endpoint
from airflow_deepseek_ocr.exceptions import UnavailableError

#: Pages that are on their way to the server at once. Hundreds that share the way all arrive late; a server
#: that has the first ones whole can begin with them.
_SENT_AT_ONCE = 8
#: Seconds after which others are sent beside a page that is still on its way, for the server may not take it.
_LONGEST_TURN_S = 10.0


@dataclass(frozen=True)
class Patience:
    """How long and how often.

    :param connect_s: seconds until a connection is there.
    :param page_s: seconds until a page is answered; the server gives it up then.
    :param full_s: seconds a page waits for a place on a server that is full.
    :param tries: of a page whose server answers that something is wrong with it.
    :param broken_tries: of a page during which the connection breaks: it may be what breaks it.
    :param longest_wait_s: longest time between two tries, in seconds.
    """

    connect_s: float = 10.0
    page_s: float = 900.0
    full_s: float = 3600.0
    tries: int = 5
    broken_tries: int = 3
    longest_wait_s: float = 20.0

    @property
    def timeout(self) -> httpx.Timeout:
        """As httpx takes it."""
        return httpx.Timeout(self.page_s, connect=self.connect_s, pool=None)


class TryAgainError(Exception):
    """A try failed in a way that another may not."""

    def __init__(self, error: UnavailableError, after_s: float = 0.0) -> None:
        super().__init__(str(error))
        self.error, self.after_s = error, after_s


class FullError(TryAgainError):
    """The server has no place for the page."""


class BrokenError(TryAgainError):
    """The connection broke while the page was being read."""


class NoFileError(TryAgainError):
    """The server did not find the page's file."""


class UnreachableError(TryAgainError):
    """There was no connection."""


@dataclass
class Trouble:
    """How often a page's tries failed, and of what.

    :param patience: how often they may.
    :param files: whether the page may go as a file.
    """

    patience: Patience
    broken: int = 0
    others: int = 0
    files: bool = True

    def too_much(self, state: RetryCallState) -> bool:
        """Note the try that failed; whether it was one too many, as tenacity asks it."""
        error = state.outcome.exception() if state.outcome else None
        if isinstance(error, FullError):
            return (state.seconds_since_start or 0) > self.patience.full_s
        self.files = self.files and not isinstance(error, NoFileError)
        if isinstance(error, BrokenError):
            self.broken += 1
        else:
            self.others += 1
        return self.broken >= self.patience.broken_tries or self.others >= self.patience.tries


class Wait:
    """Exponential with full jitter, and never less than the server asks for.

    :param longest_s: longest wait, in seconds.
    """

    def __init__(self, longest_s: float) -> None:
        self._longest_s = longest_s
        self._backoff = wait_random_exponential(multiplier=0.25, max=longest_s)

    def __call__(self, state: RetryCallState) -> float:
        """Seconds until the next try, as tenacity asks it."""
        error = state.outcome.exception() if state.outcome else None
        asked = error.after_s if isinstance(error, TryAgainError) else 0.0
        # All who were refused come back at once otherwise.
        return min(asked, self._longest_s) + float(self._backoff(state))


@dataclass
class Session:
    """The connections of one call of ``read``, which may outlive a server.

    :param endpoint: where the server is.
    :param find: where it is now.
    :param connect: makes a client.
    """

    endpoint: Endpoint
    find: Callable[[], Endpoint]
    connect: Callable[[Endpoint], httpx.AsyncClient]
    client: httpx.AsyncClient = field(init=False)
    _clients: list[httpx.AsyncClient] = field(default_factory=list)
    _renewing: asyncio.Lock = field(default_factory=asyncio.Lock)
    _alone: asyncio.Lock = field(default_factory=asyncio.Lock)
    _sending: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_SENT_AT_ONCE))

    def __post_init__(self) -> None:
        self._use(self.endpoint)

    def _use(self, endpoint: Endpoint) -> None:
        """Send what comes to that server; what is in flight to another one may end."""
        self.endpoint, self.client = endpoint, self.connect(endpoint)
        self._clients.append(self.client)

    async def close(self) -> None:
        """Close the connections to all servers."""
        for client in self._clients:
            await client.aclose()

    async def renew(self, failed: Endpoint) -> bool:
        """Look for the server anew after a call to ``failed`` failed.

        :return: whether there is another one now.
        :raises DeepSeekOCRError: there is none, and there will be none.
        """
        async with self._renewing:
            if self.endpoint == failed:
                endpoint = await run_in_daemon_thread(self._found)
                if endpoint is not None and endpoint != failed:
                    self._use(endpoint)
        return self.endpoint != failed

    def _found(self) -> Endpoint | None:
        try:
            return self.find()
        except UnavailableError as error:
            if error.code == "server_unreachable":
                return None  # it may come back while there are tries left
            raise

    @asynccontextmanager
    async def alone(self, needed: bool) -> AsyncIterator[None]:
        """Pages during which a server broke are tried one by one: one of them may be the reason."""
        if not needed:
            yield
            return
        async with self._alone:
            yield

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[Callable[[], None]]:
        """A turn to send a page; it is to be told when the page is sent, and its answer waited for."""
        await self._sending.acquire()
        over = False

        def end() -> None:
            nonlocal over
            if not over:
                over = True
                self._sending.release()

        late = asyncio.get_running_loop().call_later(_LONGEST_TURN_S, end)
        try:
            yield end
        finally:
            late.cancel()
            end()
