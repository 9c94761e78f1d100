"""What the server has accepted and not answered yet: bounded in tokens, with a share for each caller."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from airflow_deepseek_ocr.engines.protocol.chat_completions import Capabilities
from airflow_deepseek_ocr.model_server.request_parsing import ParsedPage
from airflow_deepseek_ocr.ocr.prompts import prompt_line

#: A page in tokens before anything is known of it: an A4 page in gundam mode with a text of the length
#: below. The figure for those that are worked on at once, too.
PAGE_TOKENS = 2000
#: Tokens that are expected of a text which may be longer: printed A4 pages have 500 to 1,200.
_TEXT_TOKENS = 800
#: Bytes of a prompt's line for each token of it.
_BYTES_PER_TOKEN = 4


@dataclass(eq=False)
class Place:
    """A page that was accepted.

    :param caller: whose it is.
    :param tokens: that it is estimated to take.
    """

    caller: str
    tokens: int = PAGE_TOKENS


class Places:
    """Places for pages, taken and left in the thread of the event loop.

    While there is room, everybody is let in; beyond it a caller who has less than an equal share. However
    much one caller sends, another one gets its pages in, and n callers together have at most
    1 + 1/2 + ... + 1/n times as much as there is room for, and a page each.

    :param most_tokens: estimated tokens of all pages accepted.
    """

    def __init__(self, most_tokens: int) -> None:
        self._most_tokens = most_tokens
        self._taken: list[Place] = []

    @property
    def pages(self) -> int:
        """Pages accepted and not answered."""
        return len(self._taken)

    @property
    def tokens(self) -> int:
        """Their tokens, as estimated."""
        return sum(place.tokens for place in self._taken)

    @contextmanager
    def place(self, caller: str) -> Iterator[Place | None]:
        """A place for a page that is about to come; None if the caller has to come again later.

        :param caller: a name for who sends it; the same one for all who send none.
        """
        if not self._has_room(caller):
            yield None
            return
        place = Place(caller)
        self._taken.append(place)
        try:
            yield place
        finally:
            self._taken.remove(place)

    def _has_room(self, caller: str) -> bool:
        if self.tokens < self._most_tokens:
            return True
        own = sum(place.tokens for place in self._taken if place.caller == caller)
        callers = {place.caller for place in self._taken} | {caller}
        return own < self._most_tokens / len(callers)


def estimated_tokens(page: ParsedPage, capabilities: Capabilities) -> int:
    """Tokens that a page will probably take: its image, its prompt and its text.

    :param page: as it was asked for.
    :param capabilities: the server's.
    """
    image = capabilities.vision_tokens(page.resolution, *page.image.size)
    prompt = len(prompt_line(page.prompt).encode()) // _BYTES_PER_TOKEN
    text = min(page.max_tokens or _TEXT_TOKENS, _TEXT_TOKENS)
    return image + prompt + text
