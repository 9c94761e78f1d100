"""Events of S3 in messages; tests/integration/s3/test_event_queue.py reads those that moto sends."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote_plus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_deepseek_ocr.exceptions import ErrorCode
from airflow_deepseek_ocr.ocr.documents.reference import DocumentRef
from airflow_deepseek_ocr.sources.s3_events import ObjectEvent, QueueMessageError, parse_message
from tests.support.servers.event_queue import notification

ETAG = "d41d8cd98f00b204e9800998ecf8427e"
#: An event of EventBridge with the fields that S3's user guide lists.
EVENT_BRIDGE = {
    "version": "0",
    "id": "17793124-05d4-b198-2fde-7ededc63b103",
    "detail-type": "Object Created",
    "source": "aws.s3",
    "account": "111122223333",
    "time": "2026-11-12T00:00:00Z",
    "region": "eu-west-1",
    "resources": ["arn:aws:s3:::letters"],
    "detail": {
        "version": "0",
        "bucket": {"name": "letters"},
        "object": {
            "key": "in/a b+ü%20.pdf",
            "size": 5,
            "etag": ETAG,
            "version-id": "IYV3p45BT0ac8hjHg1houSdS1a.Mro8e",
            "sequencer": "617f08299329d189",
        },
        "request-id": "N4N7GDK58NMKJ12R",
        "requester": "123456789012",
        "source-ip-address": "192.0.2.1",
        "reason": "PutObject",
    },
}


#: Names that the parser looks for.
NAMES = ["Records", "s3", "bucket", "object", "key", "name", "eventName", "eventSource", "eTag"]
NAMES += ["Type", "Message", "source", "detail", "detail-type"]


def through_sns(message: str) -> str:
    return json.dumps({"Type": "Notification", "TopicArn": "arn:aws:sns:::t", "Message": message})


@pytest.mark.parametrize("wrap", [str, through_sns], ids=["direct", "sns"])
@pytest.mark.parametrize("key", ["in/a b+ü%20.pdf", "%2B.pdf", "a/ü/日本.pdf", " .pdf"])
def test_keys_of_notifications_are_decoded_as_in_a_form(key: str, wrap: Any) -> None:
    (event,) = parse_message(wrap(notification("letters", quote_plus(key, safe="/"))))
    assert event == ObjectEvent("letters", key, True, ETAG, None, 1024)


@pytest.mark.parametrize("wrap", [str, through_sns], ids=["direct", "sns"])
def test_keys_of_event_bridge_are_not_encoded(wrap: Any) -> None:
    (event,) = parse_message(wrap(json.dumps(EVENT_BRIDGE)))
    version = "IYV3p45BT0ac8hjHg1houSdS1a.Mro8e"
    assert event == ObjectEvent("letters", "in/a b+ü%20.pdf", True, ETAG, version, 5)


def test_a_message_may_have_several_records() -> None:
    records = [
        json.loads(notification("letters", f"{number}.pdf"))["Records"][0] for number in range(3)
    ]
    events = parse_message(json.dumps({"Records": records}))
    assert [event.key for event in events] == ["0.pdf", "1.pdf", "2.pdf"]
    assert parse_message('{"Records": []}') == []


@pytest.mark.parametrize("wrap", [str, through_sns], ids=["direct", "sns"])
def test_the_test_event_has_none(wrap: Any) -> None:
    body = {"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "letters"}
    assert parse_message(wrap(json.dumps(body))) == []


@pytest.mark.parametrize(
    ("name", "readable"),
    [
        ("ObjectCreated:Put", True),
        ("ObjectCreated:Copy", True),
        ("ObjectCreated:CompleteMultipartUpload", True),
        ("s3:ObjectCreated:Put", True),
        ("ObjectRestore:Completed", True),
        ("ObjectRestore:Post", False),
        ("ObjectRemoved:Delete", False),
        ("ObjectRemoved:DeleteMarkerCreated", False),
        ("LifecycleExpiration:Delete", False),
        ("ObjectTagging:Put", False),
        ("ReducedRedundancyLostObject", False),
    ],
)
def test_objects_are_readable_after_they_were_created_or_restored(
    name: str, readable: bool
) -> None:
    (event,) = parse_message(notification("letters", "a.pdf", name))
    assert (event.bucket, event.key, event.is_readable) == ("letters", "a.pdf", readable)


@pytest.mark.parametrize(
    ("kind", "readable"),
    [
        ("Object Restore Completed", True),
        ("Object Deleted", False),
        ("Object Tags Added", False),
        ("Object Access Tier Changed", False),
    ],
)
def test_kinds_of_event_bridge(kind: str, readable: bool) -> None:
    (event,) = parse_message(json.dumps(EVENT_BRIDGE | {"detail-type": kind}))
    assert event.is_readable is readable


def test_other_servers_name_another_vendor() -> None:
    body = notification("letters", "a.pdf").replace("aws:s3", "ceph:s3")
    assert parse_message(body)[0].key == "a.pdf"


def test_the_reference_is_that_of_a_listing() -> None:
    versioned = notification("b", "a.pdf", versionId="096fKKXTRTtl3on89fVO.nfljtsv6qko")
    (event,) = parse_message(versioned)
    version = "096fKKXTRTtl3on89fVO.nfljtsv6qko"
    assert event.reference(with_version_ids=True) == DocumentRef(
        "s3://b/a.pdf", version, version, ETAG, 1024
    )
    by_etag = DocumentRef("s3://b/a.pdf", ETAG, None, ETAG, 1024)
    assert event.reference(with_version_ids=False) == by_etag
    (without,) = parse_message(notification("b", "a.pdf", versionId="null", eTag=f'"{ETAG}"'))
    assert without.reference(with_version_ids=True) == by_etag
    (bare,) = parse_message(notification("b", "a.pdf", eTag=None, size=None))
    assert bare.reference(with_version_ids=True) == DocumentRef("s3://b/a.pdf")


def test_an_empty_etag_is_none_as_some_servers_send_for_deletions() -> None:
    for etag in ("", '""', None):
        body = notification("b", "a.pdf", eTag=etag).replace("Created:Put", "Removed:Delete")
        assert parse_message(body) == [ObjectEvent("b", "a.pdf", False, None, None, 1024)]


def changed(**values: Any) -> str:
    return notification("letters", values.pop("key", "a.pdf"), **values)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("", "no JSON"),
        ("hello", "no JSON"),
        ("{" * 100_000, "no JSON"),
        ("[" * 100_000 + "]" * 100_000, "no JSON"),
        ("[1]", "no dictionary"),
        ("null", "no dictionary"),
        ("{}", "no event of S3"),
        (json.dumps({"source": "aws.ec2"}), "no event of S3"),
        (json.dumps({"Type": "SubscriptionConfirmation", "Token": "t"}), "no event of S3"),
        (json.dumps({"Type": "Notification"}), "no text"),
        (through_sns("hello"), "no JSON"),
        (through_sns(through_sns(through_sns(changed()))), "no event of S3"),
        (json.dumps({"Records": {}}), "no list"),
        (json.dumps({"Records": [1]}), "a record is no dictionary"),
        (changed().replace("aws:s3", "aws:ses"), "another service"),
        (changed().replace('"eventName"', '"eventname"'), "eventName is missing"),
        (changed().replace('"bucket"', '"Bucket"'), "s3.bucket is no dictionary"),
        (changed().replace('"object"', '"Object"'), "s3.object is no dictionary"),
        (changed(key=""), "key is empty"),
        (changed(key="a" * 1025), "longer than 1024 bytes"),
        (changed(key="%C3%BC" * 600), "longer than 1024 bytes"),
        (notification("", "a.pdf"), "bucket's name"),
        (notification("letters/in", "a.pdf"), "bucket's name"),
        # It would be read as a file that is attached to a document.
        (changed(eTag="abc#attachment=1"), "ETag"),
        (changed(eTag="a\nb"), "ETag"),
        (changed(eTag=7), "ETag"),
        (changed(versionId="v#attachment=1"), "version id"),
        (changed(versionId=["v"]), "version id"),
        (changed(size="5"), "size"),
        (changed(size=-1), "size"),
        (changed(size=True), "size"),
        # It would end the triggerer, which sends sizes as integers of 64 bits.
        (changed(size=2**64), "size"),
        (json.dumps(EVENT_BRIDGE | {"detail-type": "AWS API Call via CloudTrail"}), "another event"),
        (json.dumps(EVENT_BRIDGE | {"detail": []}), "detail is no dictionary"),
    ],
)  # fmt: skip
def test_other_messages_are_refused_without_a_quotation(body: str, reason: str) -> None:
    with pytest.raises(QueueMessageError, match=reason) as caught:
        parse_message(body)
    assert caught.value.code is ErrorCode.QUEUE_MESSAGE
    assert len(str(caught.value)) < 100


@settings(max_examples=40)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(NAMES),
                inner | st.sampled_from(["aws.s3", "aws:s3", "Notification", "Object Created"]),
                max_size=5,
            )
        ),
        max_leaves=20,
    )
)
def test_any_json_is_parsed_or_refused(content: Any) -> None:
    try:
        events = parse_message(json.dumps(content))
    except QueueMessageError:
        return
    assert all(event.bucket and event.key for event in events)
