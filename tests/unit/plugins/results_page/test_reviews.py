"""Corrections and acceptance of pages by people."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from types import SimpleNamespace
from typing import Any

import pytest
from fastapi.testclient import TestClient

from airflow_deepseek_ocr.plugins.results_page import database

Client = Callable[..., TestClient]


def put(client: TestClient, address: str, page: dict[str, Any], **body: Any) -> Any:
    body = {"page_created_at": page["created_at"], "seen_at": page.get("reviewed_at"), **body}
    return client.put(address, json=body, headers={"sec-fetch-site": "same-origin"})


def test_corrections_stay_beside_the_models_text(client: Client, results: SimpleNamespace) -> None:
    user, address = client("USER"), f"/api/documents/{results.ids['invoice.pdf']}/pages/2"
    before = user.get(address).json()
    answer = put(user, f"{address}/regions/0/review", before, text="# Invoice 4712")
    assert answer.status_code == 200, answer.text
    page = user.get(address).json()
    region = page["regions"][0]
    assert region["text"] == "# Invoice 4711"
    assert region["html"] == "<h1>Invoice 4712</h1>\n"
    assert region["reviewed_by"] == page["reviewed_by"] == "a user"
    assert page["reviewed_text"].startswith("# Invoice 4712\n\nReceived")
    assert user.get("/api/documents", params={"q": "4712", "in_text": True}).json()["documents"]
    # The page has left the queue, and has its text in the download.
    assert len(user.get("/api/queue").json()["pages"]) == 1
    download = user.get(f"/api/documents/{results.ids['invoice.pdf']}/markdown").text
    assert "Invoice 4712" in download
    # Another person saw the page before.
    stale = put(user, f"{address}/regions/0/review", before, text="late")
    assert stale.status_code == 409
    assert stale.json()["detail"]["code"] == "review_conflict"
    answer = put(
        user,
        f"{address}/regions/0/review",
        {**page, **region, "created_at": page["created_at"]},
        text=None,
    )
    assert answer.status_code == 200, answer.text
    assert user.get(address).json()["reviewed_text"] is None


def test_a_page_is_corrected_as_a_whole_and_accepted(
    client: Client, results: SimpleNamespace
) -> None:
    user, address = client("USER"), f"/api/documents/{results.ids['invoice.pdf']}/pages/2"
    page = user.get(address).json()
    assert put(user, f"{address}/acceptance", page, accepted=True).json()["accepted_by"] == "a user"
    assert put(user, f"{address}/acceptance", page, accepted=False).json()["accepted_by"] is None
    assert put(user, f"{address}/review", page, text="All *new*").status_code == 200
    assert user.get(address).json()["html"] == "<p>All <em>new</em></p>\n"


def test_a_correction_does_not_wait_for_a_task_that_writes(
    client: Client, results: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "_LOCK_WAIT_S", 0.1)
    user, address = client("USER"), f"/api/documents/{results.ids['invoice.pdf']}/pages/2"
    page = user.get(address).json()
    with closing(sqlite3.connect(results.file, isolation_level=None)) as task:
        task.execute("BEGIN IMMEDIATE")
        answers = [
            put(user, f"{address}/review", page, text="new"),
            put(user, f"{address}/regions/0/review", page, text="new"),
            put(user, f"{address}/acceptance", page, accepted=True),
        ]
        task.execute("ROLLBACK")
    assert [answer.status_code for answer in answers] == [423] * 3
    detail = answers[0].json()["detail"]
    assert detail["code"] == "database_busy"
    assert "Nothing was changed" in detail["message"]
    assert "Try again in a few seconds" in detail["message"]
    assert put(user, f"{address}/review", page, text="new").status_code == 200


def test_only_who_may_correct_does(client: Client, results: SimpleNamespace) -> None:
    address = f"/api/documents/{results.ids['invoice.pdf']}/pages/1"
    page = client("VIEWER").get(address).json()
    body = {"accepted": True, "page_created_at": page["created_at"]}
    assert client(None).put(f"{address}/acceptance", json=body).status_code in (401, 403)
    assert put(client("VIEWER"), f"{address}/acceptance", page, accepted=True).status_code == 403
    foreign = f"/api/documents/{results.ids['secret.pdf']}/pages/1"
    assert put(client("USER"), f"{foreign}/acceptance", page, accepted=True).status_code == 404
    for where in ("pages/9/acceptance", "pages/9/review"):
        missing = f"/api/documents/{results.ids['invoice.pdf']}/{where}"
        assert put(client("USER"), missing, page, accepted=True, text="a").status_code == 404
    assert put(client("USER"), f"{address}/regions/99/review", page, text="a").status_code == 404


def test_changes_of_other_sites_and_long_texts_are_refused(
    client: Client, results: SimpleNamespace
) -> None:
    user, address = client("USER"), f"/api/documents/{results.ids['invoice.pdf']}/pages/1"
    page = user.get(address).json()
    body = {"text": "a", "page_created_at": page["created_at"]}
    for site in ("cross-site", "same-site"):
        headers = {"sec-fetch-site": site}
        assert user.put(f"{address}/review", json=body, headers=headers).status_code == 403
    form = {"content-type": "application/x-www-form-urlencoded"}
    assert user.put(f"{address}/review", content="text=a", headers=form).status_code == 415
    assert put(user, f"{address}/review", page, text="a" * 1_000_001).status_code == 422
    assert user.get(address).json()["reviewed_text"] is None
