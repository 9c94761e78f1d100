"""Messages between the renderer and its child process: JSON of fixed fields, checked strictly.

The child decodes hostile files, so its answers are hostile too. No class, code or path travels in a message.
An answer with an unknown field, a value of another type, a number out of range or a text that is too long is
refused. Pixels are not part of a message; their number follows from the size of the page.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from airflow_deepseek_ocr.exceptions import DocumentError, ErrorCode
from airflow_deepseek_ocr.ocr.documents.page_selection import PageSelection
from airflow_deepseek_ocr.ocr.documents.text_layer import TextLayer
from airflow_deepseek_ocr.ocr.documents.unshown import (
    NO_ATTACHMENTS,
    AttachedFile,
    Attachments,
)
from airflow_deepseek_ocr.ocr.edge_density import EdgeDensity
from airflow_deepseek_ocr.ocr.line_direction import LineDirection
from airflow_deepseek_ocr.ocr.page_pixels import COLOR
from airflow_deepseek_ocr.ocr.rendering.content_values import (
    as_attached,
    as_attachments,
    as_channels,
    as_density,
    as_direction,
    as_layer,
    attached_values,
    density_values,
    layer_values,
)
from airflow_deepseek_ocr.ocr.rendering.conversions.requests import (
    AddTextRequest,
    PictureRequest,
    as_add_text_request,
    as_picture_request,
)
from airflow_deepseek_ocr.ocr.rendering.message_values import (
    MAX_ITEM_CHARACTERS,
    MessageError,
    as_fields,
    as_flag,
    as_items,
    as_list,
    as_number,
    as_text,
    refuse_constant,
    unique,
)
from airflow_deepseek_ocr.ocr.rendering.sandbox.mode import SandboxReport

#: Largest payload in bytes. Twice :data:`MAX_LAYER_CHARACTERS`, for the text and its lines, at six bytes for
#: an escaped character, 80 bytes for the box of each line, and the names of attached files take 3 MB.
MAX_PAYLOAD_BYTES = 4 << 20

#: Characters of an error's message, at most; the child shortens longer ones.
MAX_MESSAGE_CHARACTERS = 2000

#: Pages of a document, at most: PDFium's own limit (``CPDF_Document::kPageMaxNum``).
MAX_PAGE_COUNT = 0xFFFFF


@dataclass(frozen=True)
class OpenRequest:
    """Request to open a document; the child closes the one that is open.

    The file travels as an open descriptor beside the message.

    :param selection: the pages to read.
    :param dpi: resolution for rendering PDF pages, in dpi.
    :param text_layer: whether pages get their text layer.
    :param edge_density: whether the edges of pages are measured.
    :param line_direction: whether the direction of lines of text is found.
    :param attachments: whether attached documents are read, too.
    """

    selection: PageSelection
    dpi: int
    text_layer: bool = True
    edge_density: bool = True
    line_direction: bool = True
    attachments: bool = False


@dataclass(frozen=True)
class RenderRequest:
    """Request to render a page of the open document; a memory file for the pixels travels with it.

    :param number: from 1.
    """

    number: int


@dataclass(frozen=True)
class ExtractRequest:
    """Request for the content of an attached file; a memory file for it travels with it.

    :param number: see :class:`~airflow_deepseek_ocr.ocr.documents.unshown.AttachedFile`.
    """

    number: int


@dataclass(frozen=True)
class CloseRequest:
    """Request to close the open document."""


@dataclass(frozen=True)
class ProbeRequest:
    """Request to try forbidden actions; see :mod:`.sandbox.probes`."""


@dataclass(frozen=True)
class Ready:
    """First message of a child.

    :param sandbox: the restrictions that hold.
    """

    sandbox: SandboxReport


@dataclass(frozen=True)
class Opened:
    """Answer to an :class:`OpenRequest`.

    :param media_type: see :class:`~airflow_deepseek_ocr.ocr.documents.base.Document`.
    :param page_count: number of pages in the file.
    :param dynamic_form: see the same class.
    :param attachments: see the same class.
    :param attached: see the same class.
    """

    media_type: str
    page_count: int
    dynamic_form: bool = False
    attachments: Attachments = NO_ATTACHMENTS
    attached: tuple[AttachedFile, ...] = ()


@dataclass(frozen=True)
class RenderedPage:
    """Answer to a :class:`RenderRequest`, sent after the pixels were written to the request's memory file.

    :param number: the page.
    :param size: width and height in pixels.
    :param text_layer: see :class:`~airflow_deepseek_ocr.ocr.documents.base.Page`.
    :param attachments: files attached to the page.
    :param edge_density: the measure of the page's image.
    :param attached: see the same class.
    :param dpi: see the same class.
    :param channels: channels of a pixel; see :mod:`~airflow_deepseek_ocr.ocr.page_pixels`.
    :param line_direction: the direction of the page's lines of text.
    """

    number: int
    size: tuple[int, int]
    text_layer: TextLayer | None
    attachments: Attachments = NO_ATTACHMENTS
    edge_density: EdgeDensity | None = None
    attached: tuple[AttachedFile, ...] = ()
    dpi: int = 0
    channels: int = COLOR
    line_direction: LineDirection | None = None


@dataclass(frozen=True)
class Extracted:
    """Answer to an :class:`ExtractRequest` or :class:`AddTextRequest`.

    It is sent after the content was written to the request's memory file.

    :param size: in bytes.
    """

    size: int


@dataclass(frozen=True)
class Closed:
    """Answer to a :class:`CloseRequest`."""


@dataclass(frozen=True)
class Probed:
    """Answer to a :class:`ProbeRequest`.

    :param allowed: the forbidden actions that succeeded.
    :param refused: those that were refused.
    """

    allowed: tuple[str, ...]
    refused: tuple[str, ...]


@dataclass(frozen=True)
class Failed:
    """Answer to a request that failed.

    :param code: the cause.
    :param message: the event and its remedy.
    """

    code: ErrorCode
    message: str

    def error(self) -> DocumentError:
        """Return the error that the document or page gets."""
        return DocumentError(self.code, self.message)


_PAGE_FIELDS = (
    *("number", "size", "channels", "text_layer", "attachments"),
    *("edge_density", "attached", "dpi", "line_direction"),
)

Request: TypeAlias = (
    OpenRequest
    | RenderRequest
    | ExtractRequest
    | AddTextRequest
    | PictureRequest
    | CloseRequest
    | ProbeRequest
)
Answer: TypeAlias = Ready | Opened | RenderedPage | Extracted | Closed | Probed | Failed


def encode(message: Request | Answer) -> tuple[int, bytes]:
    """Return the kind and the payload of a message."""
    kind = next(number for number, (known, _) in _KINDS.items() if isinstance(message, known))
    text = json.dumps(_values(message), ensure_ascii=False, allow_nan=False)
    # Lone surrogates have no encoding; decoders that produce them produce garbage.
    return kind, text.encode("utf-8", "replace")


def decode(kind: int, payload: bytes) -> Any:
    """Return the message.

    :raises MessageError: the message breaks the rules of this module.
    """
    if kind not in _KINDS:
        raise MessageError(f"kind {kind}")
    try:
        values = json.loads(payload, parse_constant=refuse_constant, object_pairs_hook=unique)
    except (ValueError, RecursionError) as error:
        raise MessageError(f"no JSON: {type(error).__name__}") from None
    return _KINDS[kind][1](values)


def _values(message: Request | Answer) -> dict[str, Any]:
    match message:
        case OpenRequest(selection):
            return {name: value for name, value in vars(message).items() if name != "selection"} | {
                "ranges": selection.ranges
            }
        case AddTextRequest() | PictureRequest():
            return dict(vars(message))
        case RenderRequest(number) | ExtractRequest(number):
            return {"number": number}
        case Ready(report):
            return {"landlock": report.landlock, "missing": report.missing}
        case Opened():
            return vars(message) | {
                "attachments": vars(message.attachments),
                "attached": attached_values(message.attached),
            }
        case RenderedPage(
            number, size, layer, attachments, density, attached, dpi, channels, direction
        ):
            return {
                "number": number,
                "size": size,
                "channels": channels,
                "line_direction": direction and direction.value,
                "text_layer": layer and layer_values(layer),
                "edge_density": density and density_values(density),
                "attachments": vars(attachments),
                "attached": attached_values(attached),
                "dpi": dpi,
            }
        case Extracted(size):
            return {"size": size}
        case Probed(allowed, refused):
            return {"allowed": allowed, "refused": refused}
        case Failed(code, text):
            return {"code": code.value, "message": text[:MAX_MESSAGE_CHARACTERS]}
    return {}


def _open_request(values: Any) -> OpenRequest:
    ranges, dpi, *flags = as_fields(
        values, "ranges", "dpi", "text_layer", "edge_density", "line_direction", "attachments"
    )
    pairs = []
    for pair in as_list(ranges, MAX_PAYLOAD_BYTES):
        first, last = as_list(pair, 2, exactly=True)
        pairs.append((as_number(first, 1), None if last is None else as_number(last, 1)))
    return OpenRequest(PageSelection(tuple(pairs)), as_number(dpi, 1), *map(as_flag, flags))


def _ready(values: Any) -> Ready:
    landlock, missing = as_fields(values, "landlock", "missing")
    return Ready(SandboxReport(as_number(landlock, 0), as_items(missing)))


def _opened(values: Any) -> Opened:
    media_type, page_count, dynamic_form, attachments, attached = as_fields(
        values, "media_type", "page_count", "dynamic_form", "attachments", "attached"
    )
    return Opened(
        as_text(media_type, MAX_ITEM_CHARACTERS),
        as_number(page_count, 1, MAX_PAGE_COUNT),
        as_flag(dynamic_form),
        as_attachments(attachments),
        as_attached(attached),
    )


def _rendered(values: Any) -> RenderedPage:
    number, size, channels, layer, attachments, density, attached, dpi, direction = as_fields(
        values, *_PAGE_FIELDS
    )
    width, height = (as_number(side, 1) for side in as_list(size, 2, exactly=True))
    return RenderedPage(
        as_number(number, 1),
        (width, height),
        None if layer is None else as_layer(layer, (width, height)),
        as_attachments(attachments),
        None if density is None else as_density(density),
        as_attached(attached),
        as_number(dpi, 0),
        as_channels(channels),
        None if direction is None else as_direction(direction),
    )


def _probed(values: Any) -> Probed:
    allowed, refused = as_fields(values, "allowed", "refused")
    return Probed(as_items(allowed), as_items(refused))


def _failed(values: Any) -> Failed:
    code, message = as_fields(values, "code", "message")
    message = as_text(message, MAX_MESSAGE_CHARACTERS)
    try:
        known = ErrorCode(as_text(code, MAX_ITEM_CHARACTERS))
    except ValueError:
        raise MessageError("an unknown error code") from None
    # Messages become lines of a log and values of a row.
    return Failed(known, "".join(each if each.isprintable() else " " for each in message))


def _of_number(kind: type[Any], field: str, least: int) -> Callable[[Any], Any]:
    def decoded(values: Any) -> Any:
        (number,) = as_fields(values, field)
        return kind(as_number(number, least))

    return decoded


def _empty(kind: type[Any]) -> Callable[[Any], Any]:
    def decoded(values: Any) -> Any:
        as_fields(values)
        return kind()

    return decoded


#: The number of each kind of message in its header, its class, and its decoder.
_KINDS: dict[int, tuple[type[Any], Callable[[Any], Any]]] = {
    1: (OpenRequest, _open_request),
    2: (RenderRequest, _of_number(RenderRequest, "number", 1)),
    3: (CloseRequest, _empty(CloseRequest)),
    4: (ProbeRequest, _empty(ProbeRequest)),
    5: (ExtractRequest, _of_number(ExtractRequest, "number", 1)),
    6: (AddTextRequest, as_add_text_request),
    7: (PictureRequest, as_picture_request),
    16: (Ready, _ready),
    17: (Opened, _opened),
    18: (RenderedPage, _rendered),
    19: (Closed, _empty(Closed)),
    20: (Probed, _probed),
    21: (Failed, _failed),
    22: (Extracted, _of_number(Extracted, "size", 0)),
}
