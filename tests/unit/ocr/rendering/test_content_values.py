"""Parts of messages: what a child may say about the content of a document."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_deepseek_ocr.ocr.documents.unshown import AttachedFile, Attachments
from airflow_deepseek_ocr.ocr.edge_density import EdgeDensity
from airflow_deepseek_ocr.ocr.rendering.content_values import (
    as_attached,
    as_attachments,
    as_density,
    as_layer,
    attached_values,
    density_values,
)
from airflow_deepseek_ocr.ocr.rendering.message_values import MessageError


def sent(values: Any) -> Any:
    return json.loads(json.dumps(values))


def test_attached_files_arrive_with_clean_names() -> None:
    files = (AttachedFile(1, "a.pdf"), AttachedFile(2001, "b.png"))
    assert as_attached(sent(attached_values(files))) == files
    assert as_attached([[1, "../x\n.pdf"]]) == (AttachedFile(1, "x .pdf"),)


@pytest.mark.parametrize(
    "values",
    [None, {}, [1], [[1]], [[0, "a"]], [[True, "a"]], [[1, 2]], [[1, "a" * 256]], [[1, "a"]] * 101],
)
def test_other_attached_files_are_refused(values: Any) -> None:
    with pytest.raises(MessageError):
        as_attached(values)


def test_a_summary_counts_at_least_the_names() -> None:
    values = {"count": 2, "names": ["a", "b"], "are_documents": True}
    assert as_attachments(values) == Attachments(2, ("a", "b"), are_documents=True)
    with pytest.raises(MessageError):
        as_attachments(values | {"count": 1})


def test_a_density_without_a_map_arrives() -> None:
    density = EdgeDensity(text_edges=3, edges=5, is_dark=True, print_height=12.5)
    assert as_density(sent(density_values(density))) == density
    assert vars(density).keys() == density_values(density).keys()
    with pytest.raises(MessageError):
        as_density(density_values(density) | {"edge_map": "no map"})


def test_a_layer_outside_the_page_is_refused() -> None:
    line = ["word", [0, 0, 9, 9], [0, 0, 9, 99]]
    values = {"text": "word", "lines": [line], "unmapped": 0.0, "invisible": 0.0}
    assert as_layer(values, (10, 100)).text == "word"
    with pytest.raises(MessageError):
        as_layer(values, (10, 10))
