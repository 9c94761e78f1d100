"""Which messages name documents, which have none, and which are left."""

from __future__ import annotations

import json
from typing import Any

from airflow_deepseek_ocr.connection.queue_options import QueueOptions
from airflow_deepseek_ocr.pipeline.discovery import MAX_LIST_BYTES
from airflow_deepseek_ocr.sources.sqs import Message
from airflow_deepseek_ocr.triggers.message_batch import MessageBatch
from tests.support.servers.event_queue import notification

URL = "https://sqs.eu-west-1.amazonaws.com/123456789012/documents"
ETAG = "d41d8cd98f00b204e9800998ecf8427e"


def message(body: str, number: int = 0) -> Message:
    return Message(f"id-{number}", body, f"receipt-{number}")


def batch_of(*bodies: str, **options: Any) -> MessageBatch:
    batch = MessageBatch(QueueOptions(**{"queue_url": URL, "bucket": "b"} | options))
    batch.add(message(body, number) for number, body in enumerate(bodies))
    return batch


def documents(batch: MessageBatch) -> list[str]:
    return [
        document["uri"]
        for payload in batch.payloads()
        for documents in payload["documents"]
        for document in documents
    ]


def test_a_document_has_the_form_of_the_sensor_s() -> None:
    batch = batch_of(notification("b", "in/a+b.pdf"))
    assert list(batch.payloads()) == [
        {
            "documents": [
                [
                    {
                        "uri": "s3://b/in/a b.pdf",
                        "version": ETAG,
                        "version_id": None,
                        "etag": ETAG,
                        "size": 1024,
                        "last_modified": None,
                    }
                ]
            ]
        }
    ]
    assert (batch.receipts, batch.report()) == (["receipt-0"], None)


def test_a_version_is_named_once_and_versions_are_distinct() -> None:
    bodies = [
        notification("b", "a.pdf"),
        notification("b", "a.pdf", "ObjectCreated:CompleteMultipartUpload"),
        notification("b", "a.pdf", eTag="0" * 32),
        notification("b", "a.pdf", versionId="v2"),
    ]
    assert len(batch_of(*bodies)) == 2
    assert len(batch_of(*bodies, with_version_ids=True)) == 3


def test_other_keys_and_deletions_are_taken_without_a_document() -> None:
    bodies = [
        notification("b", "out/a.pdf"),
        notification("b", "in/a.csv"),
        notification("b", "in/"),
        notification("b", "in/a.pdf", "ObjectRemoved:Delete"),
        json.dumps({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "b"}),
    ]
    batch = batch_of(*bodies, prefix="in/")
    assert (len(batch), len(batch.receipts), batch.report()) == (0, 5, None)
    assert not batch
    assert list(batch.payloads()) == []


def test_other_buckets_and_garbage_are_left_with_a_reason() -> None:
    mixed = json.loads(notification("b", "a.pdf"))
    mixed["Records"] += json.loads(notification("theirs", "a.pdf"))["Records"]
    batch = batch_of(
        notification("theirs", "a.pdf"),
        notification("theirs", "a.pdf", "ObjectRemoved:Delete"),
        json.dumps(mixed),
        "garbage\nINFO - a forged line",
        notification("b", "good.pdf"),
    )
    assert documents(batch) == ["s3://b/good.pdf"]
    assert batch.receipts == ["receipt-4"]
    assert batch.report() == (
        "4 messages without events of S3 for this trigger: id-0 (bucket 'theirs'), "
        "id-1 (bucket 'theirs'), id-2 (bucket 'theirs'), id-3 (it is no JSON)."
    )


def test_a_report_of_many_messages_is_short() -> None:
    report = batch_of(*[notification("x\n" * 100, "a.pdf")] * 5000).report()
    assert report is not None
    assert "4,990 more" in report
    assert "\n" not in report
    assert len(report) < 6000


def test_several_buckets_may_share_a_queue() -> None:
    batch = batch_of(notification("a", "1.pdf"), notification("b", "2.pdf"), bucket=["a", "b"])
    assert documents(batch) == ["s3://a/1.pdf", "s3://b/2.pdf"]


def test_events_are_bounded() -> None:
    records = [
        record
        for number in range(2500)
        for record in json.loads(notification("b", f"{'ü' * 200}{number}.pdf"))["Records"]
    ]
    batch = batch_of(json.dumps({"Records": records}), batch_size=100)
    payloads = list(batch.payloads())
    assert sum(len(each["documents"]) for each in payloads) >= 25
    assert all(len(json.dumps(each)) <= MAX_LIST_BYTES + 100 for each in payloads)
    assert all(sum(map(len, each["documents"])) <= 1024 for each in payloads)
    assert len(set(documents(batch))) == 2500
