"""The client whose page is next, counted in tokens."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from airflow_deepseek_ocr.model_server.fair_queue import FairQueue


def taken(queue: FairQueue[str], count: int) -> list[str]:
    return [queue.get() for _ in range(count)]


def test_one_page_does_not_wait_for_a_thousand() -> None:
    queue: FairQueue[str] = FairQueue()
    for _ in range(1000):
        queue.put("many", "a", 2000)
    taken(queue, 10)
    queue.put("one", "b", 2000)
    assert "one" in taken(queue, 2)
    assert len(queue) == 1000 - 11


def test_shares_are_of_tokens_not_of_pages() -> None:
    queue: FairQueue[str] = FairQueue()
    for _ in range(100):
        queue.put("large", "a", 2000)
        queue.put("small", "b", 200)
    first = taken(queue, 55)
    assert 45 <= first.count("small") <= 51


def test_an_absent_client_saves_up_no_share() -> None:
    queue: FairQueue[str] = FairQueue()
    for _ in range(50):
        queue.put("a", "a", 1000)
    taken(queue, 50)
    for _ in range(10):
        queue.put("a", "a", 1000)
        queue.put("b", "b", 1000)
    assert 4 <= taken(queue, 10).count("b") <= 6


def test_removed_items_cost_nothing() -> None:
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
    assert "a" in taken(queue, 2)
    assert len(queue) == 9


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 5000), st.booleans()), max_size=60)
)
def test_nothing_is_lost_and_a_clients_order_stays(puts: list[tuple[str, int, bool]]) -> None:
    queue: FairQueue[tuple[str, int]] = FairQueue()
    got: list[tuple[str, int]] = []
    for number, (client, tokens, take) in enumerate(puts):
        queue.put((client, number), client, tokens)
        if take:
            got.append(queue.get())
    got += [queue.get() for _ in range(len(queue))]
    assert len(got) == len(puts)
    for client in "abc":
        own = [number for who, number in got if who == client]
        assert own == sorted(own)
        assert len(own) == sum(who == client for who, *_ in puts)
