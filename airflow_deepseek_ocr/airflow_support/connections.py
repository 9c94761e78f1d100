"""Airflow connections: ids that are used by default, settings, S3 clients."""

from __future__ import annotations

from typing import Any

from airflow.providers.common.compat.sdk import BaseHook

from airflow_deepseek_ocr.connection.settings import Settings
from airflow_deepseek_ocr.exceptions import ConfigurationError, ErrorCode

DEFAULT_AWS_CONN_ID = "aws_default"
DEFAULT_DB_CONN_ID = "deepseek_ocr_db"


def load_settings(conn_id: str) -> Settings:
    """Return the settings of a connection of type ``deepseek_ocr``.

    :raises ConfigurationError: ``connection`` if a field has an invalid value, or the connection's URI holds
        a path in place of the host.
    """
    connection = BaseHook.get_connection(conn_id)
    # The form has no such field. Airflow reads the URI deepseek-ocr://unix:///run/s.sock as an empty host and
    # this schema: the model would silently run on the worker.
    if connection.schema and not connection.host:
        raise ConfigurationError(
            ErrorCode.CONNECTION,
            f"The connection {conn_id} has no host, but the path {connection.schema!r}. In a URI, the path "
            "of a socket is the host and its slashes are quoted: deepseek-ocr://:KEY@unix%3A%2F%2F%2Frun%2Fs.sock",
        )
    return Settings.of(
        connection.extra_dejson,
        connection.password,
        host=connection.host,
        port=connection.port,
        login=connection.login,
    )


def s3_client(aws_conn_id: str | None) -> Any:
    """Return a boto3 S3 client of an AWS connection.

    :param aws_conn_id: None takes the worker's own credentials.
    """
    from airflow.providers.amazon.aws.hooks.s3 import S3Hook

    return S3Hook(aws_conn_id=aws_conn_id).get_conn()
