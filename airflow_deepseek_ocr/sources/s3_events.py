"""Events of S3 in the messages of a queue: plain, through SNS, through EventBridge.

A message comes from outside: each value is checked before it is used.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_plus

from airflow_deepseek_ocr.exceptions import DeepSeekOCRError, ErrorCode
from airflow_deepseek_ocr.ocr.documents.reference import MAX_SIZE, DocumentRef

#: Messages in messages: a notification or an event of EventBridge that SNS delivers, and one more.
_MAX_ENVELOPES = 2
#: Longest key in bytes of UTF-8, and longest name of a bucket that a server accepts (S3's user guide).
_MAX_KEY_BYTES, _MAX_BUCKET = 1024, 255
#: Other characters could be taken for the mark of an attached file, or break a line of the log. S3's version
#: ids have at most 1,024 bytes.
_ETAG, _VERSION_ID = re.compile(r"[0-9A-Za-z-]{1,255}"), re.compile(r"[!$-~]{1,1024}")
#: The service that writes the records; servers other than AWS have another vendor before the colon.
_SOURCE = re.compile(r"\w+:s3")
#: Events after which an object can be read, in notifications and from EventBridge.
_READABLE = ("ObjectCreated:", "ObjectRestore:Completed")
_READABLE_DETAILS = ("Object Created", "Object Restore Completed")


class QueueMessageError(DeepSeekOCRError):
    """A message of a queue has no events of S3, or malformed ones."""

    def __init__(self, message: str) -> None:
        super().__init__(ErrorCode.QUEUE_MESSAGE, message)

    def __reduce__(self) -> tuple[type[QueueMessageError], tuple[object, ...]]:
        return type(self), (str(self),)


@dataclass(frozen=True)
class ObjectEvent:
    """A change of one object.

    :param bucket: name of the bucket.
    :param key: the key, decoded.
    :param is_readable: whether the object can be read since: it was created, or restored from an archive.
    :param etag: the ETag without quotes, if the event has it.
    :param version_id: the version id, if the bucket keeps versions.
    :param size: bytes, if the event has them.
    """

    bucket: str
    key: str
    is_readable: bool
    etag: str | None = None
    version_id: str | None = None
    size: int | None = None

    def reference(self, *, with_version_ids: bool) -> DocumentRef:
        """Return the reference that a listing of the bucket has for this version.

        :param with_version_ids: identify versions by version ids instead of ETags.
        """
        version_id = self.version_id if with_version_ids else None
        return DocumentRef(
            f"s3://{self.bucket}/{self.key}",
            version_id or self.etag or "",
            version_id,
            self.etag,
            self.size,
        )


def parse_message(body: str) -> list[ObjectEvent]:
    """Return the changes of objects that a message reports; none for the test event of a new configuration.

    :param body: body of the message: a notification of S3, an event of EventBridge, or either in a message of
        SNS (without raw delivery).
    :raises QueueMessageError: ``queue_message``; the reason does not quote the message.
    """
    content = _json(body)
    for _ in range(_MAX_ENVELOPES):
        if content.get("Type") != "Notification":
            break
        content = _json(content.get("Message"))
    if content.get("Event") == "s3:TestEvent":
        return []
    if "Records" in content:
        records = content["Records"]
        if not isinstance(records, list):
            raise QueueMessageError("Records is no list")
        return [_of_record(record) for record in records]
    if content.get("source") == "aws.s3":
        return [_of_event_bridge(content)]
    raise QueueMessageError("it is no event of S3")


def _json(text: Any) -> dict[str, Any]:
    if not isinstance(text, str):
        raise QueueMessageError("the message in the message is no text")
    try:
        content = json.loads(text)
    # RecursionError: the text is nested too deep for the parser.
    except (ValueError, RecursionError):
        raise QueueMessageError("it is no JSON") from None
    return _dictionary(content, "the JSON")


def _of_record(record: Any) -> ObjectEvent:
    record = _dictionary(record, "a record")
    if not _SOURCE.fullmatch(_text(record, "eventSource")):
        raise QueueMessageError("a record is of another service than S3")
    name = _text(record, "eventName").removeprefix("s3:")
    s3 = _dictionary(record.get("s3"), "s3")
    changed = _dictionary(s3.get("object"), "s3.object")
    return _event(
        _text(_dictionary(s3.get("bucket"), "s3.bucket"), "name"),
        # As in a form: blanks are plus signs.
        unquote_plus(_text(changed, "key")),
        changed,
        is_readable=name.startswith(_READABLE),
        version_id=changed.get("versionId"),
    )


def _of_event_bridge(content: dict[str, Any]) -> ObjectEvent:
    kind = _text(content, "detail-type")
    # Calls of the API that CloudTrail records have the same source.
    if not kind.startswith("Object "):
        raise QueueMessageError("it is another event of EventBridge than those of objects")
    detail = _dictionary(content.get("detail"), "detail")
    changed = _dictionary(detail.get("object"), "detail.object")
    return _event(
        _text(_dictionary(detail.get("bucket"), "detail.bucket"), "name"),
        _text(changed, "key"),
        changed,
        is_readable=kind in _READABLE_DETAILS,
        version_id=changed.get("version-id"),
    )


def _event(
    bucket: str, key: str, changed: dict[str, Any], *, is_readable: bool, version_id: Any
) -> ObjectEvent:
    """Return the event, or raise if a value is none that S3 sends."""
    etag, size = changed.get("eTag", changed.get("etag")), changed.get("size")
    # Some servers send an empty one with deletions.
    etag = (etag.strip('"') if isinstance(etag, str) else etag) or None
    # Objects from before a bucket kept versions have the id "null".
    version_id = None if version_id in ("", "null") else version_id
    if not bucket or len(bucket) > _MAX_BUCKET or "/" in bucket:
        raise QueueMessageError("the bucket's name is none")
    if not key or len(key.encode("utf-8", "surrogatepass")) > _MAX_KEY_BYTES:
        raise QueueMessageError(f"the key is empty, or longer than {_MAX_KEY_BYTES} bytes")
    for name, value, valid in (("ETag", etag, _ETAG), ("version id", version_id, _VERSION_ID)):
        if value is not None and not (isinstance(value, str) and valid.fullmatch(value)):
            raise QueueMessageError(f"the {name} is none")
    if size is not None and not (type(size) is int and 0 <= size <= MAX_SIZE):
        raise QueueMessageError("the size is no number of bytes")
    return ObjectEvent(bucket, key, is_readable, etag, version_id, size)


def _dictionary(value: Any, name: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise QueueMessageError(f"{name} is no dictionary")
    return value


def _text(value: dict[str, Any], name: str) -> str:
    text = value.get(name)
    if not isinstance(text, str):
        raise QueueMessageError(f"{name} is missing, or no text")
    return text
