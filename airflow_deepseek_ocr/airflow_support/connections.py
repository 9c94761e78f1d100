"""Airflow connections: ids that are used by default, settings, clients of S3 and SQS."""

from __future__ import annotations

import os
from typing import Any

from airflow.providers.common.compat.sdk import (
    AirflowException,
    AirflowNotFoundException,
    BaseHook,
)

from airflow_deepseek_ocr.connection.settings import Settings
from airflow_deepseek_ocr.exceptions import ConfigurationError, ErrorCode
from airflow_deepseek_ocr.printable import hide_logins
from airflow_deepseek_ocr.sources.s3_errors import clear_s3_errors
from airflow_deepseek_ocr.sources.sqs import clear_queue_errors, region_of

DEFAULT_AWS_CONN_ID = "aws_default"
DEFAULT_DB_CONN_ID = "deepseek_ocr_db"

#: Time-outs (s) and attempts of S3, SQS and STS where the connection's ``config_kwargs`` set none. botocore's
#: own are 60 s each and 5 attempts: a request to an address that swallows packets lasts five minutes.
_AWS_DEFAULTS: dict[str, Any] = {
    "connect_timeout": 10,
    "read_timeout": 30,
    "retries": {"mode": "standard", "total_max_attempts": 3},
}


def find_connection(conn_id: str, code: ErrorCode) -> Any:
    """Return an Airflow connection.

    :param code: code of the error.
    :raises ConfigurationError: there is no such connection, or Airflow cannot load it.
    """
    try:
        return BaseHook.get_connection(conn_id)
    except AirflowNotFoundException as error:
        # Airflow keeps the reason to itself: a value that it cannot load is "not defined" as well.
        variable = _variable_of(conn_id)
        reason = f"{error}. Create it in Airflow, or name another connection."
        if variable:
            reason = (
                f"Airflow cannot load the connection {conn_id} from the environment variable {variable}. "
                "Correct its value: a URI, or JSON whose port is a number and whose extra is an object, such "
                'as {"conn_type": "...", "extra": {"name": "value"}}.'
            )
        raise ConfigurationError(code, reason) from None


def load_settings(conn_id: str) -> Settings:
    """Return the settings of a connection of type ``deepseek_ocr``.

    :raises ConfigurationError: ``connection`` if there is no such connection, a field has an invalid value,
        or the connection's URI holds a path in place of the host.
    """
    connection = find_connection(conn_id, ErrorCode.CONNECTION)
    # The form has no such field. Airflow reads the URI deepseek-ocr://unix:///run/s.sock as an empty host and
    # this schema: the model would silently run on the worker.
    if connection.schema and not connection.host:
        raise ConfigurationError(
            ErrorCode.CONNECTION,
            f"The connection {conn_id} has no host, but the path {connection.schema!r}. In a URI, the path "
            "of a socket is the host and its slashes are quoted: deepseek-ocr://:KEY@unix%3A%2F%2F%2Frun%2Fs.sock",
        )
    extra: Any = connection.extra_dejson
    if not isinstance(extra, dict):
        raise ConfigurationError(
            ErrorCode.CONNECTION,
            f"The extra of the connection {conn_id} is JSON, but no object. Write its fields as "
            '{"engine": "in_process"}.',
        )
    return Settings.of(
        extra,
        connection.password,
        host=connection.host,
        port=connection.port,
        login=connection.login,
    )


def s3_client(aws_conn_id: str | None, *, requester_pays: bool = False) -> Any:
    """Return a boto3 S3 client of an AWS connection.

    If the connection does not exist, Airflow takes the worker's own credentials and warns in the log.

    :param aws_conn_id: None takes the worker's own credentials.
    :param requester_pays: accept the costs of requests to a bucket whose requesters pay.
    :raises ConfigurationError: ``connection`` if the connection cannot be loaded or used.
    :raises UnavailableError: ``access_denied``, ``storage_unavailable``: the role of the connection cannot be
        assumed now.
    """
    from airflow.providers.amazon.aws.hooks.s3 import S3Hook

    with clear_s3_errors(f"S3 with the AWS connection {aws_conn_id}"):
        client = _client(S3Hook, aws_conn_id)
    if requester_pays:
        client.meta.events.register("before-call.s3", _accept_costs)
    return client


def sqs_client(aws_conn_id: str | None, queue_url: str) -> Any:
    """Return a boto3 SQS client of an AWS connection, for the region of a queue.

    If the connection does not exist, Airflow takes the process's own credentials and warns in the log.

    :param aws_conn_id: None takes the process's own credentials.
    :param queue_url: URL of the queue. Its region goes before the connection's.
    :raises ConfigurationError: ``connection`` if the connection cannot be loaded or used.
    :raises UnavailableError: ``queue_unavailable``: the role of the connection cannot be assumed now.
    """
    from airflow.providers.amazon.aws.hooks.sqs import SqsHook

    with clear_queue_errors(queue_url):
        return _client(
            SqsHook,
            aws_conn_id,
            # A shorter one would end each wait for messages with an error.
            min_read_timeout=_AWS_DEFAULTS["read_timeout"],
            region_name=region_of(queue_url),
        )


def _client(
    hook: type[Any], aws_conn_id: str | None, *, min_read_timeout: float = 0, **arguments: Any
) -> Any:
    if aws_conn_id and _variable_of(aws_conn_id):
        # The hook would take the process's own credentials if Airflow cannot load the variable.
        find_connection(aws_conn_id, ErrorCode.CONNECTION)
    try:
        return _patient(hook, min_read_timeout)(aws_conn_id=aws_conn_id, **arguments).get_conn()
    except (AirflowException, NotImplementedError, TypeError, ValueError) as error:
        raise ConfigurationError(
            ErrorCode.CONNECTION,
            f"The AWS connection {aws_conn_id} cannot be used: {hide_logins(str(error))}. Check its fields.",
        ) from None


def _patient(hook: type[Any], min_read_timeout: float) -> type[Any]:
    """Return a class of hooks whose time-outs are those above where the connection sets none.

    A hook that is given a configuration does not use the connection's, for STS either; and one that is made
    to read the connection's asks Airflow for the connection once more, and logs where its credentials are.
    """
    from botocore.config import Config

    class PatientHook(hook):
        @property
        def config(self) -> Any:
            config = Config(**_AWS_DEFAULTS).merge(super().config)
            if config.read_timeout < min_read_timeout:
                config = config.merge(Config(read_timeout=min_read_timeout))
            return config

    return PatientHook


def _variable_of(conn_id: str) -> str | None:
    """Return the name of the environment variable that defines a connection, if there is one."""
    name = f"AIRFLOW_CONN_{conn_id.upper()}"
    return name if os.environ.get(name) else None


def _accept_costs(params: dict[str, Any], **_: Any) -> None:
    params["headers"]["x-amz-request-payer"] = "requester"
