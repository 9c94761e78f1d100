"""One document, its pages and regions."""

from __future__ import annotations

from types import SimpleNamespace

from airflow_deepseek_ocr.store.browsing import details


def test_a_document_and_its_pages(shown: SimpleNamespace) -> None:
    number = shown.ids["invoice.pdf"]
    document = details.find_document(shown.session, shown.rows, number)
    assert document is not None
    assert document["status"] == "partial"
    assert details.find_document(shown.session, shown.rows, 4711) is None
    pages = details.pages(shown.session, shown.rows, number)
    assert [(each["page_number"], each["flags"]) for each in pages] == [
        (1, []),
        (2, ["ragged_table", "no_end_token"]),
        (3, []),
    ]
    versions = details.versions(shown.session, shown.rows, document["uri"])
    assert [each["id"] for each in versions] == [number]


def test_a_page_with_regions_in_order(shown: SimpleNamespace) -> None:
    page = details.find_page(shown.session, shown.rows, shown.ids["invoice.pdf"], 2)
    assert page is not None
    assert [each["label"] for each in page["regions"]] == [
        "title",
        "text",
        "table",
        "image",
        "equation",
    ]
    assert page["regions"][0]["boxes"] == [[80, 80, 620, 150]]
    assert [each["how"] for each in page["attempts"]] == ["small", "base"]
    assert details.find_page(shown.session, shown.rows, shown.ids["invoice.pdf"], 4) is None


def test_texts_of_pages_take_what_a_person_corrected(shown: SimpleNamespace) -> None:
    number = shown.ids["long.pdf"]
    page = shown.rows.page
    texts = details.page_texts(shown.session, shown.rows, number, after=58, limit=5)
    assert [each for each, _ in texts] == [59, 60]
    with shown.session.begin_nested() as corrected:
        shown.session.query(page).filter_by(document_id=number, page_number=59).update(
            {"reviewed_text": "corrected"}
        )
        texts = details.page_texts(shown.session, shown.rows, number, after=58, limit=1)
        assert texts == [(59, "corrected")]
        corrected.rollback()
