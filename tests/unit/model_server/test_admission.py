"""Pages that a busy server admits, counted in estimated tokens."""

from __future__ import annotations

from contextlib import ExitStack

from PIL import Image

from airflow_deepseek_ocr.engines.protocol.chat_completions import own_capabilities
from airflow_deepseek_ocr.model_server.admission import (
    PAGE_TOKENS,
    Admission,
    Ticket,
    estimated_tokens,
)
from airflow_deepseek_ocr.model_server.request_parsing import ParsedPage
from airflow_deepseek_ocr.ocr.decoding import Decoding

MOST = 10 * PAGE_TOKENS


def take(stack: ExitStack, admission: Admission, client: str) -> Ticket | None:
    return stack.enter_context(admission.admit(client))


def test_a_full_server_admits_clients_with_less_than_a_share() -> None:
    admission = Admission(MOST)
    with ExitStack() as stack:
        taken = 0
        while take(stack, admission, "greedy"):
            taken += 1
        assert taken == 10
        shares = []
        for client in ("b", "c", "d"):
            shares.append(0)
            while take(stack, admission, client):
                shares[-1] += 1
        # A half, a third and a quarter, rounded up to a page.
        assert shares == [5, 4, 3]
        assert take(stack, admission, "greedy") is None
        assert admission.pages == 22
    assert (admission.pages, admission.tokens) == (0, 0)


def test_tokens_are_corrected_once_the_page_is_known() -> None:
    admission = Admission(MOST)
    with ExitStack() as stack:
        for _ in range(10):
            ticket = take(stack, admission, "a")
            assert ticket is not None
            ticket.tokens = 100
        assert admission.tokens == 1000
        large = take(stack, admission, "a")
        assert large is not None
        large.tokens = MOST
        assert take(stack, admission, "a") is None


def test_tokens_of_a_page() -> None:
    server = own_capabilities("m", "", Decoding())
    page = Image.new("RGB", (1240, 1754))

    def tokens(mode: str, most: int | None) -> int:
        return estimated_tokens(ParsedPage(page, "free", mode, most), server)

    assert tokens("tiny", 1) == 73 + 2 + 1
    assert tokens("gundam", 8192) == tokens("gundam", None) == 903 + 2 + 800
    assert tokens("gundam", None) < PAGE_TOKENS


def test_the_age_of_the_oldest_page() -> None:
    now = [100.0]
    admission = Admission(MOST, clock=lambda: now[0])
    assert admission.oldest_s == 0
    with admission.admit("a"):
        now[0] += 5
        with admission.admit("b"):
            now[0] += 2
            assert admission.oldest_s == 7
    assert (admission.oldest_s, admission.max_tokens) == (0, MOST)
