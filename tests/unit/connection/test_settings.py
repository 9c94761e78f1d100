"""The connection: one definition for the form on every Airflow version, the settings, the recipe."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import airflow
import jsonschema
import pytest

from airflow_deepseek_ocr.connection.fields import FIELDS
from airflow_deepseek_ocr.connection.form import conn_fields
from airflow_deepseek_ocr.connection.options import OcrOptions
from airflow_deepseek_ocr.connection.settings import Settings
from airflow_deepseek_ocr.exceptions import ConfigurationError
from airflow_deepseek_ocr.get_provider_info import get_provider_info
from airflow_deepseek_ocr.model.weights.source import DEFAULT_MODEL, DEFAULT_REVISION
from airflow_deepseek_ocr.ocr.documents.reference import DocumentRef
from airflow_deepseek_ocr.ocr.fingerprint import document_key


def test_provider_metadata_is_valid_and_found() -> None:
    info = get_provider_info()
    schema = json.loads((Path(airflow.__file__).parent / "provider_info.schema.json").read_text())
    jsonschema.validate(info, schema)
    (point,) = (
        point
        for point in entry_points(group="apache_airflow_provider")
        if point.dist and point.dist.name == info["package-name"]
    )
    assert point.load() is get_provider_info


def test_the_form_is_the_same_from_metadata_and_from_the_hook() -> None:
    """Airflow 3.1 asks the hook, 3.2 and later read the metadata."""
    from airflow.api_fastapi.core_api.services.ui.connections import HookMetaService
    from airflow.providers_manager import ConnectionFormWidgetInfo

    from airflow_deepseek_ocr.hooks.deepseek_ocr import DeepSeekOCRHook

    HookMetaService._get_hooks_with_mocked_fab()  # puts stand-ins for wtforms into sys.modules
    import sys
    from unittest import mock

    stand_in = sys.modules["wtforms"]
    with (
        mock.patch.object(stand_in, "StringField", HookMetaService.MockStringField),
        mock.patch.object(stand_in, "IntegerField", HookMetaService.MockIntegerField),
        mock.patch("wtforms.validators.Optional", HookMetaService.MockOptional),
        mock.patch("wtforms.validators.any_of", HookMetaService.MockEnum),
    ):
        widgets = DeepSeekOCRHook.get_connection_form_widgets()
    converted = HookMetaService._convert_extra_fields(
        {
            f"extra__deepseek_ocr__{name}": ConnectionFormWidgetInfo("", "", field, name, False)
            for name, field in widgets.items()
        }
    )["deepseek_ocr"]
    assert list(converted) == list(conn_fields())
    for name, field in conn_fields().items():
        shown = converted[name]
        assert shown["schema"]["title"] == field["label"]
        assert shown["description"] == field["description"]
        assert shown["value"] == field["schema"].get("default")
        assert shown["schema"]["type"] == field["schema"]["type"]
        assert shown["schema"].get("enum") == field["schema"].get("enum")


def test_no_field_is_masked() -> None:
    from airflow.sdk._shared.secrets_masker import should_hide_value_for_key

    assert should_hide_value_for_key("max_new_tokens")
    assert not [each.name for each in FIELDS if should_hide_value_for_key(each.name)]


def test_empty_fields_take_their_defaults() -> None:
    assert Settings.of({}) == Settings.of({each.name: None for each in FIELDS})
    settings = Settings.of({each.name: "" for each in FIELDS}, password="hf_x")
    assert (settings.model, settings.revision) == (DEFAULT_MODEL, DEFAULT_REVISION)
    assert settings.batch_size is None
    assert "hf_x" not in repr(settings)
    assert Settings.of({"model": "/m"}).revision == ""
    assert Settings.of({"batch_size": "3"}).batch_size == 3


@pytest.mark.parametrize(
    "extra",
    [
        {"dtype": "int4"},
        {"resolution": "huge"},
        {"batch_size": 0},
        {"max_output_length": "x"},
        {"device": "gpu"},
        {"device": "cuda:x"},
        {"device": "cuda:0,1"},
    ],
)
def test_wrong_fields_are_named(extra: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(extra))):
        Settings.of(extra)


def test_the_recipe_is_what_changes_the_text() -> None:
    ref = DocumentRef("s3://b/k", "v")
    settings = Settings.of({"model": "/m", "revision": "1"})
    key = document_key(ref, settings.processing_config())
    same = [{"device": "cpu"}, {"dtype": "bfloat16"}, {"batch_size": 7}, {"aws_conn_id": "x"}]
    other = [
        {"model": "/n"},
        {"revision": "2"},
        {"prompt": "free"},
        {"resolution": "tiny"},
        {"max_output_length": 5},
    ]
    for change in same:
        assert document_key(ref, replace(settings, **change).processing_config()) == key
    keys = {document_key(ref, replace(settings, **change).processing_config()) for change in other}
    keys |= {
        document_key(ref, settings.processing_config(OcrOptions(pages="1-2"))),
        document_key(ref, settings.processing_config(OcrOptions(dpi=99))),
        document_key(ref, settings.processing_config(OcrOptions(retry_with="none"))),
        document_key(
            ref, settings.processing_config(OcrOptions(retry_with=["no_repeat_ngram", "slices_2"]))
        ),
        document_key(ref, settings.processing_config(OcrOptions(text_layer="first"))),
        document_key(ref, settings.processing_config(OcrOptions(min_score=0))),
    }
    keys |= {document_key(replace(ref, version="w"), settings.processing_config())}
    assert len(keys - {key}) == 12
    assert (
        document_key(ref, settings.processing_config(OcrOptions(prompt="markdown", pages=" ")))
        == key
    )


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"retry_with": "again"}, "retry_with"),
        ({"retry_with": "no_repeat_ngram:3/9"}, "no_repeat_ngram"),
        ({"text_layer": "always"}, "text_layer"),
        ({"min_score": 1.5}, "min_score"),
        ({"min_score": "high"}, "min_score"),
    ],
)
def test_ways_of_reading_that_there_are_not(change: dict[str, Any], code: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        OcrOptions(**change)
    assert caught.value.code == code


def test_references_survive_an_xcom() -> None:
    given = {"uri": "s3://b/k", "version": "e", "etag": "e", "size": 3}
    given |= {"version_id": None, "last_modified": "2026-01-02T03:04:05+00:00"}
    assert DocumentRef.of(given).as_dict() == given
    for wrong in ("no uri", 7, {"key": "x"}):
        with pytest.raises(ConfigurationError, match="s3://bucket/key") as caught:
            DocumentRef.of(wrong)  # type: ignore[arg-type]
        assert caught.value.code == "document_reference"
