"""Messages: each arrives as it was sent, and everything else is refused."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from airflow_deepseek_ocr.exceptions import DocumentError, ErrorCode
from airflow_deepseek_ocr.ocr.documents.page_selection import PageSelection
from airflow_deepseek_ocr.ocr.documents.text_layer import (
    MAX_LAYER_CHARACTERS,
    MAX_LAYER_LINES,
    LayerLine,
    TextLayer,
)
from airflow_deepseek_ocr.ocr.documents.unshown import (
    MAX_NAME,
    MAX_NAMES,
    AttachedFile,
    Attachments,
)
from airflow_deepseek_ocr.ocr.edge_density import MAP_SIZE, EdgeDensity
from airflow_deepseek_ocr.ocr.rendering.message_values import MessageError
from airflow_deepseek_ocr.ocr.rendering.messages import (
    MAX_MESSAGE_CHARACTERS,
    MAX_PAGE_COUNT,
    MAX_PAYLOAD_BYTES,
    Closed,
    CloseRequest,
    Extracted,
    ExtractRequest,
    Failed,
    Opened,
    OpenRequest,
    Probed,
    ProbeRequest,
    Ready,
    RenderedPage,
    RenderRequest,
    decode,
    encode,
)
from airflow_deepseek_ocr.ocr.rendering.sandbox.mode import SandboxReport
from airflow_deepseek_ocr.ocr.results import Box

LINE = LayerLine("größe", Box((0, 0, 999, 9), (0, 0, 640, 3)))
LAYER = TextLayer("größe\0\n日本", (LINE,), 0.1, 1.0)
RENDERED, FAILED, OPENED = 18, 21, 17
NONE = {"count": 0, "names": [], "are_documents": False}


@pytest.mark.parametrize(
    "message",
    [
        OpenRequest(PageSelection.parse("2-,7,3-5"), 144),
        OpenRequest(PageSelection(), 72),
        OpenRequest(PageSelection(), 72, text_layer=False, edge_density=False),
        OpenRequest(PageSelection(), 72, attachments=True),
        RenderRequest(3),
        ExtractRequest(2001),
        Extracted(0),
        CloseRequest(),
        ProbeRequest(),
        Ready(SandboxReport(7, ("seccomp filter: none",))),
        Opened("application/pdf", 3),
        Opened("application/pdf", 3, True, Attachments(200, ("a.pdf",) * MAX_NAMES, True)),
        Opened("application/pdf", 3, attached=(AttachedFile(1, "größe €.pdf"),) * MAX_NAMES),
        RenderedPage(1, (640, 480), LAYER, attached=(AttachedFile(1001, "a.png"),)),
        RenderedPage(1, (640, 480), LAYER),
        RenderedPage(2, (1, 1), None),
        RenderedPage(2, (1, 1), None, Attachments(1, ("größe €.pdf",))),
        RenderedPage(2, (1, 1), TextLayer("")),
        RenderedPage(2, (1, 1), None, edge_density=EdgeDensity(text_edges=3, edges=4)),
        Closed(),
        Probed(("TCP",), ("UDP", "netlink")),
        Failed(ErrorCode.DAMAGED, "The PDF is damaged."),
    ],
    ids=lambda message: type(message).__name__,
)
def test_a_message_arrives_as_it_was_sent(message: Any) -> None:
    assert decode(*encode(message)) == message


def test_names_of_attached_files_are_cleaned_by_the_parent_too() -> None:
    values = attached(count=1, names=["../a\nERROR\u202e.pdf"])
    found = decode(OPENED, json.dumps(values).encode()).attachments
    assert found.names == ("a ERROR .pdf",)


def test_a_map_of_edges_arrives_as_it_was_sent() -> None:
    edges = np.arange(MAP_SIZE * MAP_SIZE).reshape(MAP_SIZE, MAP_SIZE)
    sent = RenderedPage(
        1, (9, 9), None, edge_density=EdgeDensity(text_edges=3, edges=4, edge_map=edges)
    )
    received = decode(*encode(sent)).edge_density.edge_map
    assert (received == edges).all()
    assert received.sum() == edges.sum()


def test_a_failure_is_the_documents_error() -> None:
    error = Failed(ErrorCode.DAMAGED, "The PDF is damaged.").error()
    assert (type(error), error.code, str(error)) == (
        DocumentError,
        ErrorCode.DAMAGED,
        "The PDF is damaged.",
    )


def test_long_and_unprintable_messages_are_shortened_and_cleaned() -> None:
    sent = Failed(ErrorCode.DAMAGED, "a\x1b[31m\n\0" + "b" * 5000)
    received = decode(*encode(sent))
    assert len(received.message) == MAX_MESSAGE_CHARACTERS
    assert received.message.startswith("a [31m  bbb")


def test_text_that_has_no_encoding_is_replaced_by_the_sender() -> None:
    layer = TextLayer("a\ud800b")
    assert decode(*encode(RenderedPage(1, (9, 9), layer))).text_layer.text == "a?b"


def test_the_largest_layer_fits_into_a_message() -> None:
    share = MAX_LAYER_CHARACTERS // MAX_LAYER_LINES
    box = Box((999, 999, 999, 999), (1 << 30,) * 4)
    lines = (LayerLine("\0" * share, box),) * MAX_LAYER_LINES
    layer = TextLayer("\0" * MAX_LAYER_CHARACTERS, lines, 1 / 3, 2 / 3)
    kind, payload = encode(RenderedPage(MAX_PAGE_COUNT, (1 << 30, 1 << 30), layer))
    assert len(payload) < MAX_PAYLOAD_BYTES
    assert decode(kind, payload).text_layer == layer


def page(**changes: Any) -> dict[str, Any]:
    usual = {"number": 1, "size": [64, 64], "text_layer": None, "attachments": NONE}
    usual |= {"edge_density": None, "attached": [], "dpi": 0, "channels": 3}
    return usual | {"line_direction": None} | changes


def density(**changes: Any) -> dict[str, Any]:
    usual = {"text_edges": 1, "edges": 1, "is_dark": False, "print_height": 9.5, "edge_map": None}
    return page(edge_density=usual | changes)


def opened(**changes: Any) -> dict[str, Any]:
    values = {"media_type": "image/png", "page_count": 1, "dynamic_form": False}
    return values | {"attachments": NONE, "attached": []} | changes


def attached(**changes: Any) -> dict[str, Any]:
    return opened(attachments=NONE | changes)


def layer(**changes: Any) -> dict[str, Any]:
    return page(text_layer={"text": "a", "lines": [], "unmapped": 0.0, "invisible": 0.0} | changes)


def line(*, words: Any = "a", normalized: Any = (0, 0, 1, 1), pixels: Any = (0, 0, 1, 1)) -> Any:
    return layer(lines=[[words, normalized, pixels]])


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (0, {}),
        (19, {"more": 1}),
        (19, []),
        (19, None),
        (OPENED, {"media_type": "image/png", "page_count": 1}),
        (OPENED, opened(page_count=0)),
        (OPENED, opened(page_count=MAX_PAGE_COUNT + 1)),
        (OPENED, opened(page_count=1.0)),
        (OPENED, opened(media_type=1)),
        (OPENED, opened(media_type="x" * 1000)),
        (OPENED, opened(dynamic_form=1)),
        (OPENED, opened(attachments=None)),
        (OPENED, attached(count=-1)),
        (OPENED, attached(count=1 << 40)),
        (OPENED, attached(names=["a"])),
        (OPENED, attached(count=200, names=["a"] * (MAX_NAMES + 1))),
        (OPENED, attached(count=1, names=["x" * (MAX_NAME + 1)])),
        (OPENED, attached(count=1, names=[None])),
        (OPENED, attached(are_documents="yes")),
        (OPENED, attached(more=1)),
        (RENDERED, page(attachments=[])),
        (FAILED, {"code": "no_such_code", "message": ""}),
        (FAILED, {"code": "damaged", "message": "x" * (MAX_MESSAGE_CHARACTERS + 1)}),
        (FAILED, {"code": None, "message": ""}),
        (RENDERED, page(number=0)),
        (RENDERED, page(number=True)),
        (RENDERED, page(number="1")),
        (RENDERED, page(size=[0, 1])),
        (RENDERED, page(size=[-1, -1])),
        (RENDERED, page(size=[1])),
        (RENDERED, page(size=[1, 1, 1])),
        (RENDERED, page(size=[1, 1 << 32])),
        (RENDERED, page(size={"0": 1, "1": 1})),
        (RENDERED, page(text_layer=[])),
        (RENDERED, page(pixels=1)),
        (RENDERED, page(line_direction="up")),
        (RENDERED, page(line_direction=1)),
        (RENDERED, page(channels=0)),
        (RENDERED, page(channels=2)),
        (RENDERED, page(channels=4)),
        (RENDERED, page(channels=True)),
        (RENDERED, page(edge_density={"text_edges": 1, "edges": 1})),
        (RENDERED, density(text_edges=-1)),
        (RENDERED, density(edges=1.0)),
        (RENDERED, density(is_dark=1)),
        (RENDERED, density(print_height=9)),
        (RENDERED, density(print_height=0.0)),
        (RENDERED, density(print_height=1e12)),
        (RENDERED, density(edge_map="")),
        (RENDERED, density(edge_map="AAAA")),
        (RENDERED, density(edge_map="?" * 26_668)),
        (RENDERED, density(edge_map="A" * 30_000)),
        (RENDERED, layer(text=None)),
        (RENDERED, layer(text="a" * (MAX_LAYER_CHARACTERS + 1))),
        (RENDERED, layer(lines=[["a", [0, 0, 1, 1], [0, 0, 1, 1]]] * (MAX_LAYER_LINES + 1))),
        (RENDERED, layer(unmapped=0)),
        (RENDERED, layer(unmapped=-0.1)),
        (RENDERED, layer(invisible=1.1)),
        (RENDERED, line(words=1)),
        (RENDERED, line(words="a" * (MAX_LAYER_CHARACTERS + 1))),
        (RENDERED, line(normalized=[0, 0, 1000, 1])),
        (RENDERED, line(normalized=[0, 0, 1])),
        (RENDERED, line(pixels=[0, 0, 65, 1])),
        (RENDERED, line(pixels=[0, 0, 1, 65])),
        (RENDERED, line(pixels=[-1, 0, 1, 1])),
        (RENDERED, line(pixels=[2, 0, 1, 1])),
        (RENDERED, line(pixels=[0, 2, 1, 1])),
        (RENDERED, line(pixels=[0, 0.5, 1, 1])),
        (RENDERED, layer(lines=[["a", [0, 0, 1, 1]]])),
        (16, {"landlock": -1, "missing": []}),
        (16, {"landlock": 1, "missing": ["x" * 1000]}),
        (16, {"landlock": 1, "missing": ["x"] * 1000}),
        (20, {"allowed": "all", "refused": []}),
        (1, {"ranges": [[1]], "dpi": 72}),
        (1, {"ranges": [[0, 1]], "dpi": 72}),
        (1, {"ranges": [], "dpi": 0}),
        (2, {"number": -1}),
    ],
)
def test_a_message_that_breaks_the_rules_is_refused(kind: int, values: Any) -> None:
    with pytest.raises(MessageError):
        decode(kind, json.dumps(values).encode())


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"{",
        b"\xff",
        b"[" * 200_000,
        b'{"number": NaN}',
        b'{"number": ' + b"1" * 5000 + b"}",
        b'{"number": 1, "number": 1, "size": [1, 1], "text_layer": null, "attachments": null}',
        json.dumps(layer(text="\ud800")).encode(),
        json.dumps(layer(unmapped=float("nan"))).encode(),
        json.dumps(layer(unmapped=1e999)).encode(),
        b'{"number": 1, "size": [1, 1], "text_layer": null} {}',
    ],
    ids=lambda payload: payload[:30].decode("latin-1"),
)
def test_a_payload_that_is_no_strict_json_is_refused(payload: bytes) -> None:
    with pytest.raises(MessageError):
        decode(RENDERED, payload)
