"""Whose page is next, and who is let in: counted in tokens, alike for all callers."""

from __future__ import annotations

from contextlib import ExitStack

from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from airflow_deepseek_ocr.engines.protocol.chat_completions import own_capabilities
from airflow_deepseek_ocr.model_server.admission import PAGE_TOKENS, Place, Places, estimated_tokens
from airflow_deepseek_ocr.model_server.fair_queue import FairQueue
from airflow_deepseek_ocr.model_server.request_parsing import ParsedPage
from airflow_deepseek_ocr.ocr.decoding import Decoding

MOST = 10 * PAGE_TOKENS


def drawn(queue: FairQueue[str], count: int) -> list[str]:
    return [queue.get() for _ in range(count)]


def test_one_page_does_not_wait_for_a_thousand() -> None:
    queue: FairQueue[str] = FairQueue()
    for _ in range(1000):
        queue.put("many", "a", 2000)
    drawn(queue, 10)
    queue.put("one", "b", 2000)
    assert "one" in drawn(queue, 2)
    assert len(queue) == 1000 - 11


def test_shares_are_of_tokens_not_of_pages() -> None:
    queue: FairQueue[str] = FairQueue()
    for _ in range(100):
        queue.put("large", "a", 2000)
        queue.put("small", "b", 200)
    first = drawn(queue, 55)
    assert 45 <= first.count("small") <= 51


def test_who_was_away_has_saved_nothing() -> None:
    queue: FairQueue[str] = FairQueue()
    for _ in range(50):
        queue.put("a", "a", 1000)
    drawn(queue, 50)
    for _ in range(10):
        queue.put("a", "a", 1000)
        queue.put("b", "b", 1000)
    assert 4 <= drawn(queue, 10).count("b") <= 6


def test_what_is_taken_out_costs_nothing() -> None:
    queue: FairQueue[str] = FairQueue()
    gone = [f"gone {number}" for number in range(100)]
    for each in gone:
        queue.put(each, "a", 1000)
    for each in gone:
        queue.remove(each, "a")
    queue.remove("never there", "a")
    queue.put("a", "a", 1000)
    for _ in range(10):
        queue.put("b", "b", 1000)
    assert "a" in drawn(queue, 2)
    assert len(queue) == 9


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 5000), st.booleans()), max_size=60)
)
def test_nothing_is_lost_and_a_callers_order_stays(puts: list[tuple[str, int, bool]]) -> None:
    queue: FairQueue[tuple[str, int]] = FairQueue()
    got: list[tuple[str, int]] = []
    for number, (caller, tokens, take) in enumerate(puts):
        queue.put((caller, number), caller, tokens)
        if take:
            got.append(queue.get())
    got += [queue.get() for _ in range(len(queue))]
    assert len(got) == len(puts)
    for caller in "abc":
        own = [number for who, number in got if who == caller]
        assert own == sorted(own)
        assert len(own) == sum(who == caller for who, *_ in puts)


def take(stack: ExitStack, places: Places, caller: str) -> Place | None:
    return stack.enter_context(places.place(caller))


def test_a_full_server_lets_in_who_has_less_than_a_share() -> None:
    places = Places(MOST)
    with ExitStack() as stack:
        taken = 0
        while take(stack, places, "greedy"):
            taken += 1
        assert taken == 10
        shares = []
        for caller in ("b", "c", "d"):
            shares.append(0)
            while take(stack, places, caller):
                shares[-1] += 1
        # A half, a third, a quarter; a page begun is let in.
        assert shares == [5, 4, 3]
        assert take(stack, places, "greedy") is None
        assert places.pages == 22
    assert (places.pages, places.tokens) == (0, 0)


def test_what_is_known_of_a_page_counts() -> None:
    places = Places(MOST)
    with ExitStack() as stack:
        for _ in range(10):
            place = take(stack, places, "a")
            assert place is not None
            place.tokens = 100
        assert places.tokens == 1000
        large = take(stack, places, "a")
        assert large is not None
        large.tokens = MOST
        assert take(stack, places, "a") is None


def test_tokens_of_a_page() -> None:
    server = own_capabilities("m", "", Decoding())
    page = Image.new("RGB", (1240, 1754))

    def tokens(mode: str, most: int | None) -> int:
        return estimated_tokens(ParsedPage(page, "free", mode, most), server)

    assert tokens("tiny", 1) == 73 + 2 + 1
    assert tokens("gundam", 8192) == tokens("gundam", None) == 903 + 2 + 800
    assert tokens("gundam", None) < PAGE_TOKENS
