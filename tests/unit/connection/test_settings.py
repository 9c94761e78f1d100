"""The settings of a connection, and the processing configuration that they give."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from airflow_deepseek_ocr.connection.fields import DEFAULTS, FIELDS
from airflow_deepseek_ocr.connection.options import OcrOptions
from airflow_deepseek_ocr.connection.settings import Settings
from airflow_deepseek_ocr.exceptions import ConfigurationError, ErrorCode
from airflow_deepseek_ocr.model.weights.source import DEFAULT_MODEL, DEFAULT_REVISION
from airflow_deepseek_ocr.ocr.documents.reference import DocumentRef
from airflow_deepseek_ocr.ocr.families.deepseek_ocr import DEEPSEEK_OCR
from airflow_deepseek_ocr.ocr.families.deepseek_ocr_2 import DEEPSEEK_OCR_2
from airflow_deepseek_ocr.ocr.fingerprint import document_key


def test_defaults_are_the_fields() -> None:
    defaults = {each.name: each.default for each in fields(Settings)}
    assert set(DEFAULTS) <= set(defaults)
    assert {name: defaults[name] for name, value in DEFAULTS.items() if value is not None} == {
        name: value for name, value in DEFAULTS.items() if value is not None
    }


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


@pytest.mark.parametrize(
    ("engine", "host", "message"),
    [("remote", None, "needs the server's host"), ("resident", "10.0.0.1", "Empty the host")],
)
def test_host_and_engine_must_agree(engine: str, host: str | None, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message) as caught:
        Settings.of({"engine": engine}, host=host)
    assert caught.value.code is ErrorCode.CONNECTION


def test_the_password_is_of_the_server_or_of_the_hub() -> None:
    remote = Settings.of({}, "p", host=" 10.0.0.1 ", port=0, login="me")
    assert (remote.host, remote.port, remote.login) == ("10.0.0.1", None, "me")
    assert (remote.api_key, remote.hub_token) == ("p", None)
    local = Settings.of({}, "p")
    assert (local.api_key, local.hub_token) == (None, "p")
    assert Settings.of({"cache_dir": "~/x"}).cache_directory == Path.home() / "x"
    assert local.cache_directory.name == "airflow-deepseek-ocr"


def test_the_configuration_holds_everything_that_changes_the_text() -> None:
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


def test_options_replace_the_connection_s_defaults() -> None:
    settings = Settings(
        model="/m", prompt="free", resolution="tiny", retry_with="base", text_layer="off"
    )
    config = settings.processing_config()
    assert (config.prompt, config.resolution) == ("free", "tiny")
    assert (config.retry_with, config.text_layer) == ("base", "off")
    options = OcrOptions(prompt="ocr", resolution="auto", retry_with="none", text_layer="first")
    config = settings.processing_config(options)
    assert (config.prompt, config.resolution) == ("ocr", "auto")
    assert (config.retry_with, config.text_layer) == ("", "first")
    # A template that renders to nothing takes the connection's default.
    assert settings.processing_config(OcrOptions(prompt="")).prompt == "free"


def test_wrong_steps_of_the_connection_are_refused() -> None:
    with pytest.raises(ConfigurationError) as caught:
        Settings(retry_with="halves").processing_config()
    assert caught.value.code is ErrorCode.RETRY_WITH


def test_the_name_or_the_field_tells_the_family_and_its_modes() -> None:
    second = Settings.of({"model": "deepseek-ai/DeepSeek-OCR-2"})
    assert (second.family, second.revision) == (DEEPSEEK_OCR_2, DEEPSEEK_OCR_2.revision)
    config = second.processing_config()
    assert (config.ngram_size, config.ngram_window) == (20, 90)
    assert Settings.of({"model": "/m"}).family is DEEPSEEK_OCR
    assert Settings.of({"model": "/m", "model_family": "deepseek_ocr_2"}).family is DEEPSEEK_OCR_2
    assert Settings(model="/m/DeepSeek-OCR-2", model_family="deepseek_ocr").family is DEEPSEEK_OCR


def test_modes_that_the_model_lacks_are_refused_where_they_are_entered() -> None:
    name = "deepseek-ai/DeepSeek-OCR-2"
    with pytest.raises(ConfigurationError, match=r"DeepSeek-OCR-2 has no .*tiny") as caught:
        Settings.of({"model": name, "resolution": "tiny"})
    assert caught.value.code is ErrorCode.UNKNOWN_RESOLUTION
    second = Settings.of({"model": name, "resolution": "auto"})
    with pytest.raises(ConfigurationError, match="small, base, gundam") as caught:
        second.processing_config(OcrOptions(resolution="large"))
    assert caught.value.code is ErrorCode.UNKNOWN_RESOLUTION
    with pytest.raises(ConfigurationError, match="'large', a resolution mode that") as caught:
        second.processing_config(OcrOptions(retry_with="base,large"))
    assert caught.value.code is ErrorCode.RETRY_WITH
    assert second.processing_config(OcrOptions(retry_with="gundam")).retry_with == "gundam"


def test_a_socket_s_path_may_have_an_at_sign() -> None:
    assert Settings.of({}, "key", host="unix:///run/a@b/s.sock").host == "unix:///run/a@b/s.sock"


def test_a_home_directory_that_is_not_there_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="Give the whole path"):
        Settings.of({"cache_dir": "~no-such-user-here/models"})
