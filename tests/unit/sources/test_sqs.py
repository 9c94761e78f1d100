"""A queue of moto, and the errors of SQS."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore import exceptions as botocore
from botocore.config import Config

from airflow_deepseek_ocr.exceptions import ErrorCode, UnavailableError
from airflow_deepseek_ocr.sources.sqs import Queue, clear_queue_errors, region_of
from tests.support.servers.event_queue import EventQueue, event_queue
from tests.support.servers.moto_s3 import moto_s3
from tests.support.servers.process import free_port
from tests.support.servers.s3 import S3Server

URL = "https://sqs.eu-west-1.amazonaws.com/123456789012/documents"


@pytest.fixture(scope="module")
def server() -> Iterator[S3Server]:
    with moto_s3() as running:
        yield running


@pytest.fixture
def queue(server: S3Server) -> EventQueue:
    queue = event_queue(server)
    queue.drain()
    return queue


def test_messages_are_received_until_they_are_deleted(queue: EventQueue) -> None:
    for number in range(12):
        queue.send(str(number))
    mine = Queue(queue.sqs, queue.url)
    messages = [*mine.receive(1, 60), *mine.receive(0, 60)]
    assert sorted(int(message.body) for message in messages) == list(range(12))
    assert mine.receive(0, 60) == []
    assert queue.counts() == (0, 12)
    assert all(message.receipt not in repr(message) for message in messages)

    assert mine.delete([message.receipt for message in messages]) == 0
    assert queue.counts() == (0, 0)
    assert mine.delete([]) == 0


def test_messages_come_again_after_the_visibility_timeout(queue: EventQueue) -> None:
    queue.send("again")
    mine = Queue(queue.sqs, queue.url)
    (first,) = mine.receive(1, 1)
    (second,) = mine.receive(5, 60)
    assert (first.id, first.body) == (second.id, second.body)


def test_what_the_queue_did_not_delete_is_counted() -> None:
    class Client:
        def delete_message_batch(self, QueueUrl: str, Entries: list[Any]) -> Any:  # noqa: N803
            return {"Failed": [entry for entry in Entries if entry["Id"] == "0"]}

    assert Queue(Client(), URL).delete([str(number) for number in range(21)]) == 3


@pytest.mark.parametrize(
    ("url", "region"),
    [
        (URL, "eu-west-1"),
        ("https://eu-central-1.queue.amazonaws.com/1/q", "eu-central-1"),
        ("https://sqs.cn-north-1.amazonaws.com.cn/1/q", "cn-north-1"),
        ("https://sqs-fips.us-east-1.amazonaws.com/1/q", "us-east-1"),
        ("https://sqs.us-east-1.api.aws/1/q", "us-east-1"),
        ("https://vpce-0a1b-xyz.sqs.eu-west-1.vpce.amazonaws.com/1/q", "eu-west-1"),
        ("https://sqs.eu-west-1.amazonaws.com.example.org/1/q", None),
        ("https://example.org/sqs.eu-west-1.amazonaws.com/q", None),
        ("http://127.0.0.1:5000/1/q", None),
    ],
)
def test_the_region_is_in_the_url(url: str, region: str | None) -> None:
    assert region_of(url) == region


@pytest.mark.parametrize(
    ("code", "remedy"),
    [
        ("AWS.SimpleQueueService.NonExistentQueue", "Check queue_url"),
        ("AccessDenied", "sqs:ReceiveMessage and sqs:DeleteMessage"),
        ("ExpiredToken", "Renew the session token"),
        ("OverLimit", "A later try"),
    ],
)
def test_errors_say_what_to_do(code: str, remedy: str) -> None:
    answer = {"Error": {"Code": code, "Message": "words " * 100}}
    with (
        pytest.raises(UnavailableError, match=remedy) as caught,
        clear_queue_errors(URL),
    ):
        raise botocore.ClientError(answer, "ReceiveMessage")
    assert caught.value.code is ErrorCode.QUEUE_UNAVAILABLE
    assert URL in str(caught.value)
    assert len(str(caught.value)) < 700
    assert caught.value.__suppress_context__


def test_a_missing_queue_and_a_missing_server(server: S3Server) -> None:
    def queue_at(endpoint: str) -> Queue:
        client = boto3.client(
            "sqs",
            endpoint_url=endpoint,
            region_name="us-east-1",
            aws_access_key_id="a",
            aws_secret_access_key="b",
            config=Config(proxies={}, retries={"total_max_attempts": 1}),
        )
        return Queue(client, f"{endpoint}/123456789012/none")

    with pytest.raises(UnavailableError, match="Check queue_url"):
        queue_at(server.endpoint_url).receive(0, 60)
    with pytest.raises(UnavailableError, match="Check the endpoint"):
        queue_at(f"http://127.0.0.1:{free_port()}").receive(0, 60)


def test_a_closed_queue_has_closed_its_client() -> None:
    closed = []

    class Client:
        def close(self) -> None:
            closed.append(self)

    client = Client()
    Queue(client, URL).close()
    assert closed == [client]


def test_a_login_in_the_endpoint_is_in_no_message() -> None:
    cause = botocore.EndpointConnectionError(endpoint_url="http://user:secret@127.0.0.1:9/")
    with (
        pytest.raises(UnavailableError, match=r"http://\*\*\*@127") as caught,
        clear_queue_errors(URL),
    ):
        raise cause
    assert "secret" not in str(caught.value)
