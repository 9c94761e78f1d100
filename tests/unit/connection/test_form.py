"""The connection's form on every Airflow version."""

from __future__ import annotations

from airflow_deepseek_ocr.connection.fields import FIELDS
from airflow_deepseek_ocr.connection.form import FIELD_BEHAVIOUR, conn_fields


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


def test_the_form_keeps_a_port_and_needs_no_field() -> None:
    assert "port" not in FIELD_BEHAVIOUR["hidden_fields"]
    assert [
        name for name, field in conn_fields().items() if "null" not in field["schema"]["type"]
    ] == []
    assert list(conn_fields()) == [each.name for each in FIELDS]
