"""Options of a queue of events: checks, and their form among a trigger's arguments."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from airflow_deepseek_ocr.connection.options import DiscoveryOptions
from airflow_deepseek_ocr.connection.queue_options import QueueOptions
from airflow_deepseek_ocr.exceptions import ConfigurationError

URL = "https://sqs.eu-west-1.amazonaws.com/123456789012/documents"


def test_keys_are_selected_as_by_the_sensor() -> None:
    options = QueueOptions(queue_url=URL, bucket=["a", "b"], prefix="in/", suffixes=".PDF")
    same = {
        name: DiscoveryOptions(bucket=name, prefix="in/", suffixes=".PDF").listing
        for name in ("a", "b")
    }
    assert options.listings == same
    assert QueueOptions(queue_url=URL, bucket="a, b").bucket == ["a", "b"]


def test_arguments_are_plain_and_stable() -> None:
    options = QueueOptions(
        queue_url=URL,
        bucket="a",
        collect_for=timedelta(seconds=2),
        visibility_timeout=timedelta(minutes=1),
    )
    arguments = options.as_kwargs()
    assert (arguments["bucket"], arguments["collect_for"]) == (["a"], 2.0)
    again = QueueOptions(**json.loads(json.dumps(arguments)))
    assert again.as_kwargs() == arguments
    assert (again.collect_for_s, again.visibility_timeout_s) == (2.0, 60)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"queue_url": "documents"}, "queue_url is no URL"),
        ({"queue_url": "arn:aws:sqs:eu-west-1:123456789012:documents"}, "queue_url is no URL"),
        ({"queue_url": None}, "queue_url is no URL"),
        ({"queue_url": "{{ var.value.queue }}"}, "not rendered"),
        ({"bucket": []}, "the name of a bucket"),
        ({"bucket": ""}, "the name of a bucket"),
        ({"bucket": "s3://letters"}, "bucket='letters'"),
        ({"bucket": "arn:aws:s3:eu-west-1:123456789012:accesspoint/p"}, "no access points"),
        ({"bucket": 5}, "list of texts"),
        ({"suffixes": []}, "suffixes"),
        ({"batch_size": 0}, "batch_size"),
        ({"max_documents": "many"}, "max_documents"),
        ({"collect_for": -1}, "collect_for"),
        ({"visibility_timeout": 29}, "30 s to 12 hours"),
        ({"visibility_timeout": timedelta(hours=13)}, "30 s to 12 hours"),
        ({"visibility_timeout": 60, "collect_for": 60}, "longer than collect_for"),
    ],
)
def test_wrong_options_are_refused(arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        QueueOptions(**{"queue_url": URL, "bucket": "b"} | arguments)


def test_a_password_in_the_url_is_refused_and_not_quoted() -> None:
    with pytest.raises(ConfigurationError) as caught:
        QueueOptions(queue_url="https://me:secret-word@sqs.test/1/q", bucket="b")
    assert "secret-word" not in str(caught.value)
