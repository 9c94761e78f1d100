"""ALTO 4.4: XML with the places of blocks, lines and words, one file for each page."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from xml.etree import ElementTree as Xml

from airflow_deepseek_ocr import __version__
from airflow_deepseek_ocr.ocr.exports.characters import replace_forbidden
from airflow_deepseek_ocr.ocr.exports.exported import (
    ExportedDocument,
    ExportedPage,
    ExportedRegion,
    PixelBox,
    enclosing,
)
from airflow_deepseek_ocr.ocr.exports.word_places import PlacedLine
from airflow_deepseek_ocr.ocr.page_turns import upright_box

NAMESPACE, SCHEMA_VERSION = "http://www.loc.gov/standards/alto/ns-v4#", "4.4"
_STEP = (
    "Blocks are the model's. Places of lines and words are computed from the print in each block and the "
    "lengths of the words."
)


def alto_page(document: ExportedDocument, page: ExportedPage, lines: Sequence[PlacedLine]) -> bytes:
    """Return the file of a page.

    :param lines: its lines, on the page turned by ``page.rotation``.
    """
    root = Xml.Element("alto", {"xmlns": NAMESPACE, "SCHEMAVERSION": SCHEMA_VERSION})
    _describe(root, document)
    labels = {region.label for region in page.shown_regions}
    tags = {label: f"tag_{number}" for number, label in enumerate(sorted(labels), start=1)}
    if tags:
        parent = Xml.SubElement(root, "Tags")
        for label, identity in tags.items():
            Xml.SubElement(
                parent, "StructureTag", ID=identity, LABEL=replace_forbidden(label) or "-"
            )
    attributes = {"ID": f"page_{page.number}", "PHYSICAL_IMG_NR": str(page.number)}
    size = {"WIDTH": str(page.width), "HEIGHT": str(page.height)}
    if page.confidence is not None:
        attributes["PC"] = f"{page.confidence:.4f}"
    layout = Xml.SubElement(Xml.SubElement(root, "Layout"), "Page", attributes | size)
    space = Xml.SubElement(layout, "PrintSpace", {"HPOS": "0", "VPOS": "0"} | size)
    written = {
        position: list(group) for position, group in groupby(lines, key=lambda line: line.region)
    }
    for region in page.shown_regions:
        if region.boxes:
            _block(space, page, region, tags[region.label], written.get(region.position, []))
    Xml.indent(root, " ")
    content: bytes = Xml.tostring(root, encoding="utf-8", xml_declaration=True)
    return content + b"\n"


def _describe(root: Xml.Element, document: ExportedDocument) -> None:
    description = Xml.SubElement(root, "Description")
    Xml.SubElement(description, "MeasurementUnit").text = "pixel"
    source = Xml.SubElement(description, "sourceImageInformation")
    Xml.SubElement(source, "fileName").text = replace_forbidden(document.name)
    Xml.SubElement(source, "fileIdentifier").text = replace_forbidden(document.uri)
    processing = Xml.SubElement(description, "Processing", ID="processing_1")
    Xml.SubElement(processing, "processingStepDescription").text = _STEP
    settings = f"model {document.model} {document.revision}, prompt {document.prompt}"
    Xml.SubElement(processing, "processingStepSettings").text = replace_forbidden(settings)
    software = Xml.SubElement(processing, "processingSoftware")
    Xml.SubElement(software, "softwareName").text = "airflow-deepseek-ocr"
    Xml.SubElement(software, "softwareVersion").text = __version__


def _block(
    space: Xml.Element,
    page: ExportedPage,
    region: ExportedRegion,
    tag: str,
    lines: Sequence[PlacedLine],
) -> None:
    place = _place(enclosing(region.boxes))
    identity = f"region_{page.number}_{region.position}"
    if region.is_picture:
        Xml.SubElement(space, "Illustration", {"ID": identity, "TAGREFS": tag} | place)
        return
    attributes = {"ID": identity, "TAGREFS": tag} | place
    if page.rotation:
        attributes["ROTATION"] = str(
            page.rotation
        )  # counterclockwise, as the text lies on the page
    block = Xml.SubElement(space, "TextBlock", attributes)
    for number, line in enumerate(lines, start=1):
        element = Xml.SubElement(
            block,
            "TextLine",
            {"ID": f"line_{page.number}_{region.position}_{number}"} | _upright(page, line.box),
        )
        for position, word in enumerate(line.words):
            if position:
                Xml.SubElement(element, "SP")
            string = {"CONTENT": replace_forbidden(word.text)} | _upright(page, word.box)
            if word.confidence is not None:
                string["WC"] = f"{word.confidence / 100:.2f}"
            Xml.SubElement(element, "String", string)


def _upright(page: ExportedPage, box: PixelBox) -> dict[str, str]:
    return _place(upright_box(box, page.rotation, (page.width, page.height)))


def _place(box: PixelBox) -> dict[str, str]:
    x1, y1, x2, y2 = box
    return {
        "HPOS": str(x1),
        "VPOS": str(y1),
        "WIDTH": str(x2 - x1),
        "HEIGHT": str(y2 - y1),
    }
