"""References to documents."""

from __future__ import annotations

import pytest

from airflow_deepseek_ocr.exceptions import ConfigurationError
from airflow_deepseek_ocr.ocr.documents.reference import DocumentRef


def test_references_survive_an_xcom() -> None:
    given = {"uri": "s3://b/k", "version": "e", "etag": "e", "size": 3}
    given |= {"version_id": None, "last_modified": "2026-01-02T03:04:05+00:00"}
    assert DocumentRef.of(given).as_dict() == given
    for wrong in ("no uri", 7, {"key": "x"}):
        with pytest.raises(ConfigurationError, match="s3://bucket/key") as caught:
            DocumentRef.of(wrong)  # type: ignore[arg-type]
        assert caught.value.code == "document_reference"
