"""ALTO."""

from __future__ import annotations

from xml.etree import ElementTree as Xml

from airflow_deepseek_ocr.ocr.exports.alto import NAMESPACE, alto_page
from airflow_deepseek_ocr.ocr.exports.word_places import place_words
from tests.support.exported import document, page, region, sample

N = f"{{{NAMESPACE}}}"


def test_elements_have_the_order_and_attributes_that_the_schema_requires() -> None:
    first = sample().pages[0]
    root = Xml.fromstring(alto_page(sample(), first, place_words(first, None)))
    assert root.get("SCHEMAVERSION") == "4.4"
    assert [each.tag for each in root] == [f"{N}Description", f"{N}Tags", f"{N}Layout"]
    assert [each.tag.removeprefix(N) for each in root[0]] == [
        "MeasurementUnit",
        "sourceImageInformation",
        "Processing",
    ]
    assert [each.tag.removeprefix(N) for each in root[0][2]] == [
        "processingStepDescription",
        "processingStepSettings",
        "processingSoftware",
    ]
    space = root.find(f"{N}Layout/{N}Page/{N}PrintSpace")
    assert space is not None
    assert [each.tag.removeprefix(N) for each in space] == [
        "TextBlock",
        "TextBlock",
        "Illustration",
    ]
    for each in space.iter():
        if each.tag != f"{N}SP":
            assert {"HPOS", "VPOS", "WIDTH", "HEIGHT"} <= set(each.keys())
    line = space.find(f"{N}TextBlock/{N}TextLine")
    assert line is not None
    assert [each.tag.removeprefix(N) for each in line] == ["String", "SP", "String"]
    assert root.find(f"{N}Layout/{N}Page").get("PC") == "0.9000"  # type: ignore[union-attr]
    identities = [each.get("ID") for each in root.iter() if each.get("ID")]
    assert len(identities) == len(set(identities))
    tags = {each.get("ID") for each in root.iter(f"{N}StructureTag")}
    assert {each.get("TAGREFS") for each in space if each.get("TAGREFS")} <= tags


def test_words_have_their_confidence_and_turned_blocks_their_rotation() -> None:
    turned = page(1, region(1, "a\x00", (10, 20, 30, 60), word_confidences=(87,)), rotation=270)
    root = Xml.fromstring(alto_page(document(turned), turned, place_words(turned, None)))
    block, string = root.find(f".//{N}TextBlock"), root.find(f".//{N}String")
    assert block is not None
    assert string is not None
    assert (block.get("ROTATION"), string.get("WC")) == ("270", "0.87")
    assert string.get("CONTENT") == "a\ufffd"
    assert [string.get(name) for name in ("HPOS", "VPOS", "WIDTH", "HEIGHT")] == [
        "10",
        "20",
        "20",
        "40",
    ]


def test_a_rejected_page_has_no_blocks() -> None:
    rejected = sample().pages[1]
    root = Xml.fromstring(alto_page(sample(), rejected, place_words(rejected, None)))
    assert root.find(f".//{N}TextBlock") is None
    assert root.find(f".//{N}PrintSpace") is not None
