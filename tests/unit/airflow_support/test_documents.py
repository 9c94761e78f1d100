"""The documents of a task in every form in which they are given."""

from __future__ import annotations

import json
import os
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from airflow_deepseek_ocr.airflow_support.documents import listed_documents, references
from airflow_deepseek_ocr.airflow_support.results_database import open_store
from airflow_deepseek_ocr.exceptions import ConfigurationError, ErrorCode
from airflow_deepseek_ocr.ocr.documents.reference import DocumentRef
from airflow_deepseek_ocr.sources.files import path_of
from airflow_deepseek_ocr.store.lists.document_lists import DocumentLists
from airflow_deepseek_ocr.store.lists.list_slice import ListSlice
from airflow_deepseek_ocr.store.names import Names
from tests.support.airflow_connections import define_sqlite

A, B = "s3://b/a.pdf", "s3://b/b, c (1) .pdf"
REF = DocumentRef(A, "e", None, "e", 3, datetime(2026, 1, 2, tzinfo=UTC))


@pytest.mark.parametrize(
    "given",
    [
        [A, B],
        (A, B),
        iter([A, B]),
        (each for each in (A, B)),
        [[A], [B]],
        [[[A]], [B]],
        json.dumps([A, B]),
        str([A, B]),
        str((A, B)),
        f"\n  {json.dumps([A, B])}\n",
        [json.dumps([A]), str([{"uri": B}])],
        [{"uri": A}, DocumentRef(B)],
        [f"  {A}", B],
    ],
)
def test_a_list_in_any_form_is_its_documents(given: Any) -> None:
    assert [ref.uri for ref in references(given)] == [A, B]


def test_one_document_in_any_form() -> None:
    for given in (REF, REF.as_dict(), str(REF.as_dict()), json.dumps(REF.as_dict()), [[REF]]):
        assert references(given) == [REF]
    assert references(A) == references(f" {A}") == [DocumentRef(A)]
    assert references({"uri": A, "version": None}) == [DocumentRef(A)]
    assert references(Path("/data/a b.pdf")) == [DocumentRef("file:///data/a%20b.pdf")]
    assert {ref.uri for ref in references({A, B})} == {A, B}
    assert references("gs://b/x.pdf") == [DocumentRef("gs://b/x.pdf")]


def test_keys_may_be_odd() -> None:
    odd = ["s3://b/a ", "s3://b/ü%20\n", "s3://b/a,b;c", "s3://b/[1].pdf", "s3://b//x"]
    assert [ref.uri for ref in references(odd)] == odd
    assert references({"uri": "s3://b/{{x}},s3://y"})[0].uri == "s3://b/{{x}},s3://y"


@pytest.mark.parametrize("given", [[], "[]", (), [[]], set(), iter(())])
def test_an_empty_list_has_no_documents(given: Any) -> None:
    assert references(given) == []


@pytest.mark.parametrize(
    "given",
    [
        None,
        3,
        1.5,
        True,
        b"s3://b/a",
        object(),
        [A, 3],
        [A, None],
        [A, b"x"],
        "a.pdf",
        "/data/a.pdf",
        "None",
        "s3:/b/a",
        "s3://",
        "s3://b",
        "s3://b/",
        "s3:// b/a",
        f"{A},{B}",
        f"{A}, s3://b/x",
        f"{A} s3://b/x",
        f"{A}\ns3://b/x",
        [f"{A};s3://b/x"],
        [A, ""],
        Path("a.pdf"),
        {"documents": [A]},
        {"uri": "a.pdf"},
        {"uri": None},
        {"uri": 3},
        {"uri": A, "version": 3},
        {"uri": A, "size": "3"},
        {"uri": A, "size": -1},
        {"uri": A, "size": 2**63},
        {"uri": A, "last_modified": "today"},
        {},
        {1: 2},
        [[[[[[[A]]]]]]],
        '{"uri": 3}',
        "3.5",
    ],
)
def test_anything_else_is_a_wrong_setting(given: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"documents|last_modified") as caught:
        references(given)
    assert caught.value.code is ErrorCode.DOCUMENT_REFERENCE


@pytest.mark.parametrize(
    "given", ["{{ params.documents }}", ["{{ x }}"], "[s3://b/a]", "[" * 100_000, "['s3://b/a'"]
)
def test_text_that_is_no_list_is_a_wrong_setting(given: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"^documents is") as caught:
        references(given)
    assert caught.value.code is ErrorCode.ARGUMENT


@pytest.mark.parametrize("name", [b"caf\xe9 #1.pdf", "größe 100%.pdf".encode()])
def test_a_path_is_the_uri_of_its_bytes(name: bytes) -> None:
    path = Path(os.fsdecode(b"/data/" + name))
    (ref,) = references([path])
    assert path_of(ref.uri) == b"/data/" + name
    ref.uri.encode("utf-8")
    with pytest.raises(ConfigurationError) as caught:
        references(str(path))
    assert str(caught.value).endswith(f"write {ref.uri}.")
    str(caught.value).encode("utf-8")


def test_text_with_bytes_that_are_not_utf_8_is_percent_encoded() -> None:
    (ref,) = references(os.fsdecode(b"file:///data/caf\xe9.pdf"))
    assert ref.uri == "file:///data/caf%E9.pdf"


@pytest.mark.parametrize(
    "form", [lambda part: part, lambda part: [part], str, json.dumps, lambda part: f"[{part}]"]
)
def test_a_part_of_a_stored_list_in_any_form(form: Any) -> None:
    part = ListSlice("0123456789abcdef" * 2, 128, 64)
    assert references(form(part.as_dict())) == [part]
    assert references([A, part, [part.as_dict()]]) == [DocumentRef(A), part, part]


def test_a_reference_to_a_list_that_is_none_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="names no stored list") as caught:
        references([{"document_list": "1", "first": 0, "count": 1}])
    assert caught.value.code is ErrorCode.DOCUMENT_LIST


def test_documents_of_stored_lists_come_in_their_place_and_again_in_a_retry(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    define_sqlite(monkeypatch, "results", tmp_path / "results.db")
    names = Names(prefix="scans_")
    stored = [DocumentRef(f"s3://b/{number}.pdf", "v") for number in range(10)]
    with closing(open_store("results", names=names)) as store:
        whole = DocumentLists(store.database).write(stored, "")
    given = [DocumentRef(A), *whole.parts(4)[1:], REF]
    for _ in range(2):
        assert listed_documents(given, "results", names) == [DocumentRef(A), *stored[4:], REF]
    with pytest.raises(ConfigurationError, match=f"no list of documents {whole.key}"):
        listed_documents(given, "results", Names())


def test_without_a_list_no_database_is_opened() -> None:
    assert listed_documents([REF], "no_such_connection", Names()) == [REF]
    with pytest.raises(ConfigurationError, match="no_such_connection"):
        listed_documents([ListSlice("0" * 32)], "no_such_connection", Names())
