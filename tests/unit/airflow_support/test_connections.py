"""Settings and clients of Airflow connections."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from airflow.models.connection import Connection

from airflow_deepseek_ocr.airflow_support.connections import (
    load_settings,
    s3_client,
    sqs_client,
)
from airflow_deepseek_ocr.exceptions import ConfigurationError, ErrorCode, UnavailableError
from tests.support.airflow_connections import LOADS_ANY_JSON, define, define_model
from tests.support.servers.process import free_port
from tests.support.servers.s3_answers import Answer, s3_answers


def test_settings_are_the_connection_s(monkeypatch: pytest.MonkeyPatch) -> None:
    define(
        monkeypatch,
        "server",
        conn_type="deepseek_ocr",
        host="10.0.0.1",
        port=8000,
        login="me",
        password="key",
        extra={"resolution": "base", "batch_size": None},
    )
    settings = load_settings("server")
    assert (settings.host, settings.port, settings.login, settings.api_key) == (
        "10.0.0.1",
        8000,
        "me",
        "key",
    )
    assert (settings.resolution, settings.batch_size) == ("base", None)


@pytest.mark.parametrize(
    "text",
    [
        '{"conn_type": "deepseek_ocr", "host": "unix:///run/Ocr/s.sock", "password": "key"}',
        "deepseek-ocr://:key@unix%3A%2F%2F%2Frun%2FOcr%2Fs.sock",
        # What Airflow makes of a connection of the form, as for its Test button.
        "deepseek-ocr://unix://:key@%2Frun%2FOcr%2Fs.sock/?resolution=base",
    ],
)
def test_airflow_keeps_the_path_of_a_socket(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_SOCKET", text)
    settings = load_settings("socket")
    assert (settings.host, settings.port, settings.api_key) == (
        "unix:///run/Ocr/s.sock",
        None,
        "key",
    )


def test_a_connection_of_the_form_survives_airflows_uri() -> None:
    connection = Connection(
        conn_id="c", conn_type="deepseek_ocr", host="unix:///run/s.sock", password="a key/@:"
    )
    again = Connection(conn_id="c", uri=connection.get_uri())
    assert (again.host, again.port, again.password) == ("unix:///run/s.sock", None, "a key/@:")


def test_a_uri_that_loses_the_socket_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Airflow reads an empty host, and the model would run on the worker."""
    monkeypatch.setenv("AIRFLOW_CONN_SOCKET", "deepseek-ocr://unix:///run/s.sock")
    with pytest.raises(ConfigurationError, match="its slashes are quoted"):
        load_settings("socket")


@pytest.mark.parametrize("extra", [["in_process"], 7])
def test_an_extra_that_is_no_object_is_named(monkeypatch: pytest.MonkeyPatch, extra: Any) -> None:
    define(monkeypatch, "wrong", conn_type="deepseek_ocr", extra=extra)
    said = (
        r"extra of the connection wrong is JSON, but no object\. Write its fields as"
        if LOADS_ANY_JSON
        else r"variable AIRFLOW_CONN_WRONG\. Correct its value: .* whose extra is an object"
    )
    with pytest.raises(ConfigurationError, match=said) as caught:
        load_settings("wrong")
    assert caught.value.code is ErrorCode.CONNECTION


