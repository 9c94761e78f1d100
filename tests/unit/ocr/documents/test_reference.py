"""References to versions of documents."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from airflow_deepseek_ocr.exceptions import ConfigurationError, ErrorCode
from airflow_deepseek_ocr.ocr.documents.reference import DocumentRef, digest
from airflow_deepseek_ocr.ocr.documents.unshown import AttachedFile


def test_a_reference_survives_an_xcom() -> None:
    ref = DocumentRef("s3://b/k", "v1", "v1", "etag", 3, datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))
    stored = json.loads(json.dumps(ref.as_dict()))
    assert stored["last_modified"] == "2026-01-02T03:04:05+00:00"
    assert DocumentRef.of(stored) == ref


def test_a_reference_with_nul_survives_a_database_that_refuses_it() -> None:
    ref = DocumentRef("s3://b/a\0b%00 +#\ufffd.pdf", "v")
    stored = json.dumps(ref.as_dict())
    assert r"\u0000" not in stored
    assert json.loads(stored)["uri"] == "s3://b/a\ufffdb%00 +#\ufffd.pdf"
    assert DocumentRef.of(json.loads(stored)) == ref
    # It is another spelling of the URI, and no second one.
    other = ref.as_dict() | {"encoded_uri": "s3%3A//other/a.pdf"}
    assert DocumentRef.of(other).uri == other["uri"]
    assert "encoded_uri" not in DocumentRef("s3://b/a.pdf").as_dict()


def test_a_uri_or_a_reference_is_a_reference() -> None:
    ref = DocumentRef("file:///data/letter.pdf")
    assert DocumentRef.of("file:///data/letter.pdf") == ref
    assert DocumentRef.of(ref) is ref
    assert (ref.version, ref.etag, ref.size, ref.last_modified) == ("", None, None, None)


def test_unknown_fields_are_ignored() -> None:
    assert DocumentRef.of({"uri": "s3://b/k", "bucket": "b"}) == DocumentRef("s3://b/k")


@pytest.mark.parametrize(
    "wrong", ["no uri", 7, None, {"key": "x"}, {"uri": 7}, ["s3://b/k"]], ids=repr
)
def test_other_values_are_no_reference(wrong: Any) -> None:
    with pytest.raises(ConfigurationError, match="s3://bucket/key") as caught:
        DocumentRef.of(wrong)
    assert caught.value.code is ErrorCode.DOCUMENT_REFERENCE


def test_a_wrong_date_is_no_reference() -> None:
    with pytest.raises(ConfigurationError, match="yesterday") as caught:
        DocumentRef.of({"uri": "s3://b/k", "last_modified": "yesterday"})
    assert caught.value.code is ErrorCode.DOCUMENT_REFERENCE


def test_the_unversioned_document_has_only_its_uri() -> None:
    assert DocumentRef("s3://b/k", "v", "v", "e", 3).unversioned() == DocumentRef("s3://b/k")


def test_the_key_depends_on_uri_and_version_only() -> None:
    ref = DocumentRef("s3://b/k", "v", etag="e")
    assert ref.version_key == DocumentRef("s3://b/k", "v", size=3).version_key
    assert ref.version_key == digest("s3://b/k", "v")
    assert len(ref.version_key) == 64
    others = (DocumentRef("s3://b/k"), DocumentRef("s3://b/k", "w"), DocumentRef("s3://b/l", "v"))
    assert len({ref.version_key, *(each.version_key for each in others)}) == 4


def test_digests_separate_their_parts_and_accept_any_name() -> None:
    assert digest("ab", "c") != digest("a", "bc")
    assert len(digest("file:///\udcff.pdf")) == 64, "names of files need not be UTF-8"


def test_a_name_that_is_not_utf_8_is_percent_encoded_everywhere() -> None:
    ref = DocumentRef.of("file:///data/caf\udce9.pdf")
    assert ref.uri == "file:///data/caf%E9.pdf"
    assert ref == DocumentRef("file:///data/caf%E9.pdf")
    assert ref.unversioned().uri == DocumentRef.of(ref.as_dict()).uri == ref.uri
    json.dumps(ref.as_dict(), ensure_ascii=False).encode("utf-8")
    assert ref.version_key == DocumentRef("file:///data/caf%E9.pdf").version_key


def test_attached_files_have_uri_and_version_of_their_container() -> None:
    container = DocumentRef(
        "s3://b/k#attachment=x.pdf", "v1", "v1", "e1", 3, datetime(2026, 1, 2, tzinfo=UTC)
    )
    assert (container.container, container.depth, container.root) == (None, 0, container)
    names = ["a.pdf", "a.pdf", "ä#&=%.png"]
    files = [AttachedFile(number, name) for number, name in enumerate(names, 1)]
    refs = container.attachments(files)
    assert [ref.uri.removeprefix(container.uri) for ref in refs] == [
        "#attachment=a.pdf",
        "#attachment=a.pdf&number=2",
        "#attachment=%C3%A4%23%26%3D%25.png",
    ]
    assert [(ref.version, ref.version_id, ref.etag) for ref in refs] == [
        (f"v1#attachment={number}", f"v1#attachment={number}", f"e1#attachment={number}")
        for number in (1, 2, 3)
    ]
    (deep,) = refs[1].attachments([AttachedFile(3007, "b.png")], page=3)
    assert deep.uri.endswith("#attachment=a.pdf&number=2#attachment=b.png&page=3")
    assert (deep.depth, deep.attachment_number) == (2, 3007)
    assert deep.container == refs[1]
    assert deep.root == replace(container, size=None)
    assert deep.unversioned() == DocumentRef(container.uri)
    assert DocumentRef.of(json.loads(json.dumps(deep.as_dict()))) == deep


def test_a_key_with_the_mark_is_no_attached_file() -> None:
    uri = "s3://b/k.pdf#attachment=1.pdf"
    for version in ("", "e1", "sha256:0", "#attachment=x"):
        assert DocumentRef(uri, version).container is None
    assert DocumentRef(uri, "e1").unversioned() == DocumentRef(uri)
    assert DocumentRef("s3://b/k.pdf", "e#attachment=1").container is None
