"""A bucket of moto that reports to a queue: directly, through SNS, or through EventBridge."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Any, Literal
from uuid import uuid4

import boto3
from botocore.config import Config

from .s3 import S3Server

ACCOUNT = "123456789012"
Way = Literal["plain", "sns", "sns_raw", "event_bridge"]


def client_of(server: S3Server, service: str) -> Any:
    """Return a client of one of moto's services."""
    return boto3.client(
        service,
        **server.client_arguments,
        config=Config(proxies={}, retries={"total_max_attempts": 1}),
    )


@dataclass(frozen=True)
class EventQueue:
    """A bucket, and the queue that its events come to."""

    server: S3Server
    bucket: str
    url: str
    s3: Any
    sqs: Any

    def upload(self, key: str, body: bytes = b"%PDF-1.7 a document") -> str:
        """Store an object, and return its ETag."""
        answer = self.s3.put_object(Bucket=self.bucket, Key=key, Body=body)
        return str(answer["ETag"]).strip('"')

    def send(self, body: str) -> None:
        """Send a message that S3 did not write."""
        self.sqs.send_message(QueueUrl=self.url, MessageBody=body)

    def counts(self) -> tuple[int, int]:
        """Return the number of visible messages, and of those that a reader holds."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        attributes = self.sqs.get_queue_attributes(QueueUrl=self.url, AttributeNames=names)
        visible, held = (int(attributes["Attributes"][name]) for name in names)
        return visible, held

    def drain(self) -> list[str]:
        """Delete the visible messages, and return their bodies."""
        bodies = []
        while messages := self.sqs.receive_message(
            QueueUrl=self.url, MaxNumberOfMessages=10, WaitTimeSeconds=0
        ).get("Messages"):
            for message in messages:
                bodies.append(message["Body"])
                self.sqs.delete_message(QueueUrl=self.url, ReceiptHandle=message["ReceiptHandle"])
        return bodies


def event_queue(server: S3Server, way: Way = "plain", bucket: str | None = None) -> EventQueue:
    """Return a new bucket whose events come to a new queue.

    :param way: how they come.
    :param bucket: name of the bucket; None chooses one.
    """
    name = f"events-{uuid4().hex[:12]}"
    bucket = bucket or name
    s3, sqs = client_of(server, "s3"), client_of(server, "sqs")
    s3.create_bucket(Bucket=bucket)
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    arn = f"arn:aws:sqs:{server.region}:{ACCOUNT}:{name}"
    s3.put_bucket_notification_configuration(
        Bucket=bucket, NotificationConfiguration=_configuration(server, way, name, arn)
    )
    queue = EventQueue(server, bucket, url, s3, sqs)
    if way == "event_bridge":
        _forward(server, name, bucket, arn)
    return queue


def notification(bucket: str, key: str, event: str = "ObjectCreated:Put", **changed: Any) -> str:
    """Return the body of a notification as S3 writes it; the key is encoded already."""
    record = {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": "eu-west-1",
        "eventTime": time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime()),
        "eventName": event,
        "userIdentity": {"principalId": "AWS:AIDAEXAMPLE"},
        "requestParameters": {"sourceIPAddress": "192.0.2.1"},
        "responseElements": {"x-amz-request-id": "C3D13FE58DE4C810"},
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": "documents",
            "bucket": {
                "name": bucket,
                "ownerIdentity": {"principalId": "A3NL1KOZZKExample"},
                "arn": f"arn:aws:s3:::{bucket}",
            },
            "object": {
                "key": key,
                "size": 1024,
                "eTag": "d41d8cd98f00b204e9800998ecf8427e",
                "sequencer": "0055AED6DCD90281E5",
            }
            | changed,
        },
    }
    return json.dumps({"Records": [record]})


def _configuration(server: S3Server, way: Way, name: str, arn: str) -> dict[str, Any]:
    if way == "event_bridge":
        return {"EventBridgeConfiguration": {}}
    if way == "plain":
        return {"QueueConfigurations": [{"QueueArn": arn, "Events": ["s3:ObjectCreated:*"]}]}
    sns = client_of(server, "sns")
    topic = sns.create_topic(Name=name)["TopicArn"]
    raw = {"RawMessageDelivery": "true" if way == "sns_raw" else "false"}
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes=raw)
    return {"TopicConfigurations": [{"TopicArn": topic, "Events": ["s3:ObjectCreated:*"]}]}


def _forward(server: S3Server, name: str, bucket: str, arn: str) -> None:
    events = client_of(server, "events")
    pattern = {
        "source": ["aws.s3"],
        "detail-type": ["Object Created"],
        "detail": {"bucket": {"name": [bucket]}},
    }
    events.put_rule(Name=name, EventPattern=json.dumps(pattern))
    events.put_targets(Rule=name, Targets=[{"Id": "queue", "Arn": arn}])
