"""DoclingDocument JSON."""

from __future__ import annotations

import json

import pytest

from airflow_deepseek_ocr.ocr.exports.docling import docling_json
from tests.support.exported import TABLE, document, page, region, sample


def everything() -> str:
    return docling_json(
        document(
            *sample().pages,
            page(
                3,
                region(1, "## Part", (0, 0, 9, 9), label="sub_title"),
                region(2, f"{TABLE}\n{TABLE}", (0, 10, 90, 90), label="table"),
                region(3, "Fig. 1", (0, 10, 90, 90), label="image", description="A chart"),
            ),
        )
    )


def test_items_are_in_reading_order_with_their_places() -> None:
    stored = json.loads(everything())
    order = [each["$ref"] for each in stored["body"]["children"]]
    assert order[:3] == ["#/texts/0", "#/tables/0", "#/pictures/0"]
    title = stored["texts"][0]
    assert (title["label"], title["text"], title["self_ref"]) == ("title", "Order 7", "#/texts/0")
    assert title["prov"][0]["bbox"] == {
        "l": 20.0,
        "t": 20.0,
        "r": 220.0,
        "b": 50.0,
        "coord_origin": "TOPLEFT",
    }
    table = stored["tables"][0]["data"]
    assert (table["num_rows"], table["num_cols"]) == (2, 2)
    assert [cell["text"] for cell in table["table_cells"]] == ["Item", "EUR", "Paper", "1,50"]
    assert table["table_cells"][0]["column_header"] is True
    assert [each["text"] for each in stored["texts"]] == ["Order 7", "Part", "Fig. 1"]
    assert set(stored["pages"]) == {"1", "2", "3"}


@pytest.mark.slow
def test_docling_core_reads_it() -> None:
    docling_core = pytest.importorskip("docling_core.types.doc")
    loaded = docling_core.DoclingDocument.model_validate_json(everything())
    assert len(loaded.tables) == 3
    assert "Order 7" in loaded.export_to_markdown()
    loaded._validate_rules()
