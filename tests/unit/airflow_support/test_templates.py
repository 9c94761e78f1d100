"""Checks of arguments before Airflow renders them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_deepseek_ocr.airflow_support.templates import check_literals
from airflow_deepseek_ocr.connection.options import DiscoveryOptions, OcrOptions

OCR = {
    "prompt": None,
    "resolution": None,
    "retry_with": None,
    "text_layer": None,
    "pages": None,
    "dpi": 144,
    "min_score": 0.5,
    "figures": None,
}


def check(**arguments: Any) -> None:
    check_literals(OcrOptions, SimpleNamespace(**OCR | arguments))


@pytest.mark.parametrize(
    "arguments",
    [
        {"prompt": "{{ params.prompt }}"},
        {"resolution": "{% if x %}tiny{% endif %}"},
        {"retry_with": ["base", "{{ params.step }}"]},
        {"pages": object()},  # the output of another task
        {"prompt": "free", "pages": "1-3"},
    ],
)
def test_templates_and_valid_literals_pass(arguments: dict[str, Any]) -> None:
    check(**arguments)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"prompt": "poem", "pages": "{{ params.pages }}"}, "markdown, ocr, free"),
        ({"retry_with": ["base", "halves"]}, "slices_2"),
        ({"dpi": 5}, "18 to 1200"),
    ],
)
def test_a_wrong_literal_fails_without_a_retry(arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(AirflowFailException, match=said):
        check(**arguments)


def test_a_templated_bucket_passes() -> None:
    options = {
        "prefix": "",
        "suffixes": None,
        "glob": None,
        "minimum_age": 0,
        "with_version_ids": False,
        "requester_pays": False,
    }
    options |= {"batch_size": 0, "max_documents": 1, "retry_failed_after": 0}
    with pytest.raises(AirflowFailException, match="batch_size"):
        check_literals(DiscoveryOptions, SimpleNamespace(bucket="{{ params.b }}", **options))
    options["batch_size"] = 1
    check_literals(DiscoveryOptions, SimpleNamespace(bucket="{{ params.b }}", **options))
