"""One document, its pages and files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import text

from airflow_deepseek_ocr.plugins.results_page import documents
from airflow_deepseek_ocr.plugins.results_page.export_files import ExportFiles
from airflow_deepseek_ocr.store.browsing import exports
from airflow_deepseek_ocr.targets.address import parse_address
from tests.support.fixtures.shown_documents import add_export

Client = Callable[..., TestClient]


def test_a_document_with_its_pages_and_rights(client: Client, results: SimpleNamespace) -> None:
    address = f"/api/documents/{results.ids['invoice.pdf']}"
    found = client("VIEWER").get(address).json()
    assert found["document"]["uri"] == "s3://documents/2026/invoice.pdf"
    assert [each["status"] for each in found["pages"]] == ["ok", "failed", "ok"]
    assert found["pages"][1]["flags"] == ["ragged_table", "no_end_token"]
    assert [each["id"] for each in found["versions"]] == [results.ids["invoice.pdf"]]
    assert found["may_correct"] is False
    assert client("USER").get(address).json()["may_correct"] is True


def test_the_version_that_is_current_is_marked(client: Client, results: SimpleNamespace) -> None:
    invoice, long = results.ids["invoice.pdf"], results.ids["long.pdf"]
    with results.store.database.engine.begin() as connection:
        # It was stored in S3 before the other, and read after it.
        connection.execute(
            text(
                "UPDATE ocr_documents SET uri = 's3://documents/2026/invoice.pdf', "
                "last_modified = '2020-01-01 00:00:00' WHERE id = :id"
            ),
            {"id": long},
        )
    assert long > invoice
    for shown, is_current in ((invoice, True), (long, False)):
        found = client().get(f"/api/documents/{shown}").json()
        assert found["document"]["is_current"] is is_current
        assert {each["id"]: each["is_current"] for each in found["versions"]} == {
            invoice: True,
            long: False,
        }


def test_foreign_and_missing_documents_are_the_same(
    client: Client, results: SimpleNamespace
) -> None:
    foreign, missing = results.ids["secret.pdf"], 4711
    viewer = client("VIEWER")
    for rest in ("", "/pages/1", "/pages/1/picture", "/exports/1/file", "/markdown"):
        answers = [viewer.get(f"/api/documents/{each}{rest}") for each in (foreign, missing)]
        assert [each.status_code for each in answers] == [404, 404], rest
        assert answers[0].json() == answers[1].json()
    assert client("ADMIN").get(f"/api/documents/{foreign}").status_code == 200


def test_a_page_has_regions_and_attempts(client: Client, results: SimpleNamespace) -> None:
    page = client().get(f"/api/documents/{results.ids['invoice.pdf']}/pages/2").json()
    assert [each["label"] for each in page["regions"]] == [
        "title",
        "text",
        "table",
        "image",
        "equation",
    ]
    assert page["regions"][0]["html"] == "<h1>Invoice 4711</h1>\n"
    assert page["regions"][0]["boxes"] == [[80, 80, 620, 150]]
    assert "thanks.<br>" in page["regions"][1]["html"]
    assert [each["how"] for each in page["attempts"]] == ["small", "base"]
    assert page["has_picture"] is False
    missing = client().get(f"/api/documents/{results.ids['invoice.pdf']}/pages/9")
    assert missing.status_code == 404
    assert "Page 9" in missing.json()["detail"]


def test_only_so_much_text_of_a_page_is_rendered(
    client: Client, results: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(documents, "_MAX_RENDERED", 20)
    page = client().get(f"/api/documents/{results.ids['invoice.pdf']}/pages/1").json()
    assert page["regions"][0]["html"]
    assert page["regions"][2]["html"] is None
    assert page["regions"][2]["text"].startswith("<table>")


def test_only_for_so_long_a_page_is_rendered(
    client: Client, results: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(documents, "_RENDER_S", 0.0)
    page = client().get(f"/api/documents/{results.ids['invoice.pdf']}/pages/1").json()
    assert {page["html"], *(region["html"] for region in page["regions"])} == {None}
    assert page["markdown"]


def test_the_markdown_of_all_pages_is_a_download(
    client: Client, results: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(documents, "_PAGES_AT_A_TIME", 7)
    name = "letter (draft) 100%_a.tiff"
    one = client().get(f"/api/documents/{results.ids[name]}/markdown")
    assert one.headers["content-disposition"] == (
        "attachment; filename*=UTF-8''letter%20%28draft%29%20100%25_a.tiff.md"
    )
    assert one.text.startswith("# Invoice 4711\n\n")
    many = client().get(f"/api/documents/{results.ids['long.pdf']}/markdown").text
    assert many.count("# Invoice 4711") == 60


def test_pictures_and_exports_come_from_allowed_places_only(
    client: Client, results: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "exports"
    place.mkdir()
    (place / "page-0001.webp").write_bytes(b"picture")
    (place / "all.json").write_bytes(b"{}")
    (tmp_path / "airflow.cfg").write_bytes(b"secret")
    files = ExportFiles("aws_default", (parse_address(str(place)),))
    monkeypatch.setattr(documents, "_files", lambda: files)
    number = results.ids["invoice.pdf"]
    add_export(results.store, number, "webp", f"file://{place}/page-0001.webp", b"picture", 1)
    ids = [
        add_export(results.store, number, "json", f"file://{path}", b"{}")
        for path in (place / "all.json", place / ".." / "airflow.cfg", place / "missing.json")
    ]
    viewer, address = client(), f"/api/documents/{number}"
    assert viewer.get(f"{address}/pages/1").json()["has_picture"] is True
    picture = viewer.get(f"{address}/pages/1/picture")
    assert (picture.content, picture.headers["content-type"]) == (b"picture", "image/webp")
    assert "no-cache" in picture.headers["cache-control"]
    (place / "page-0001.webp").unlink()
    known = {"if-none-match": picture.headers["etag"]}
    assert viewer.get(f"{address}/pages/1/picture", headers=known).status_code == 304
    assert client(None).get(f"{address}/pages/1/picture", headers=known).status_code == 401
    assert [each["name"] for each in viewer.get(address).json()["exports"]] == [
        "all.json",
        "airflow.cfg",
        "missing.json",
    ]
    good, outside, missing = (viewer.get(f"{address}/exports/{each}/file") for each in ids)
    assert (good.status_code, good.content) == (200, b"{}")
    assert good.headers["content-disposition"] == "attachment; filename*=UTF-8''all.json"
    assert outside.status_code == 503
    assert "results_page_exports" in outside.json()["detail"]["message"]
    assert "secret" not in outside.text
    assert (missing.status_code, missing.json()["detail"]["code"]) == (404, "missing_file")
    # An export of another document, by its id.
    other = results.ids["scan.pdf"]
    assert viewer.get(f"/api/documents/{other}/exports/{ids[0]}/file").status_code == 404


@pytest.mark.parametrize(
    "media_type", ["text/html\r\nx-frame-options: none", "größe/€", "json", "a/b;charset=\x07", ""]
)
def test_no_row_writes_headers(
    client: Client,
    results: SimpleNamespace,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    media_type: str,
) -> None:
    (tmp_path / "a.json").write_bytes(b"{}")
    files = ExportFiles("aws_default", (parse_address(str(tmp_path)),))
    monkeypatch.setattr(documents, "_files", lambda: files)
    number = results.ids["invoice.pdf"]
    export = add_export(results.store, number, "json", f"file://{tmp_path}/a.json", b"{}")
    picture = add_export(results.store, number, "webp", f"file://{tmp_path}/a.json", b"{}", 1)
    with results.store.database.engine.begin() as connection:
        for column, value, row in (
            ("media_type", media_type, export),
            ("sha256", '€"\r\n', picture),
        ):
            statement = f"UPDATE ocr_exports SET {column} = :value WHERE id = :row"
            connection.execute(text(statement), {"value": value, "row": row})
    address = f"/api/documents/{number}"
    found = client().get(f"{address}/exports/{export}/file")
    assert (found.status_code, found.content) == (200, b"{}")
    assert found.headers["content-type"] == "application/octet-stream"
    shown = client().get(f"{address}/pages/1/picture")
    assert (shown.status_code, shown.headers["etag"]) == (200, '"%E2%82%AC%22%0D%0A"')


def test_a_page_with_many_figures_has_a_picture(
    client: Client, results: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exports, "MAX_FILES", 2)
    number = results.ids["invoice.pdf"]
    for name in ("a.webp", "b.webp", "c.webp"):
        add_export(results.store, number, "figures", f"s3://exports/{name}", b"", 1)
    add_export(results.store, number, "webp", "s3://exports/page-0001.webp", b"", 1)
    page = client().get(f"/api/documents/{number}/pages/1").json()
    assert [each["name"] for each in page["exports"]] == ["a.webp", "b.webp"]
    assert page["has_picture"] is True
