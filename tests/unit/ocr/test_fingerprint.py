"""Identity of stored results."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from typing import Any

import pytest

from airflow_deepseek_ocr.ocr.documents.reference import DocumentRef
from airflow_deepseek_ocr.ocr.fingerprint import CONFIG_VERSION, ProcessingConfig, document_key

CONFIG = ProcessingConfig(
    model="deepseek-ai/DeepSeek-OCR",
    revision="main",
    prompt="markdown",
    resolution="base",
    pages="",
    dpi=144,
    max_output_length=8192,
    ngram_size=30,
    ngram_window=90,
    retry_with="base",
    text_layer="compare",
    min_score=0.5,
)
CHANGES: dict[str, Any] = {"dpi": 200, "max_output_length": 9, "ngram_size": 9, "ngram_window": 9}
CHANGES["min_score"] = 0.9


@pytest.mark.parametrize("name", [field.name for field in fields(ProcessingConfig)])
def test_every_setting_changes_the_key(name: str) -> None:
    other = replace(CONFIG, **{name: CHANGES.get(name, "other")})
    assert other.key != CONFIG.key
    assert json.loads(other.to_json())[name] == CHANGES.get(name, "other")


def test_equal_settings_have_equal_keys() -> None:
    assert replace(CONFIG).key == CONFIG.key
    assert len(CONFIG.key) == 64
    assert int(CONFIG.key, 16) >= 0


def test_the_json_is_sorted_and_has_the_version_of_the_package() -> None:
    stored = json.loads(CONFIG.to_json())
    assert list(stored) == sorted(stored)
    assert stored["config_version"] == CONFIG_VERSION


def test_the_document_key_depends_on_uri_version_and_settings() -> None:
    ref = DocumentRef("s3://bucket/a.pdf", "v1")
    keys = {
        document_key(ref, CONFIG),
        document_key(replace(ref, version="v2"), CONFIG),
        document_key(replace(ref, uri="s3://bucket/b.pdf"), CONFIG),
        document_key(ref, replace(CONFIG, dpi=72)),
    }
    assert len(keys) == 4


def test_described_figures_are_part_of_the_key_and_plain_pages_keep_theirs() -> None:
    described = replace(CONFIG, figures="describe")
    assert described.key != CONFIG.key
    assert '"figures": "describe"' in described.to_json()
    # Documents that were stored before the setting existed are known under the same key.
    assert "figures" not in CONFIG.to_json()