@pytest.mark.parametrize(
    "value",
    ['{"conn_type": "aws", "port": "secret"}', '{"password": "secret', "a://b://secret://c"],
)
def test_a_variable_that_airflow_cannot_load_is_named(
    monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    """Airflow itself says that there is no such connection."""
    monkeypatch.setenv("AIRFLOW_CONN_BROKEN", value)
    uses: list[Callable[[], object]] = [
        lambda: load_settings("broken"),
        # Without this error, they would have the process's own credentials.
        lambda: s3_client("broken"),
        lambda: sqs_client("broken", "https://sqs.eu-west-1.amazonaws.com/1/q"),
    ]
    for use in uses:
        with pytest.raises(ConfigurationError, match="AIRFLOW_CONN_BROKEN") as caught:
            use()
        assert caught.value.code is ErrorCode.CONNECTION
        assert "secret" not in str(caught.value)


def test_an_invalid_field_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    define_model(monkeypatch, "wrong", resolution="huge")
    with pytest.raises(ConfigurationError, match="resolution"):
        load_settings("wrong")


def test_the_s3_client_has_the_connection_s_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    extra = {"endpoint_url": "http://127.0.0.1:9", "region_name": "eu-west-1"}
    define(monkeypatch, "store", conn_type="aws", login="a", password="b", extra=extra)
    client = s3_client("store")
    assert (client.meta.endpoint_url, client.meta.region_name) == (
        "http://127.0.0.1:9",
        "eu-west-1",
    )


@pytest.mark.parametrize("kind", ["s3", "sqs"])
def test_airflow_is_asked_for_the_connection_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    """Each time writes a line about its credentials into the task's log."""
    extra = {"region_name": "eu-west-1"}
    define(monkeypatch, "store", conn_type="aws", login="a", password="b", extra=extra)
    s3_client("store") if kind == "s3" else sqs_client("store", "http://127.0.0.1:9/1/queue")
    assert capsys.readouterr().out.count("credentials retrieved from login and password") == 1


def test_requests_to_s3_end_soon_unless_the_connection_says_otherwise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    extra = {"region_name": "eu-west-1"}
    define(monkeypatch, "store", conn_type="aws", login="a", password="b", extra=extra)
    config = s3_client("store").meta.config
    assert (config.connect_timeout, config.read_timeout) == (10, 30)
    assert config.retries["total_max_attempts"] == 3
    extra = extra | {"config_kwargs": {"read_timeout": 300, "s3": {"addressing_style": "path"}}}
    define(monkeypatch, "store", conn_type="aws", login="a", password="b", extra=extra)
    config = s3_client("store").meta.config
    assert (config.connect_timeout, config.read_timeout) == (10, 300)
    assert config.s3["addressing_style"] == "path"


def test_a_role_that_cannot_be_assumed_now_may_be_assumed_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    extra = {
        "endpoint_url": f"http://127.0.0.1:{free_port()}",
        "region_name": "us-east-1",
        "role_arn": "arn:aws:iam::123456789012:role/reader",
        "config_kwargs": {"retries": {"total_max_attempts": 1}},
    }
    define(monkeypatch, "role", conn_type="aws", login="a", password="b", extra=extra)
    with pytest.raises(UnavailableError, match="connection role") as caught:
        s3_client("role")
    assert caught.value.code is ErrorCode.STORAGE_UNAVAILABLE


@pytest.mark.parametrize(
    "extra",
    [
        {"endpoint_url": "no url", "region_name": "r"},
        {"role_arn": "arn:aws:iam::123456789012:role/r", "assume_role_method": "magic"},
        {"config_kwargs": {"no_such_option": 1}},
    ],
)
def test_an_aws_connection_that_cannot_be_used_is_named(
    monkeypatch: pytest.MonkeyPatch, extra: dict[str, object]
) -> None:
    define(monkeypatch, "wrong", conn_type="aws", login="a", password="b", extra=extra)
    with pytest.raises(ConfigurationError, match="AWS connection wrong cannot be used") as caught:
        s3_client("wrong")
    assert caught.value.code is ErrorCode.CONNECTION


def test_the_sqs_client_has_the_queue_s_region(monkeypatch: pytest.MonkeyPatch) -> None:
    extra = {"region_name": "eu-west-1", "config_kwargs": {"read_timeout": 5}}
    define(monkeypatch, "queue", conn_type="aws", login="a", password="b", extra=extra)
    client = sqs_client("queue", "https://sqs.eu-central-1.amazonaws.com/123456789012/documents")
    assert client.meta.region_name == "eu-central-1"
    # A shorter time-out would end each wait for messages.
    assert (client.meta.config.connect_timeout, client.meta.config.read_timeout) == (10, 30)
    assert sqs_client("queue", "http://sqs.test/1/q").meta.region_name == "eu-west-1"


def test_an_sqs_connection_that_cannot_be_used_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    define(monkeypatch, "wrong", conn_type="aws", extra={"endpoint_url": "no url"})
    with pytest.raises(ConfigurationError, match="AWS connection wrong cannot be used"):
        sqs_client("wrong", "https://sqs.eu-west-1.amazonaws.com/1/q")
    define(monkeypatch, "login", conn_type="aws", extra={"endpoint_url": "http://u:secret@a b/"})
    with pytest.raises(ConfigurationError, match=r"Invalid endpoint: http://\*\*\*@a b/"):
        sqs_client("login", "https://sqs.eu-west-1.amazonaws.com/1/q")
    extra = {
        "endpoint_url": f"http://127.0.0.1:{free_port()}",
        "role_arn": "arn:aws:iam::123456789012:role/reader",
        "config_kwargs": {"retries": {"total_max_attempts": 1}},
    }
    define(monkeypatch, "role", conn_type="aws", login="a", password="b", extra=extra)
    with pytest.raises(UnavailableError, match="The queue https") as caught:
        sqs_client("role", "https://sqs.eu-west-1.amazonaws.com/1/q")
    assert caught.value.code is ErrorCode.QUEUE_UNAVAILABLE


def test_a_missing_model_connection_is_named() -> None:
    with pytest.raises(ConfigurationError, match=r"`missing`.*Create it") as caught:
        load_settings("missing")
    assert caught.value.code is ErrorCode.CONNECTION


def test_costs_are_accepted_where_requesters_pay(monkeypatch: pytest.MonkeyPatch) -> None:
    with s3_answers({"k": Answer()}) as answers:
        extra = {
            "endpoint_url": "http://s3.test",
            "region_name": "r",
            "config_kwargs": answers.client_config,
        }
        define(monkeypatch, "store", conn_type="aws", login="a", password="b", extra=extra)
        for requester_pays in (False, True):
            client = s3_client("store", requester_pays=requester_pays)
            client.get_object(Bucket="b", Key="k")
            client.list_objects_v2(Bucket="b")
        paid = [each.headers.get("x-amz-request-payer") for each in answers.requests]
        assert paid == [None, None, "requester", "requester"]
        # S3 refuses headers of its own that are not signed.
        assert "x-amz-request-payer" in answers.requests[-1].headers["authorization"]
