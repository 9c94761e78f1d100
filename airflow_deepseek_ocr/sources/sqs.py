"""A queue of Amazon SQS: receiving and deleting messages with a boto3 client."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from airflow_deepseek_ocr.chunks import chunks
from airflow_deepseek_ocr.exceptions import ErrorCode, UnavailableError
from airflow_deepseek_ocr.printable import hide_logins

#: Messages of one request, at most (API reference of SQS).
AT_ONCE = 10
#: Most characters of the service's own words in a message.
_WORDS = 300
#: Hosts of regions, of FIPS, of IPv6, of endpoints in a VPC, and the older one ("SQS endpoints and quotas").
_REGION = re.compile(
    r"https?://(?:(?:[a-z0-9-]+\.)?sqs(?:-fips)?\.([a-z0-9-]+)(?:\.vpce)?|([a-z0-9-]+)\.queue)"
    r"\.(?:amazonaws\.com(?:\.cn)?|api\.aws)(?::[0-9]+)?/"
)

# Codes of "Common errors" and of ReceiveMessage in the API reference of SQS, and of older servers.
_NO_QUEUE = ("AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist", "InvalidAddress")
_EXPIRED = ("ExpiredToken", "ExpiredTokenException", "RequestExpired")
_REFUSED = (
    "AccessDenied",
    "AccessDeniedException",
    "AuthFailure",
    "InvalidClientTokenId",
    "InvalidSecurity",
    "KmsAccessDenied",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
)


@dataclass(frozen=True)
class Message:
    """A message that was received and is invisible to other readers until its visibility time-out.

    :param id: its id, for the log.
    :param body: the text.
    :param receipt: the handle that deletes it.
    """

    id: str
    body: str
    receipt: str = field(repr=False)


class Queue:
    """A queue.

    :param client: a boto3 SQS client whose read time-out is longer than any wait.
    :param url: URL of the queue.
    """

    def __init__(self, client: Any, url: str) -> None:
        self._client, self._url = client, url

    def close(self) -> None:
        """Close the client's connections."""
        self._client.close()

    def receive(self, wait_s: int, visibility_timeout_s: int) -> list[Message]:
        """Return up to ten messages; none if the queue stays empty.

        :param wait_s: seconds to wait for the first message, 0 to 20.
        :param visibility_timeout_s: seconds after which messages that are not deleted come again.
        :raises UnavailableError: ``queue_unavailable``.
        """
        with clear_queue_errors(self._url):
            answer = self._client.receive_message(
                QueueUrl=self._url,
                MaxNumberOfMessages=AT_ONCE,
                WaitTimeSeconds=wait_s,
                VisibilityTimeout=visibility_timeout_s,
            )
        return [
            Message(each["MessageId"], each["Body"], each["ReceiptHandle"])
            for each in answer.get("Messages", ())
        ]

    def delete(self, receipts: Sequence[str]) -> int:
        """Delete messages, and return how many the queue has kept; those come again.

        :param receipts: handles of the messages.
        :raises UnavailableError: ``queue_unavailable``.
        """
        kept = 0
        for chunk in chunks(receipts, AT_ONCE):
            entries = [
                {"Id": str(number), "ReceiptHandle": receipt}
                for number, receipt in enumerate(chunk)
            ]
            with clear_queue_errors(self._url):
                answer = self._client.delete_message_batch(QueueUrl=self._url, Entries=entries)
            kept += len(answer.get("Failed", ()))
        return kept


def region_of(url: str) -> str | None:
    """Return the region in the URL of a queue of AWS; None for other servers."""
    match = _REGION.match(url)
    return match and (match[1] or match[2])


@contextmanager
def clear_queue_errors(url: str) -> Iterator[None]:
    """Translate the errors of SQS, and of the client's credentials, into those of this package.

    The original errors are not chained: their tracebacks contain requests, which contain credentials.

    :param url: URL of the queue, for error messages.
    :raises UnavailableError: ``queue_unavailable``.
    """
    from botocore import exceptions as botocore

    try:
        yield
    except botocore.ClientError as error:
        found = error.response.get("Error", {})
        code, message = str(found.get("Code", "")), str(found.get("Message", ""))
        raise _unavailable(url, f"SQS answers {code}: {message[:_WORDS]}", _remedy(code)) from None
    except (botocore.BotoCoreError, ConnectionError, TimeoutError) as error:
        raise _unavailable(
            url,
            hide_logins(str(error)),
            "Check the endpoint and the credentials of the AWS connection, and the network.",
        ) from None


def _unavailable(url: str, reason: str, remedy: str) -> UnavailableError:
    return UnavailableError(
        ErrorCode.QUEUE_UNAVAILABLE, f"The queue {url} cannot be read: {reason}. {remedy}"
    )


def _remedy(code: str) -> str:
    if code in _NO_QUEUE:
        return "Check queue_url, and the region of the AWS connection."
    if code in _EXPIRED:
        return "Renew the session token of the AWS connection, or let it assume a role."
    if code in _REFUSED:
        return (
            "The credentials of the AWS connection need sqs:ReceiveMessage and sqs:DeleteMessage, and "
            "kms:Decrypt where a key of KMS encrypts the queue."
        )
    return "A later try may succeed."
