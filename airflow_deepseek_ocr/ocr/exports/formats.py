"""The formats of exports: their names, what they are made of, and their media types."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path

from airflow_deepseek_ocr.exceptions import ConfigurationError, ErrorCode, MissingExtraError


class Format(StrEnum):
    """A format; ``ocr_exports.kind`` has its name."""

    MARKDOWN = "markdown"
    TEXT = "text"
    JSON = "json"
    JSONL = "jsonl"
    REGIONS_JSONL = "regions_jsonl"
    CSV = "csv"
    PDF = "pdf"
    HOCR = "hocr"
    ALTO = "alto"
    DOCLING = "docling"
    FIGURES = "figures"
    OVERLAY = "overlay"
    WEBP = "webp"


#: The kind of the file that lists the others; it is written last.
MANIFEST = "manifest"

#: Formats that are made with the pictures of pages, and so with the original.
WITH_PICTURES = frozenset(
    {Format.PDF, Format.HOCR, Format.ALTO, Format.FIGURES, Format.OVERLAY, Format.WEBP}
)
#: Formats in which words have places on the page.
WITH_WORDS = frozenset({Format.PDF, Format.HOCR, Format.ALTO})

#: Formats that another one refers to.
_NEEDS = {Format.MARKDOWN: (Format.FIGURES,)}
#: Name of all formats together.
ALL = "all"


@dataclass(frozen=True)
class ExportFile:
    """A file of an export.

    :param format: its format.
    :param name: its name in the directory of the document, with ``/``.
    :param media_type: its media type.
    :param content: its bytes, or a local file that has them.
    :param page_number: the page, for formats with files for each page.
    """

    format: Format
    name: str
    media_type: str
    content: bytes | Path
    page_number: int | None = None


def parse_formats(names: Sequence[str]) -> tuple[Format, ...]:
    """Return formats in their usual order, each once, with those that others refer to.

    :param names: names of formats; ``all`` for each of them.
    :raises ConfigurationError: ``export_format``.
    """
    wanted = set()
    for name in names:
        if name == ALL:
            wanted |= set(Format)
            continue
        try:
            chosen = Format(name)
        except ValueError:
            raise ConfigurationError(
                ErrorCode.EXPORT_FORMAT,
                f"{name!r} is no format of exports. Choose from: {', '.join(Format)}, {ALL}.",
            ) from None
        wanted |= {chosen, *_NEEDS.get(chosen, ())}
    return tuple(each for each in Format if each in wanted)


def require_packages(formats: Sequence[Format]) -> None:
    """Raise unless the packages are installed that formats need.

    :raises MissingExtraError: ``missing_extra``.
    """
    if Format.PDF in formats and find_spec("pikepdf") is None:
        raise MissingExtraError(package="pikepdf", extra="exports")
