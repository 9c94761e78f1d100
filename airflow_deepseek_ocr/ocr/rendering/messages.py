"""Messages between the renderer and its child process: JSON of fixed fields, checked strictly.

The child decodes hostile files, so its answers are hostile too. No class, code or path travels in a message.
An answer with an unknown field, a value of another type, a number out of range or a text that is too long is
refused. Pixels are not part of a message; their number follows from the size of the page.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn, TypeAlias

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
    NO_ATTACHMENTS,
    Attachments,
    clean_name,
)
from airflow_deepseek_ocr.ocr.rendering.sandbox.mode import SandboxReport
from airflow_deepseek_ocr.ocr.results import MAX_COORDINATE, Box

#: Largest payload in bytes. Twice :data:`MAX_LAYER_CHARACTERS`, for the text and its lines, at six bytes for
#: an escaped character, 80 bytes for the box of each line, and the names of attached files take 3 MB.
MAX_PAYLOAD_BYTES = 4 << 20

#: Characters of an error's message, at most; the child shortens longer ones.
MAX_MESSAGE_CHARACTERS = 2000

#: Pages of a document, at most: PDFium's own limit (``CPDF_Document::kPageMaxNum``).
MAX_PAGE_COUNT = 0xFFFFF

#: Items of a report, and characters of each, at most; there are about ten.
_MAX_ITEMS, _MAX_ITEM_CHARACTERS = 100, 300

#: Numbers above are no page, size or coordinate.
_MAX_NUMBER = 1 << 31


class MessageError(Exception):
    """A message that breaks the rules of this module."""


@dataclass(frozen=True)
class OpenRequest:
    """Request to open a document; the child closes the one that is open.

    The file travels as an open descriptor beside the message.

    :param selection: the pages to read.
    :param dpi: resolution for rendering PDF pages, in dpi.
    """

    selection: PageSelection
    dpi: int


@dataclass(frozen=True)
class RenderRequest:
    """Request to render a page of the open document.

    :param number: from 1.
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
    """

    media_type: str
    page_count: int
    dynamic_form: bool = False
    attachments: Attachments = NO_ATTACHMENTS


@dataclass(frozen=True)
class RenderedPage:
    """Answer to a :class:`RenderRequest`, sent after the pixels were written to the shared memory file.

    :param number: the page.
    :param size: width and height in pixels; a pixel has three bytes (RGB).
    :param text_layer: see :class:`~airflow_deepseek_ocr.ocr.documents.base.Page`.
    :param attachments: files attached to the page.
    """

    number: int
    size: tuple[int, int]
    text_layer: TextLayer | None
    attachments: Attachments = NO_ATTACHMENTS


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


Request: TypeAlias = OpenRequest | RenderRequest | CloseRequest | ProbeRequest
Answer: TypeAlias = Ready | Opened | RenderedPage | Closed | Probed | Failed


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
        values = json.loads(payload, parse_constant=_refuse, object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise MessageError(f"no JSON: {type(error).__name__}") from None
    return _KINDS[kind][1](values)


def _values(message: Request | Answer) -> dict[str, Any]:
    match message:
        case OpenRequest(selection, dpi):
            return {"ranges": selection.ranges, "dpi": dpi}
        case RenderRequest(number):
            return {"number": number}
        case Ready(report):
            return {"landlock": report.landlock, "missing": report.missing}
        case Opened():
            return vars(message) | {"attachments": vars(message.attachments)}
        case RenderedPage(number, size, layer, attachments):
            return {
                "number": number,
                "size": size,
                "text_layer": layer and _layer_values(layer),
                "attachments": vars(attachments),
            }
        case Probed(allowed, refused):
            return {"allowed": allowed, "refused": refused}
        case Failed(code, text):
            return {"code": code.value, "message": text[:MAX_MESSAGE_CHARACTERS]}
    return {}


def _layer_values(layer: TextLayer) -> dict[str, Any]:
    lines = [(line.text, line.box.normalized, line.box.pixels) for line in layer.lines]
    return {
        "text": layer.text,
        "lines": lines,
        "unmapped": layer.unmapped,
        "invisible": layer.invisible,
    }


def _open_request(values: Any) -> OpenRequest:
    ranges, dpi = _fields(values, "ranges", "dpi")
    pairs = []
    for pair in _list(ranges, MAX_PAYLOAD_BYTES):
        first, last = _list(pair, 2, exactly=True)
        pairs.append((_number(first, 1), None if last is None else _number(last, 1)))
    return OpenRequest(PageSelection(tuple(pairs)), _number(dpi, 1))


def _render_request(values: Any) -> RenderRequest:
    (number,) = _fields(values, "number")
    return RenderRequest(_number(number, 1))


def _ready(values: Any) -> Ready:
    landlock, missing = _fields(values, "landlock", "missing")
    return Ready(SandboxReport(_number(landlock, 0), _items(missing)))


def _opened(values: Any) -> Opened:
    media_type, page_count, dynamic_form, attachments = _fields(
        values, "media_type", "page_count", "dynamic_form", "attachments"
    )
    return Opened(
        _text(media_type, _MAX_ITEM_CHARACTERS),
        _number(page_count, 1, MAX_PAGE_COUNT),
        _truth(dynamic_form),
        _attachments(attachments),
    )


def _rendered(values: Any) -> RenderedPage:
    number, size, layer, attachments = _fields(
        values, "number", "size", "text_layer", "attachments"
    )
    width, height = (_number(side, 1) for side in _list(size, 2, exactly=True))
    return RenderedPage(
        _number(number, 1),
        (width, height),
        None if layer is None else _layer(layer, (width, height)),
        _attachments(attachments),
    )


def _attachments(values: Any) -> Attachments:
    count, names, are_documents = _fields(values, "count", "names", "are_documents")
    names = [_text(name, MAX_NAME) for name in _list(names, MAX_NAMES)]
    # The child's names are cleaned again: they become lines of a log and values of a row.
    return Attachments(
        _number(count, len(names)), tuple(map(clean_name, names)), _truth(are_documents)
    )


def _layer(values: Any, size: tuple[int, int]) -> TextLayer:
    text, lines, unmapped, invisible = _fields(values, "text", "lines", "unmapped", "invisible")
    found, left = [], MAX_LAYER_CHARACTERS
    for line in _list(lines, MAX_LAYER_LINES):
        words, normalized, pixels = _list(line, 3, exactly=True)
        words = _text(words, left)
        left -= len(words)
        normalized = _box(normalized, (MAX_COORDINATE, MAX_COORDINATE))
        found.append(LayerLine(words, Box(normalized, _box(pixels, size))))
    return TextLayer(
        text=_text(text, MAX_LAYER_CHARACTERS),
        lines=tuple(found),
        unmapped=_share(unmapped),
        invisible=_share(invisible),
    )


def _probed(values: Any) -> Probed:
    allowed, refused = _fields(values, "allowed", "refused")
    return Probed(_items(allowed), _items(refused))


def _failed(values: Any) -> Failed:
    code, message = _fields(values, "code", "message")
    message = _text(message, MAX_MESSAGE_CHARACTERS)
    try:
        known = ErrorCode(_text(code, _MAX_ITEM_CHARACTERS))
    except ValueError:
        raise MessageError("an unknown error code") from None
    # Messages become lines of a log and values of a row.
    return Failed(known, "".join(each if each.isprintable() else " " for each in message))


def _fields(values: Any, *names: str) -> list[Any]:
    if type(values) is not dict or values.keys() != set(names):
        raise MessageError(f"not the fields {', '.join(names) or '(none)'}")
    return [values[name] for name in names]


def _list(value: Any, most: int, *, exactly: bool = False) -> list[Any]:
    if type(value) is not list or len(value) > most or (exactly and len(value) != most):
        raise MessageError(f"no list of {'' if exactly else 'at most '}{most}")
    return value


def _items(value: Any) -> tuple[str, ...]:
    return tuple(_text(item, _MAX_ITEM_CHARACTERS) for item in _list(value, _MAX_ITEMS))


def _text(value: Any, most: int) -> str:
    if type(value) is not str or len(value) > most:
        raise MessageError(f"no text of at most {most} characters")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise MessageError("a text with a lone surrogate") from None
    return value


def _number(value: Any, least: int, most: int = _MAX_NUMBER) -> int:
    if type(value) is not int or not least <= value <= most:
        raise MessageError(f"no whole number from {least} to {most}")
    return value


def _truth(value: Any) -> bool:
    if type(value) is not bool:
        raise MessageError("neither true nor false")
    return value


def _share(value: Any) -> float:
    if type(value) is not float or not 0 <= value <= 1:
        raise MessageError("no share from 0 to 1")
    return value


def _box(value: Any, size: tuple[int, int]) -> tuple[int, int, int, int]:
    left, top, right, bottom = _list(value, 4, exactly=True)
    return (
        _number(left, 0, size[0]),
        _number(top, 0, size[1]),
        _number(right, left, size[0]),
        _number(bottom, top, size[1]),
    )


def _refuse(constant: str) -> NoReturn:
    raise MessageError(f"the constant {constant}")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) != len(pairs):
        raise MessageError("a repeated field")
    return values


def _empty(kind: type[Any]) -> Callable[[Any], Any]:
    def decoded(values: Any) -> Any:
        _fields(values)
        return kind()

    return decoded


#: The number of each kind of message in its header, its class, and its decoder.
_KINDS: dict[int, tuple[type[Any], Callable[[Any], Any]]] = {
    1: (OpenRequest, _open_request),
    2: (RenderRequest, _render_request),
    3: (CloseRequest, _empty(CloseRequest)),
    4: (ProbeRequest, _empty(ProbeRequest)),
    16: (Ready, _ready),
    17: (Opened, _opened),
    18: (RenderedPage, _rendered),
    19: (Closed, _empty(Closed)),
    20: (Probed, _probed),
    21: (Failed, _failed),
}
