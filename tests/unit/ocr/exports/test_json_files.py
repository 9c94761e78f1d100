"""JSON and JSON Lines."""

from __future__ import annotations

import json

from airflow_deepseek_ocr.ocr.exports.json_files import document_json, pages_jsonl, regions_jsonl
from tests.support.exported import document, page, region, sample


def test_json_has_all_pages_and_no_rejected_text() -> None:
    stored = json.loads(document_json(sample()))
    assert stored["uri"] == "s3://inbox/2026/letter 1.pdf"
    assert [each["status"] for each in stored["pages"]] == ["ok", "failed"]
    assert stored["pages"][0]["regions"][0]["boxes"] == [[20, 20, 220, 50]]
    assert stored["pages"][1] | {"markdown": "", "regions": []} == stored["pages"][1]


def test_a_line_for_each_page_has_id_text_and_flat_metadata() -> None:
    first, second = map(json.loads, pages_jsonl(sample()).splitlines())
    assert first["id"] == "s3://inbox/2026/letter 1.pdf#page=1"
    assert first["text"].startswith("# Order 7")
    assert (first["metadata"]["file_name"], first["metadata"]["score"]) == ("letter 1.pdf", 0.9)
    assert (second["text"], second["metadata"]["status"]) == ("", "failed")


def test_a_line_for_each_region_with_text() -> None:
    lines = [json.loads(line) for line in regions_jsonl(sample()).splitlines()]
    assert [line["text"] for line in lines] == ["Order 7", "Item\tEUR\nPaper\t1,50"]
    assert lines[0]["id"].endswith("#page=1&region=1")


def test_separators_of_unicode_do_not_end_a_line() -> None:
    text = "a\u2028b\u2029c\x85d"
    written = pages_jsonl(document(page(1, region(1, text))))
    assert len(written.splitlines()) == 1
    assert json.loads(written)["text"] == text
