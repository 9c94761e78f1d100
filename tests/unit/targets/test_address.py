"""Addresses of places for exports."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_deepseek_ocr.exceptions import ConfigurationError
from airflow_deepseek_ocr.targets.address import ExportAddress, parse_address
from airflow_deepseek_ocr.targets.directory import DirectoryTarget
from airflow_deepseek_ocr.targets.s3 import S3Target


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("s3://archive", ExportAddress("archive", "")),
        (" s3://archive/ocr/ ", ExportAddress("archive", "ocr/")),
        ("/data/exports", ExportAddress("", "/data/exports/")),
        ("file:///data/a%20b/", ExportAddress("", "/data/a b/")),
        ("file:///data/a%23b", ExportAddress("", "/data/a#b/")),
        ("/data/in/../out/.", ExportAddress("", "/data/out/")),
        ("/", ExportAddress("", "/")),
    ],
)
def test_prefixes_and_directories(text: str, address: ExportAddress) -> None:
    assert parse_address(text) == address


@pytest.mark.parametrize(
    "text", ["", "exports", "file://host/x", "gs://b/x", "~/x", "file:///a#b", "file:///a?b"]
)
def test_other_places_are_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="no place for exports") as refused:
        parse_address(text)
    assert refused.value.code == "export_to"


@pytest.mark.parametrize(
    ("place", "uri"),
    [
        ("s3://b/in/ocr", "s3://b/in/a.pdf"),
        ("s3://b/in", "s3://b/in/2026/a.pdf"),
        ("s3://b", "s3://b/in/a.pdf"),
        ("s3://b/ocr", "s3://b/a.pdf"),
        ("/data", "file:///data/in/a.pdf"),
        ("/data/in/ocr", "file:///data/in/a.pdf"),
        ("/data/out/../in", "file:///data/in/a.pdf"),
        ("/data/in/ocr", "file:///data/out/../in/a.pdf"),
        ("/data/in/ocr", "file:///data//in/a.pdf"),
        ("/data/in/ocr", "FILE://localhost/data/in/a.pdf"),
        ("s3://b/in/ocr", "S3://b/in/a.pdf"),
    ],
)
def test_a_place_beside_the_documents_is_refused(place: str, uri: str) -> None:
    with pytest.raises(ConfigurationError, match="beside the documents") as refused:
        parse_address(place).require_apart([uri])
    assert refused.value.code == "export_to"


@pytest.mark.parametrize("prefix", ["s3://b", "s3://b/out", "s3://b/out/ocr/x", "s3://b/o"])
def test_a_place_within_the_listed_prefix_is_refused(prefix: str) -> None:
    with pytest.raises(ConfigurationError):
        parse_address("s3://b/out/ocr").require_apart([], prefix)


def test_places_apart_are_taken() -> None:
    uris = ["s3://b/in/a.pdf", "file:///data/in/a.pdf", "gs://b/out/a.pdf"]
    parse_address("s3://b/out").require_apart(uris, "s3://b/in/")
    parse_address("s3://archive").require_apart(uris, "s3://b")
    parse_address("/data/out").require_apart(uris)


def test_a_client_is_made_for_buckets_only(tmp_path: Path) -> None:
    def none() -> None:
        raise AssertionError

    assert isinstance(parse_address(str(tmp_path)).open(none), DirectoryTarget)
    assert isinstance(parse_address("s3://b/x").open(object), S3Target)
