"""Request error codes are documented, and none is an error code of tasks."""

from __future__ import annotations

from airflow_deepseek_ocr.engines.protocol.request_errors import RequestErrorCode
from airflow_deepseek_ocr.exceptions import ErrorCode
from tests.conftest import ROOT

PAGE = (ROOT / "docs" / "reference" / "server_api.md").read_text("utf-8")


def test_every_code_is_documented() -> None:
    assert [code for code in RequestErrorCode if f"`{code}`" not in PAGE] == []


def test_the_two_enums_share_no_code() -> None:
    assert set(RequestErrorCode) & {str(code) for code in ErrorCode} == set()
