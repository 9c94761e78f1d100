"""When the trigger of a queue fires, deletes and pauses; tests/integration/s3 reads queues of moto."""

from __future__ import annotations

import asyncio
import inspect
import json
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_deepseek_ocr.connection.queue_options import QueueOptions
from airflow_deepseek_ocr.exceptions import ConfigurationError, ErrorCode, UnavailableError
from airflow_deepseek_ocr.sources.sqs import Message
from airflow_deepseek_ocr.triggers import sqs
from airflow_deepseek_ocr.triggers.sqs import SqsNewDocumentEventTrigger
from tests.support.servers.event_queue import notification

URL = "https://sqs.eu-west-1.amazonaws.com/123456789012/documents"
AWAY = UnavailableError(ErrorCode.QUEUE_UNAVAILABLE, "The queue is away.")


class NoMoreAnswersError(BaseException):
    """The end of a test's watch."""


class Queue:
    """Gives answers in order, and keeps what was deleted."""

    def __init__(self, *answers: Any, deletes: Any = 0) -> None:
        self.answers, self.deletes = list(answers), deletes
        self.deleted: list[str] = []
        self.closed = 0

    async def receive(self, wait_s: int, visibility_timeout_s: int) -> list[Message]:
        await asyncio.sleep(0)
        if not self.answers:
            raise NoMoreAnswersError
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return list(answer)

    async def delete(self, receipts: Any) -> int:
        await asyncio.sleep(0)
        if isinstance(self.deletes, Exception):
            raise self.deletes
        self.deleted += receipts
        return int(self.deletes)

    def close(self) -> None:
        self.closed += 1


@pytest.fixture(autouse=True)
def nothing_handed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqs, "_handed_over", {})


def message(number: int, bucket: str = "b") -> Message:
    return Message(f"id-{number}", notification(bucket, f"{number}.pdf"), f"receipt-{number}")


def run(
    monkeypatch: pytest.MonkeyPatch, queue: Queue, trigger_id: int = 1, **arguments: Any
) -> tuple[list[str], list[float], list[str]]:
    """Run the trigger until its end, and return the documents' URIs, the pauses and the warnings."""
    uris: list[str] = []
    pauses: list[float] = []
    warnings: list[str] = []
    real_sleep = asyncio.sleep

    async def sleep(pause: float) -> None:
        if pause:
            pauses.append(pause)
        await real_sleep(0)

    trigger = SqsNewDocumentEventTrigger(queue_url=URL, bucket="b", **arguments)
    trigger.trigger_id = trigger_id
    log = SimpleNamespace(warning=lambda text, *values: warnings.append(text % values))
    monkeypatch.setattr(SqsNewDocumentEventTrigger, "log", log)
    monkeypatch.setattr(sqs, "BackgroundQueue", lambda *_: queue)
    monkeypatch.setattr(sqs.asyncio, "sleep", sleep)

    async def watch() -> None:
        async for event in trigger.run():
            uris.extend(
                document["uri"] for batch in event.payload["documents"] for document in batch
            )

    try:
        asyncio.run(watch())
    except NoMoreAnswersError:
        uris.append("still waiting")
    return uris, pauses, warnings


def test_serialisation_is_stable_and_plain() -> None:
    trigger = SqsNewDocumentEventTrigger(
        queue_url=URL, bucket="b", suffixes=None, collect_for=timedelta(seconds=1)
    )
    path, arguments = trigger.serialize()
    assert path == "airflow_deepseek_ocr.triggers.sqs.SqsNewDocumentEventTrigger"
    again = SqsNewDocumentEventTrigger(**json.loads(json.dumps(arguments)))
    assert again.serialize() == (path, arguments)


def test_defaults_are_those_of_the_options() -> None:
    parameters = inspect.signature(SqsNewDocumentEventTrigger.__init__).parameters
    for name, parameter in inspect.signature(QueueOptions).parameters.items():
        assert parameters[name].default == parameter.default, name


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="visibility_timeout"):
        SqsNewDocumentEventTrigger(queue_url=URL, bucket="b", visibility_timeout=1)


def test_messages_are_deleted_when_airflow_starts_the_trigger_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    queue = Queue([message(1), message(2)], [message(3)], [])
    assert run(monkeypatch, queue)[0] == ["s3://b/1.pdf", "s3://b/2.pdf", "s3://b/3.pdf"]
    assert (queue.deleted, queue.closed) == ([], 0)

    # The queue and its client are used again.
    queue.answers = [[], [message(4)], []]
    assert run(monkeypatch, Queue())[0] == ["s3://b/4.pdf"]
    assert queue.deleted == ["receipt-1", "receipt-2", "receipt-3"]

    run(monkeypatch, Queue())
    assert queue.deleted[3:] == ["receipt-4"]
    assert queue.closed == 1


