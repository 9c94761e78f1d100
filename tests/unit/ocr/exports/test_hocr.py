"""hOCR."""

from __future__ import annotations

import re
from xml.etree import ElementTree as Xml

from airflow_deepseek_ocr.ocr.exports.hocr import hocr_document, hocr_page
from airflow_deepseek_ocr.ocr.exports.word_places import place_words
from tests.support.exported import document, page, region, sample

XHTML = "{http://www.w3.org/1999/xhtml}"


def parsed(*pages: str) -> Xml.Element:
    return Xml.fromstring(hocr_document(sample(), pages))


def of_class(root: Xml.Element, name: str) -> list[Xml.Element]:
    return [each for each in root.iter() if each.get("class") == name]


def test_pages_blocks_lines_and_words_have_boxes_within_each_other() -> None:
    first = sample().pages[0]
    root = parsed(hocr_page(sample(), first, place_words(first, None)))
    assert root.find(f"{XHTML}head/{XHTML}meta[@name='ocr-system']") is not None
    assert [each.get("title") for each in of_class(root, "ocr_page")] == [
        'bbox 0 0 400 300; ppageno 0; image "letter 1.pdf"'
    ]
    words = of_class(root, "ocrx_word")
    assert [each.text for each in words][:3] == ["Order", "7", "Item"]
    assert len(of_class(root, "ocr_photo")) == 1
    assert len(of_class(root, "ocr_carea")) == 2
    for line in of_class(root, "ocr_line"):
        outer = list(map(int, re.findall(r"\d+", line.get("title", ""))))
        for word in line:
            inner = list(map(int, re.findall(r"\d+", word.get("title", ""))))
            assert outer[0] <= inner[0] < inner[2] <= outer[2]
    assert len({each.get("id") for each in root.iter() if each.get("id")}) == 6


def test_words_have_their_confidence_and_turned_lines_their_angle() -> None:
    turned = page(
        1, region(1, "a", (10, 20, 30, 60), word_confidences=(87,)), rotation=90, markdown="a"
    )
    root = parsed(hocr_page(document(turned), turned, place_words(turned, None)))
    (line,), (word,) = of_class(root, "ocr_line"), of_class(root, "ocrx_word")
    assert line.get("title", "").endswith("; textangle 90")
    assert word.get("title") == "bbox 10 20 30 60; x_wconf 87"


def test_hostile_text_is_text() -> None:
    text = "<script>alert(1)</script> & \x00 ' \" </span>"
    bad = page(1, region(1, text, (0, 0, 90, 20)))
    hostile = document(bad, uri='s3://b/"><script>.pdf')
    part = hocr_page(hostile, bad, place_words(bad, None))
    root = Xml.fromstring(hocr_document(hostile, [part]))
    assert not [each for each in root.iter() if each.tag.endswith("script")]
    assert "\ufffd" in {each.text for each in of_class(root, "ocrx_word")}
