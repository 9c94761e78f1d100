"""Options of reading and of discovery: defaults and checks."""

from __future__ import annotations

import re
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_deepseek_ocr.connection.options import DiscoveryOptions, OcrOptions, seconds
from airflow_deepseek_ocr.exceptions import ConfigurationError, ErrorCode
from airflow_deepseek_ocr.sources.s3 import Listing


@pytest.mark.parametrize(
    ("change", "code", "said"),
    [
        ({"prompt": "poem"}, "unknown_prompt", "markdown, ocr, free"),
        ({"prompt": "locate"}, "prompt_text", "locate:TEXT"),
        ({"prompt": "free:x"}, "prompt_text", "no text"),
        ({"resolution": "huge"}, "unknown_resolution", "tiny, small, base"),
        ({"retry_with": "again"}, "retry_with", "slices_2"),
        ({"retry_with": ["base", 3]}, "retry_with", "slices_2"),
        ({"retry_with": "no_repeat_ngram:3/9"}, "no_repeat_ngram", ""),
        ({"text_layer": "always"}, "text_layer", "off, compare, first"),
        ({"pages": "x"}, "page_selection", "1-3,5,10-"),
        ({"pages": 3.5}, "page_selection", "1-3,5,10-"),
        ({"dpi": 17}, "dpi", "18 to 1200"),
        ({"dpi": True}, "dpi", "18 to 1200"),
        ({"dpi": 144.0}, "dpi", "whole number"),
        ({"min_score": 1.5}, "min_score", "from 0 to 1"),
        ({"min_score": "high"}, "min_score", "from 0 to 1"),
        ({"min_score": True}, "min_score", "from 0 to 1"),
    ],
)
def test_an_option_that_does_not_exist_is_refused(
    change: dict[str, Any], code: str, said: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        OcrOptions(**change)
    assert caught.value.code == code
    assert said in str(caught.value)


def test_all_that_exists_is_accepted() -> None:
    OcrOptions(
        prompt="locate:Total",
        resolution="auto",
        retry_with=["no_repeat_ngram:20/200", "slices_4", "gundam"],
        text_layer="first",
        pages="1-3,10-",
        dpi=1200,
        min_score=0,
    )


def test_options_are_taken_from_attributes() -> None:
    owner = SimpleNamespace(prompt="free", dpi=72, unrelated=1)
    assert OcrOptions.of(owner) == OcrOptions(prompt="free", dpi=72)
    with pytest.raises(ConfigurationError):
        OcrOptions.of(SimpleNamespace(dpi=5))


@pytest.mark.parametrize(
    "change",
    [
        {"batch_size": 0},
        {"max_documents": 0},
        {"batch_size": True},
        {"batch_size": "many"},
        {"bucket": ""},
        {"bucket": None},
        {"bucket": "my bucket"},
        {"bucket": "b/in"},
        {"bucket": "https://b.s3.amazonaws.com"},
        {"bucket": "arn:aws:s3:::b"},
        {"suffixes": ()},
        {"suffixes": [""]},
        {"suffixes": [".pdf", None]},
        {"suffixes": 5},
        {"minimum_age": "1h"},
        {"retry_failed_after": None},
    ],
)
def test_discovery_options_are_checked(change: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(change))) as caught:
        DiscoveryOptions(**{"bucket": "b"} | change)
    assert caught.value.code is ErrorCode.DISCOVERY_OPTIONS


def test_the_listing_selects_keys_by_suffix_in_any_case() -> None:
    options = DiscoveryOptions(bucket="b", prefix="in/", suffixes=[".PDF"], minimum_age=90)
    assert options.listing.minimum_age == timedelta(seconds=90)
    assert options.listing.contains("s3://b/in/a.pdf")
    assert options.listing.contains("s3://b/in/A.PDF")
    assert not options.listing.contains("s3://b/in/a.png")
    assert not options.listing.contains("s3://b/a.pdf")
    assert DiscoveryOptions(bucket="b", suffixes=".pdf").listing.suffixes == (".pdf",)
    assert DiscoveryOptions(bucket="b", suffixes=None).listing.contains("s3://b/notes.txt")


def test_durations_are_timedeltas_or_seconds() -> None:
    assert seconds("x", timedelta(minutes=1)) == seconds("x", 60) == 60.0


@pytest.mark.parametrize(
    ("bucket", "remedy"),
    [
        ("s3://x", "write bucket='x'."),
        ("s3://x/", "write bucket='x'."),
        (" S3://x/in/new", "write bucket='x' and prefix='in/new'."),
    ],
)
def test_a_uri_in_place_of_a_bucket_is_refused_with_its_parts(bucket: str, remedy: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(remedy)):
        DiscoveryOptions(bucket=bucket)


@pytest.mark.parametrize("suffixes", [".PDF", (".PDF",), [".Pdf"], {".PDF"}])
def test_suffixes_of_any_case_and_type_find_keys_of_any_case(suffixes: Any) -> None:
    for listing in (
        DiscoveryOptions(bucket="b", suffixes=suffixes).listing,
        Listing("b", suffixes=suffixes),
    ):
        assert listing.contains("s3://b/a.pdf")
        assert listing.contains("s3://b/A.PDF")
        assert not listing.contains("s3://b/c.gif")
        assert not listing.contains("s3://b/f")
