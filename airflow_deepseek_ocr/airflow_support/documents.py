"""The documents of a task: references from whatever a template, an XCom or a DAG's author gives."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any

from airflow_deepseek_ocr.airflow_support.results_database import document_lists, open_store
from airflow_deepseek_ocr.connection import values
from airflow_deepseek_ocr.counted import counted
from airflow_deepseek_ocr.exceptions import ConfigurationError, ErrorCode
from airflow_deepseek_ocr.ocr.documents.reference import MAX_SIZE, DocumentRef
from airflow_deepseek_ocr.store.lists.list_slice import LIST_KEY, ListSlice
from airflow_deepseek_ocr.store.names import Names

log = logging.getLogger(__name__)

_NAME = "documents"
_VALID = 'URIs such as "s3://bucket/key", documents of the sensor, or lists of them'
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/\s].*|file:///.+", re.DOTALL)
#: The next URI in a text that holds several.
_NEXT_URI = re.compile(r"[,;\s]\s*[\"']?[A-Za-z][A-Za-z0-9+.-]*://")
#: Lists in lists: documents, batches, the batches of several sensors, and one more.
_MAX_DEPTH = 5
_TEXTS = ("uri", "version", "version_id", "etag")


def references(documents: Any) -> list[DocumentRef | ListSlice]:
    """Return the references of one document, a list of documents, or a list of batches.

    A dictionary of a sensor that names a part of a stored list is returned as such.

    A text may hold the list, in JSON or as a Python literal: this is what a template makes of a list without
    ``render_template_as_native_obj``.

    :param documents: URIs, absolute paths, dictionaries of the sensor, or collections of them.
    :raises ConfigurationError: ``document_reference`` for anything else; ``document_list``; ``argument`` for
        a template that was not rendered, or the text of a list that cannot be parsed.
    """
    return [_reference(each) for each in _flatten(documents, _MAX_DEPTH)]


def listed_documents(
    given: Sequence[DocumentRef | ListSlice], db_conn_id: str, names: Names
) -> list[DocumentRef]:
    """Return the documents, with those of stored lists in the place of the lists.

    :param given: the result of :func:`references`.
    :param db_conn_id: connection to the results database, which is opened only if a list is given.
    :param names: the names of its tables.
    :raises ConfigurationError: ``document_list`` if there is no such list; see :func:`open_store`.
    :raises DatabaseError: see :func:`open_store`.
    """
    documents = [each for each in given if isinstance(each, DocumentRef)]
    if len(documents) == len(given):
        return documents
    documents = []
    with closing(open_store(db_conn_id, names=names)) as store:
        lists = document_lists(store)
        for each in given:
            documents += [each] if isinstance(each, DocumentRef) else lists.read(each)
    keys = dict.fromkeys(each.key for each in given if isinstance(each, ListSlice))
    found = counted(len(documents), "document")
    log.info("%s of %s: %s.", found, counted(len(keys), "stored list"), ", ".join(islice(keys, 3)))
    return documents


def _flatten(value: Any, depth: int) -> Iterator[Any]:
    value = values.literal(_NAME, value) if _may_be_list(value) else value
    if isinstance(value, str | Mapping | DocumentRef | ListSlice | Path):
        yield value
    elif isinstance(value, Iterable) and not isinstance(value, bytes | bytearray) and depth > 0:
        for each in value:
            yield from _flatten(each, depth - 1)
    else:
        raise values.invalid(_NAME, value, _VALID, ErrorCode.DOCUMENT_REFERENCE)


def _may_be_list(value: Any) -> bool:
    return isinstance(value, str) and value.lstrip().startswith(("[", "{", "("))


def _reference(value: Any) -> DocumentRef | ListSlice:
    if isinstance(value, DocumentRef | ListSlice):
        return value
    if isinstance(value, Path):
        return DocumentRef(_uri(value.as_uri() if value.is_absolute() else str(value)))
    if isinstance(value, str):
        # Blanks at the end may belong to the key.
        return DocumentRef(_uri(values.rendered(_NAME, value).lstrip()))
    return ListSlice.of(value) if LIST_KEY in value else _of_dictionary(dict(value))


def _of_dictionary(value: dict[Any, Any]) -> DocumentRef:
    if value.get("version", "") is None:
        value["version"] = ""
    wrong = [
        name
        for name in _TEXTS
        if not isinstance(value.get(name, ""), str | None)
        or (name == "uri" and not _URI.fullmatch(value.get(name) or ""))
    ]
    size = value.get("size")
    if size is not None and not (type(size) is int and 0 <= size <= MAX_SIZE):
        wrong.append("size")
    if wrong:
        raise values.invalid(
            _NAME,
            value,
            f"{_VALID}; in this dictionary, {', '.join(wrong)} is missing or has no valid value",
            ErrorCode.DOCUMENT_REFERENCE,
        )
    return DocumentRef.of(value)


def _uri(text: str) -> str:
    if _NEXT_URI.search(text):
        raise ConfigurationError(
            ErrorCode.DOCUMENT_REFERENCE,
            f'{_NAME} has several URIs in one text, {text[:200]!r}; give a list: ["s3://b/1.pdf", "s3://b/2.pdf"].',
        )
    if not _URI.fullmatch(text):
        hint = (
            f"; for a file of the worker write {Path(text).as_uri()}"
            if text.startswith("/")
            else ""
        )
        raise values.invalid(_NAME, text, f"{_VALID}{hint}", ErrorCode.DOCUMENT_REFERENCE)
    bucket, slash, key = text.partition("://")[2].partition("/")
    if text[:5].lower() == "s3://" and not bucket.startswith("arn:") and not (slash and key):
        raise values.invalid(
            _NAME,
            text,
            "the URI of a document; for all documents of a bucket use s3_prefix",
            ErrorCode.DOCUMENT_REFERENCE,
        )
    return text
