"""Parts of messages that describe the content of a page or document, as JSON and checked."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from typing import Any

import numpy as np

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
    clean_name,
)
from airflow_deepseek_ocr.ocr.edge_density import MAP_SIZE, EdgeDensity
from airflow_deepseek_ocr.ocr.line_direction import LineDirection
from airflow_deepseek_ocr.ocr.page_pixels import COLOR, GREY
from airflow_deepseek_ocr.ocr.rendering.message_values import (
    MAX_ITEM_CHARACTERS,
    MessageError,
    as_box,
    as_fields,
    as_flag,
    as_height,
    as_list,
    as_number,
    as_share,
    as_text,
)
from airflow_deepseek_ocr.ocr.results import MAX_COORDINATE, Box

#: Numbers of an edge map: a field of an image of 1280 x 1280 has at most 169 edges.
_MAP_TYPE = np.dtype("<u2")
_MAP_CHARACTERS = -(-MAP_SIZE * MAP_SIZE * _MAP_TYPE.itemsize // 3) * 4


def layer_values(layer: TextLayer) -> dict[str, Any]:
    """Return a text layer as JSON."""
    lines = [(line.text, line.box.normalized, line.box.pixels) for line in layer.lines]
    return {
        "text": layer.text,
        "lines": lines,
        "unmapped": layer.unmapped,
        "invisible": layer.invisible,
    }


def density_values(density: EdgeDensity) -> dict[str, Any]:
    """Return a measure of edges as JSON."""
    edges = density.edge_map
    encoded = None
    if edges is not None:
        encoded = base64.b64encode(edges.astype(_MAP_TYPE).tobytes()).decode()
    return vars(density) | {"edge_map": encoded}


def attached_values(attached: Iterable[AttachedFile]) -> list[Any]:
    """Return attached files as JSON."""
    return [(file.number, file.name) for file in attached]


def as_layer(values: Any, size: tuple[int, int]) -> TextLayer:
    """Return a text layer.

    :raises MessageError: it breaks the rules.
    """
    text, lines, unmapped, invisible = as_fields(values, "text", "lines", "unmapped", "invisible")
    found, left = [], MAX_LAYER_CHARACTERS
    for line in as_list(lines, MAX_LAYER_LINES):
        words, normalized, pixels = as_list(line, 3, exactly=True)
        words = as_text(words, left)
        left -= len(words)
        normalized = as_box(normalized, (MAX_COORDINATE, MAX_COORDINATE))
        found.append(LayerLine(words, Box(normalized, as_box(pixels, size))))
    return TextLayer(
        text=as_text(text, MAX_LAYER_CHARACTERS),
        lines=tuple(found),
        unmapped=as_share(unmapped),
        invisible=as_share(invisible),
    )


def as_density(values: Any) -> EdgeDensity:
    """Return a measure of edges.

    :raises MessageError: it breaks the rules.
    """
    text_edges, edges, is_dark, height, encoded = as_fields(
        values, "text_edges", "edges", "is_dark", "print_height", "edge_map"
    )
    edge_map = None
    if encoded is not None:
        try:
            content = base64.b64decode(as_text(encoded, _MAP_CHARACTERS), validate=True)
            edge_map = np.frombuffer(content, _MAP_TYPE).reshape(MAP_SIZE, MAP_SIZE)
        except ValueError:
            raise MessageError("no edge map") from None
    return EdgeDensity(
        text_edges=as_number(text_edges, 0),
        edges=as_number(edges, 0),
        is_dark=as_flag(is_dark),
        print_height=None if height is None else as_height(height),
        edge_map=edge_map,
    )


def as_attachments(values: Any) -> Attachments:
    """Return the summary of attached files.

    :raises MessageError: it breaks the rules.
    """
    count, names, are_documents = as_fields(values, "count", "names", "are_documents")
    names = [as_text(name, MAX_NAME) for name in as_list(names, MAX_NAMES)]
    # The child's names are cleaned again: they become lines of a log and values of a row.
    return Attachments(
        as_number(count, len(names)), tuple(map(clean_name, names)), as_flag(are_documents)
    )


def as_attached(values: Any) -> tuple[AttachedFile, ...]:
    """Return attached files.

    :raises MessageError: it breaks the rules.
    """
    files = [as_list(file, 2, exactly=True) for file in as_list(values, MAX_NAMES)]
    # The names become URIs.
    return tuple(
        AttachedFile(as_number(number, 1), clean_name(as_text(name, MAX_NAME)))
        for number, name in files
    )


def as_direction(value: Any) -> LineDirection:
    """Return the direction of a page's lines.

    :raises MessageError: it is something else.
    """
    try:
        return LineDirection(as_text(value, MAX_ITEM_CHARACTERS))
    except ValueError:
        raise MessageError("an unknown direction") from None


def as_channels(value: Any) -> int:
    """Return the number of channels of a page's pixels.

    :raises MessageError: it is something else.
    """
    channels = as_number(value, GREY, COLOR)
    if channels not in (GREY, COLOR):
        raise MessageError("two channels")
    return channels
