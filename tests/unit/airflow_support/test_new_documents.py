"""The search for new documents as the sensor and the triggers carry it."""

from __future__ import annotations

import json
from collections import Counter
from datetime import timedelta

import pytest

from airflow_deepseek_ocr.airflow_support.connections import load_settings
from airflow_deepseek_ocr.airflow_support.new_documents import NewDocuments, count_documents
from airflow_deepseek_ocr.connection.options import DiscoveryOptions, OcrOptions
from airflow_deepseek_ocr.exceptions import ConfigurationError
from airflow_deepseek_ocr.store.results_store import State
from tests.support.airflow_connections import define_model

SEARCH = NewDocuments(
    discovery=DiscoveryOptions(
        bucket="b",
        suffixes=(".pdf", ".png"),
        minimum_age=timedelta(minutes=1),
        retry_failed_after=timedelta(hours=2),
    ),
    ocr=OcrOptions(prompt="free", retry_with=["base", "text_layer"], pages="1-3"),
    deepseek_ocr_conn_id="model",
    aws_conn_id=None,
    db_conn_id="results",
)


def test_arguments_survive_json_and_make_an_equal_search() -> None:
    arguments = SEARCH.as_kwargs()
    assert json.loads(json.dumps(arguments)) == arguments
    assert (arguments["minimum_age"], arguments["retry_failed_after"]) == (60.0, 7200.0)
    again = NewDocuments.from_kwargs(**arguments)
    assert again.as_kwargs() == arguments
    assert again.discovery.listing == SEARCH.discovery.listing


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="markdown, ocr, free"):
        NewDocuments.from_kwargs(**SEARCH.as_kwargs() | {"prompt": "poem"})
    with pytest.raises(TypeError, match="buckets"):
        NewDocuments.from_kwargs(bucket="b", buckets="b")


def test_the_configuration_is_the_connection_s_with_the_options(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    define_model(monkeypatch, "model", model="/m", resolution="tiny")
    key = load_settings("model").processing_config(SEARCH.ocr).key
    assert SEARCH.config_key() == key
    assert NewDocuments(discovery=SEARCH.discovery, ocr=SEARCH.ocr).config_key() is None


@pytest.mark.parametrize(
    ("seen", "said"),
    [
        ({}, "it has no documents that match."),
        ({State.DONE: 1}, "1 document known."),
        (
            {State.DONE: 1200, State.RUNNING: 34},
            "1,234 documents known, 34 of them in work by other tasks.",
        ),
    ],
)
def test_a_search_that_finds_nothing_says_why(seen: dict[State, int], said: str) -> None:
    assert SEARCH.nothing_new(Counter(seen)) == f"No new documents in s3://b/: {said}"


def test_documents_of_batches_and_of_parts_of_a_list_are_counted() -> None:
    part = {"document_list": "0" * 32, "first": 128, "count": 72}
    assert count_documents([[{"uri": "s3://b/a"}] * 2, [{"uri": "s3://b/b"}]]) == 3
    assert count_documents([part, part | {"count": 128}]) == 200
    assert count_documents([]) == 0
