"""Messages pass through a pipe between two processes."""

from __future__ import annotations

from multiprocessing import Pipe
from pathlib import Path

import pytest

from airflow_deepseek_ocr.exceptions import DocumentError, ErrorCode
from airflow_deepseek_ocr.ocr.documents.limits import Limits
from airflow_deepseek_ocr.ocr.documents.page_selection import PageSelection
from airflow_deepseek_ocr.ocr.documents.text_layer import LayerLine, TextLayer
from airflow_deepseek_ocr.ocr.rendering.messages import Opened, OpenRequest, RenderedPage
from airflow_deepseek_ocr.ocr.results import Box

LAYER = TextLayer("a\ud800\0b", (LayerLine("a", Box((0, 0, 9, 9), (0, 0, 3, 3))),), 0.1, 0.2)


@pytest.mark.parametrize(
    "message",
    [
        OpenRequest(Path("/data/größe.pdf"), PageSelection.parse("2-"), 144, Limits(max_pages=3)),
        Opened("application/pdf", 3, (2, 3)),
        RenderedPage((640, 480), LAYER),
        RenderedPage((1, 1), None),
    ],
    ids=lambda message: type(message).__name__,
)
def test_a_message_arrives_as_it_was_sent(message: object) -> None:
    ours, theirs = Pipe()
    with ours, theirs:
        ours.send(message)
        assert theirs.recv() == message


def test_an_error_keeps_its_class_code_and_message() -> None:
    ours, theirs = Pipe()
    with ours, theirs:
        ours.send(DocumentError(ErrorCode.DAMAGED, "The PDF is damaged."))
        error = theirs.recv()
    assert (type(error), error.code, str(error)) == (
        DocumentError,
        ErrorCode.DAMAGED,
        "The PDF is damaged.",
    )
