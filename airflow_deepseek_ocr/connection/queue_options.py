"""Options of reading events of S3 from a queue."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import timedelta
from typing import Any

from airflow_deepseek_ocr.connection import values
from airflow_deepseek_ocr.connection.options import DiscoveryOptions, positive_seconds, seconds
from airflow_deepseek_ocr.exceptions import ConfigurationError, ErrorCode
from airflow_deepseek_ocr.sources.s3 import Listing

#: Without user and password: it is in logs and in Airflow's database.
_URL = re.compile(r"https?://[^\s/@?#]+/[^\s@?#]+")
#: Longest visibility time-out in seconds (API reference of SQS), and the shortest that leaves Airflow time
#: to store an event: it does so within three seconds, and its own time-outs for locks are longer.
_LONGEST_TIMEOUT_S, _SHORTEST_TIMEOUT_S = 12 * 3600, 30


@dataclass(frozen=True, kw_only=True)
class QueueOptions:
    """Which events of a queue name new documents, and how many are emitted at once.

    The parameters ``prefix`` to ``batch_size`` are those of
    :class:`~airflow_deepseek_ocr.connection.options.DiscoveryOptions`.

    :param queue_url: URL of the queue.
    :param bucket: name of the bucket, or a list of names. Messages of other buckets stay in the queue.
    :param with_version_ids: identify versions by the bucket's version ids instead of ETags, as the sensor of
        the same bucket does.
    :param max_documents: most documents per event; the others are in another event.
    :param collect_for: how long messages are collected for one event after the first one. A timedelta, or
        seconds.
    :param visibility_timeout: time after which messages that were not deleted are received again, 30 seconds
        to 12 hours and longer than ``collect_for``. A timedelta, or seconds.
    :raises ConfigurationError: ``discovery_options``, ``argument``.
    """

    queue_url: str
    bucket: str | Sequence[str]
    prefix: str = DiscoveryOptions.prefix
    suffixes: str | Sequence[str] | None = DiscoveryOptions.suffixes
    glob: str | None = DiscoveryOptions.glob
    with_version_ids: bool = DiscoveryOptions.with_version_ids
    batch_size: int = DiscoveryOptions.batch_size
    max_documents: int = DiscoveryOptions.max_documents
    collect_for: timedelta | float = timedelta(seconds=5)
    visibility_timeout: timedelta | float = timedelta(minutes=5)

    def __post_init__(self) -> None:
        url = values.rendered("queue_url", self.queue_url)
        if not (isinstance(url, str) and _URL.fullmatch(url)):
            raise ConfigurationError(
                ErrorCode.DISCOVERY_OPTIONS,
                "queue_url is no URL of a queue; write one such as "
                "https://sqs.eu-west-1.amazonaws.com/123456789012/documents, without user and password.",
            )
        buckets = values.texts("bucket", self.bucket)
        for bucket in buckets:
            if bucket.startswith("arn:"):
                raise values.invalid(
                    "bucket", bucket, "the bucket's own name: events name no access points", _CODE
                )
        if not buckets:
            raise values.invalid("bucket", self.bucket, "the name of a bucket, or a list", _CODE)
        object.__setattr__(self, "bucket", buckets)
        checked = self._discovery(buckets)
        for each in _OF_DISCOVERY:
            object.__setattr__(self, each, getattr(checked[0], each))
        self._check_times()

    def _check_times(self) -> None:
        collect = seconds("collect_for", self.collect_for)
        timeout = positive_seconds("visibility_timeout", self.visibility_timeout)
        if not _SHORTEST_TIMEOUT_S <= timeout <= _LONGEST_TIMEOUT_S or timeout <= collect:
            raise values.invalid(
                "visibility_timeout",
                self.visibility_timeout,
                f"{_SHORTEST_TIMEOUT_S} s to 12 hours, and longer than collect_for ({collect:g} s)",
                _CODE,
            )
        object.__setattr__(self, "collect_for", collect)
        object.__setattr__(self, "visibility_timeout", timeout)

    def _discovery(self, buckets: Sequence[str]) -> list[DiscoveryOptions]:
        shared = {name: getattr(self, name) for name in _OF_DISCOVERY}
        return [DiscoveryOptions(bucket=bucket, **shared) for bucket in buckets]

    @property
    def listings(self) -> dict[str, Listing]:
        """The part that selects keys, by bucket."""
        return {each.bucket: each.listing for each in self._discovery(list(self.bucket))}

    @property
    def collect_for_s(self) -> float:
        """``collect_for`` in seconds."""
        return seconds("collect_for", self.collect_for)

    @property
    def visibility_timeout_s(self) -> int:
        """``visibility_timeout`` in whole seconds, as SQS takes it."""
        return int(seconds("visibility_timeout", self.visibility_timeout))

    def as_kwargs(self) -> dict[str, Any]:
        """Return the options as scalars and lists, durations in seconds.

        Airflow 3.2 changes dictionaries, tuples and sets among a trigger's arguments.
        """
        arguments = {each.name: getattr(self, each.name) for each in fields(self)}
        return {
            name: list(value) if isinstance(value, list | tuple | set | frozenset) else value
            for name, value in arguments.items()
        }


_CODE = ErrorCode.DISCOVERY_OPTIONS
_OF_DISCOVERY = ("prefix", "suffixes", "glob", "with_version_ids", "batch_size", "max_documents")
