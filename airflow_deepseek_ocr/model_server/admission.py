"""Admission of pages: bounded in estimated tokens, with a fair share for each client."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import monotonic

from airflow_deepseek_ocr.engines.protocol.chat_completions import Capabilities
from airflow_deepseek_ocr.model_server.request_parsing import ParsedPage
from airflow_deepseek_ocr.ocr.prompts import prompt_line

#: Estimated tokens of a page whose request has not been read yet, and of a usual page: A4 in gundam mode
#: (903 vision tokens) with a text of the length below.
PAGE_TOKENS = 2000
#: Expected tokens of a text that may be longer: printed A4 pages have 500 to 1,200.
_TEXT_TOKENS = 800
#: Bytes of a prompt's line per token.
_BYTES_PER_TOKEN = 4


@dataclass(eq=False)
class Ticket:
    """An admitted page.

    :param client: sender of the page.
    :param tokens: estimated tokens.
    :param since: time of its admission, by the clock of :class:`Admission`.
    """

    client: str
    tokens: int = PAGE_TOKENS
    since: float = 0.0


class Admission:
    """Admits pages, in the thread of the event loop.

    While fewer than ``max_tokens`` are admitted, every page is. Beyond that, only pages of clients with less
    than an equal share are: one client cannot lock another one out, and n clients together have at most
    1 + 1/2 + ... + 1/n times ``max_tokens``, and one page each.

    :param max_tokens: estimated tokens of all admitted pages.
    :param clock: seconds that pass.
    """

    def __init__(self, max_tokens: int, clock: Callable[[], float] = monotonic) -> None:
        self._max_tokens, self._clock = max_tokens, clock
        self._tickets: list[Ticket] = []

    @property
    def pages(self) -> int:
        """Number of pages admitted and not answered."""
        return len(self._tickets)

    @property
    def tokens(self) -> int:
        """Estimated tokens of these pages."""
        return sum(ticket.tokens for ticket in self._tickets)

    @property
    def max_tokens(self) -> int:
        """Estimated tokens from which pages are refused."""
        return self._max_tokens

    @property
    def oldest_s(self) -> float:
        """Seconds since the admission of the oldest page that is not answered; 0 without pages."""
        tickets = list(self._tickets)
        return self._clock() - min(each.since for each in tickets) if tickets else 0.0

    @contextmanager
    def admit(self, client: str) -> Iterator[Ticket | None]:
        """Yield the ticket for a page; None if the client has to return later.

        :param client: name of the sender; clients without a name count as one.
        """
        if not self._has_room(client):
            yield None
            return
        ticket = Ticket(client, since=self._clock())
        self._tickets.append(ticket)
        try:
            yield ticket
        finally:
            self._tickets.remove(ticket)

    def _has_room(self, client: str) -> bool:
        if self.tokens < self._max_tokens:
            return True
        own = sum(ticket.tokens for ticket in self._tickets if ticket.client == client)
        clients = {ticket.client for ticket in self._tickets} | {client}
        return own < self._max_tokens / len(clients)


def estimated_tokens(page: ParsedPage, capabilities: Capabilities) -> int:
    """Return the tokens that a page will probably have: its image, its prompt and its text.

    :param page: requested page.
    :param capabilities: the server's.
    """
    image = capabilities.vision_tokens(page.resolution, *page.image.size)
    prompt = len(prompt_line(page.prompt).encode()) // _BYTES_PER_TOKEN
    text = min(page.max_tokens or _TEXT_TOKENS, _TEXT_TOKENS)
    return image + prompt + text
