"""Errors as responses, and changes that another site asks for."""

from __future__ import annotations

import pytest
from fastapi import HTTPException, Request

from airflow_deepseek_ocr.exceptions import DatabaseError, ErrorCode
from airflow_deepseek_ocr.plugins.results_page.requests import clear_errors, require_own_page

JSON = {"content-type": "application/json; charset=utf-8"}


def request(**headers: str) -> Request:
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "headers": raw})


def status(**headers: str) -> int:
    try:
        require_own_page(request(**headers))
    except HTTPException as error:
        return error.status_code
    return 200


def test_changes_come_from_the_own_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://airflow.example/base")
    json = {"content_type": "application/json; charset=utf-8", "host": "proxy:8080"}
    assert status(**json, sec_fetch_site="same-origin") == 200
    for site in ("cross-site", "same-site", "none"):
        assert status(**json, sec_fetch_site=site) == 403
    assert status(**json, origin="http://proxy:8080") == 200
    assert status(**json, origin="https://airflow.example") == 200
    assert status(**json, origin="https://evil.example") == 403
    assert status(**json, origin="null") == 403
    assert status(**json) == 200
    for kind in ("text/plain", "application/x-www-form-urlencoded", ""):
        assert status(content_type=kind, sec_fetch_site="same-origin") == 415


@pytest.mark.parametrize(
    ("code", "expected"), [(ErrorCode.DATABASE_SLOW, 504), (ErrorCode.DATABASE_UNAVAILABLE, 503)]
)
def test_errors_have_their_code_and_words(code: ErrorCode, expected: int) -> None:
    with pytest.raises(HTTPException) as refused, clear_errors():
        raise DatabaseError(code, "words")
    assert refused.value.status_code == expected
    assert refused.value.detail == {"code": str(code), "message": "words"}
