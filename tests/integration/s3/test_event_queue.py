"""Events of moto's S3, through its SQS, SNS and EventBridge, to the trigger; and what other writers send."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any, get_args
from urllib.parse import quote_plus

import pytest

from airflow_deepseek_ocr.ocr.documents.reference import DocumentRef
from airflow_deepseek_ocr.sources.s3 import Listing
from airflow_deepseek_ocr.triggers import sqs
from airflow_deepseek_ocr.triggers.sqs import SqsNewDocumentEventTrigger
from tests.support.airflow_connections import define
from tests.support.servers.airflow import aws_connection
from tests.support.servers.event_queue import (
    ACCOUNT,
    EventQueue,
    Way,
    event_queue,
    notification,
)
from tests.support.servers.moto_s3 import moto_s3
from tests.support.servers.s3 import S3Server

KEYS = ["in/a b+ü%20.pdf", "in/%2B.PDF", "in/日本/1.tiff"]
#: Seconds after which a test that hangs fails.
PATIENCE_S = 60


@pytest.fixture(scope="module")
def server() -> Iterator[S3Server]:
    with moto_s3() as running:
        yield running


@pytest.fixture(autouse=True)
def connection(server: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    define(monkeypatch, "aws_default", **aws_connection(server))
    monkeypatch.setattr(sqs, "_handed_over", {})


def start(queue: EventQueue, trigger_id: int = 1, **arguments: Any) -> SqsNewDocumentEventTrigger:
    """Return a trigger as Airflow makes it: of the arguments that another one returned."""
    arguments = {"queue_url": queue.url, "bucket": queue.bucket, "collect_for": 1} | arguments
    _, plain = SqsNewDocumentEventTrigger(**arguments).serialize()
    trigger = SqsNewDocumentEventTrigger(**json.loads(json.dumps(plain)))
    trigger.trigger_id = trigger_id
    return trigger


async def fired(trigger: SqsNewDocumentEventTrigger) -> list[DocumentRef]:
    """Return the documents that the trigger fires until its end."""
    async with asyncio.timeout(PATIENCE_S):
        return [
            DocumentRef.of(document)
            async for event in trigger.run()
            for batch in event.payload["documents"]
            for document in batch
        ]


def fire(queue: EventQueue, **arguments: Any) -> list[DocumentRef]:
    return asyncio.run(fired(start(queue, **arguments)))


def start_again(queue: EventQueue, left: int = 0, **arguments: Any) -> None:
    """Let the trigger delete the messages of its last event, and wait for others in vain.

    :param left: messages that stay in the queue, held by the trigger.
    """

    async def main() -> None:
        waiting = asyncio.create_task(fired(start(queue, **arguments)))
        async with asyncio.timeout(PATIENCE_S):
            while queue.counts() != (0, left):
                await asyncio.sleep(0.05)
        waiting.cancel()

    asyncio.run(main())


@pytest.mark.parametrize("way", get_args(Way))
def test_events_name_the_versions_of_a_listing(server: S3Server, way: Way) -> None:
    queue = event_queue(server, way)
    for key in [*KEYS, "out/other.pdf", "in/table.csv"]:
        queue.upload(key)

    found = fire(queue, prefix="in/")

    listed = Listing(queue.bucket, prefix="in/").documents(queue.s3)
    assert {ref.version_key for ref in found} == {ref.version_key for ref in listed}
    assert sorted(ref.uri for ref in found) == sorted(f"s3://{queue.bucket}/{key}" for key in KEYS)
    assert all(ref.size == 19 for ref in found)
    # Until Airflow starts the trigger again, which it does after it has stored the event.
    assert queue.counts()[1] >= 3
    start_again(queue, prefix="in/")


def test_a_killed_triggerer_loses_nothing(server: S3Server) -> None:
    queue = event_queue(server)
    first = queue.upload("a.pdf")
    assert [ref.version for ref in fire(queue)] == [first]
    # The process is another one, and remembers nothing; the time-out ends.
    (handed_over,) = sqs._handed_over.values()
    sqs._handed_over.clear()
    for receipt in handed_over.receipts:
        queue.sqs.change_message_visibility(
            QueueUrl=queue.url, ReceiptHandle=receipt, VisibilityTimeout=0
        )
    second = queue.upload("b.pdf", b"another")
    assert {ref.version for ref in fire(queue)} == {first, second}
    start_again(queue)


def test_two_triggerers_share_a_queue(server: S3Server) -> None:
    """Airflow runs a trigger twice for a while if it takes a triggerer that hangs for dead."""
    queue = event_queue(server)
    versions = {queue.upload(f"{number}.pdf", str(number).encode()) for number in range(25)}

    async def both() -> list[list[DocumentRef]]:
        return list(
            await asyncio.gather(
                fired(start(queue, trigger_id=1, max_documents=20)),
                fired(start(queue, trigger_id=1, max_documents=20)),
            )
        )

    left, right = asyncio.run(both())
    assert left
    assert right
    assert len(left) + len(right) == len({ref.version for ref in [*left, *right]}) == 25
    assert {ref.version for ref in [*left, *right]} == versions


def test_twice_out_of_order_and_for_other_readers(server: S3Server) -> None:
    queue = event_queue(server)
    newest = queue.upload("a.pdf", b"second")
    (event,) = (body for body in queue.drain() if "Records" in body)
    # The event of an earlier version comes late, and both come twice.
    for body in (event, event, notification(queue.bucket, "a.pdf", eTag="0" * 32)) * 2:
        queue.send(body)
    queue.send(notification(queue.bucket, "gone.pdf", "ObjectRemoved:Delete"))
    foreign = notification("theirs", quote_plus("b.pdf"))
    queue.send(foreign)
    queue.send("garbage")

    assert sorted(ref.version for ref in fire(queue)) == sorted(["0" * 32, newest])
    start_again(queue, left=2)


def test_messages_that_are_left_go_where_the_redrive_policy_says(
    server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("airflow_deepseek_ocr.connection.queue_options._SHORTEST_TIMEOUT_S", 1)
    queue = event_queue(server)
    queue.drain()
    dead_name = f"{queue.bucket}-dead"
    dead = queue.sqs.create_queue(QueueName=dead_name)["QueueUrl"]
    policy = {
        "deadLetterTargetArn": f"arn:aws:sqs:{server.region}:{ACCOUNT}:{dead_name}",
        "maxReceiveCount": 2,
    }
    queue.sqs.set_queue_attributes(
        QueueUrl=queue.url, Attributes={"RedrivePolicy": json.dumps(policy)}
    )
    queue.send("garbage")

    async def main() -> str:
        trigger = start(queue, visibility_timeout=1, collect_for=0)
        waiting = asyncio.create_task(fired(trigger))
        async with asyncio.timeout(PATIENCE_S):
            while True:
                answer = queue.sqs.receive_message(QueueUrl=dead, WaitTimeSeconds=0)
                if messages := answer.get("Messages"):
                    waiting.cancel()
                    return str(messages[0]["Body"])
                await asyncio.sleep(0.1)

    assert asyncio.run(main()) == "garbage"
    assert queue.counts() == (0, 0)