def test_another_trigger_deletes_none_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """Airflow drops the event of a trigger that was removed meanwhile; the same one comes with another id."""
    queue = Queue([message(1)], [])
    run(monkeypatch, queue)
    for arguments in ({"trigger_id": 2}, {"prefix": "in/"}):
        other = Queue()
        run(monkeypatch, other, **arguments)
        assert (other.deleted, queue.deleted, other.closed) == ([], [], 1)


def test_receipts_of_messages_that_are_visible_again_are_dropped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [1000.0]
    monkeypatch.setattr(sqs.time, "monotonic", lambda: now[0])
    queue = Queue([message(1)], [])
    run(monkeypatch, queue, collect_for=0)
    now[0] += 300.0
    later = Queue()
    run(monkeypatch, later, collect_for=0)
    assert (queue.deleted, later.deleted, queue.closed) == ([], [], 1)
    assert not sqs._handed_over


def test_an_event_that_airflow_has_not_taken_deletes_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    trigger = SqsNewDocumentEventTrigger(queue_url=URL, bucket="b", max_documents=1, collect_for=0)
    monkeypatch.setattr(sqs, "BackgroundQueue", lambda *_: Queue([message(1), message(2)]))

    async def stop_after_one() -> None:
        events = trigger.run()
        await anext(events)
        await events.aclose()

    asyncio.run(stop_after_one())
    assert not sqs._handed_over


def test_messages_without_documents_are_deleted_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    removed = Message("id", notification("b", "a.pdf", "ObjectRemoved:Delete"), "receipt-0")
    queue = Queue([removed], [], [message(1)], [])
    assert run(monkeypatch, queue)[0] == ["s3://b/1.pdf"]
    assert queue.deleted == ["receipt-0"]


def test_other_messages_are_left_and_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    garbage = Message("id-9", "garbage", "receipt-9")
    queue = Queue([garbage, message(1, "theirs")], [])
    uris, _, warnings = run(monkeypatch, queue)
    assert (uris, queue.deleted, queue.closed) == (["still waiting"], [], 1)
    (warning,) = warnings
    assert "id-9 (it is no JSON), id-1 (bucket 'theirs')" in warning
    assert f"stay in {URL}" in warning
    assert "redrive policy" in warning


def test_pauses_grow_while_the_queue_cannot_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    queue = Queue(*[AWAY] * 8, [], OSError("no descriptors"), [message(1)], AWAY, [message(2)])
    uris, pauses, warnings = run(monkeypatch, queue)
    # What was collected before an error is not lost.
    assert uris == ["s3://b/1.pdf"]
    assert pauses == [5, 10, 20, 40, 80, 160, 300, 300, 5]
    assert warnings[0] == (
        f"Attempt 1 in a row to receive messages of {URL} failed; the next one is in 5 s: "
        "The queue is away."
    )
    assert warnings[8].endswith("in 5 s: OSError: no descriptors")


@pytest.mark.parametrize(
    ("deletes", "said"),
    [
        (AWAY, f"1 message of {URL} could not be deleted, and will come again: The queue is away."),
        (1, f"SQS has not deleted 1 message of {URL}; they will come again."),
    ],
)
def test_messages_that_are_not_deleted_are_reported(
    monkeypatch: pytest.MonkeyPatch, deletes: Any, said: str
) -> None:
    queue = Queue([message(1)], [], [message(2)], [], deletes=deletes)
    run(monkeypatch, queue)
    uris, _, warnings = run(monkeypatch, queue)
    assert (uris, warnings) == (["s3://b/2.pdf"], [said])


def test_an_event_is_bounded_and_the_rest_is_in_another(monkeypatch: pytest.MonkeyPatch) -> None:
    trigger = SqsNewDocumentEventTrigger(queue_url=URL, bucket="b", max_documents=2, batch_size=1)
    queue = Queue([message(number) for number in range(5)], [message(6)])
    monkeypatch.setattr(sqs, "BackgroundQueue", lambda *_: queue)

    async def events() -> list[int]:
        return [len(event.payload["documents"]) async for event in trigger.run()]

    assert asyncio.run(events()) == [2, 2, 1]
    assert queue.answers, "max_documents ends the collection"


def test_waiting_messages_become_full_events(monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer has ten messages: one more of them would be the beginning of a small event."""
    trigger = SqsNewDocumentEventTrigger(queue_url=URL, bucket="b", max_documents=25)
    queue = Queue(*[[message(at + number) for number in range(10)] for at in range(0, 50, 10)])
    monkeypatch.setattr(sqs, "BackgroundQueue", lambda *_: queue)

    async def events() -> list[int]:
        return [sum(map(len, event.payload["documents"])) async for event in trigger.run()]

    assert asyncio.run(events()) == [20]
    assert len(queue.answers) == 3
