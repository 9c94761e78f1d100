"""The hook: a connection's settings and its model."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseHook

from airflow_deepseek_ocr.airflow_support.allowed_commands import require_allowed_commands
from airflow_deepseek_ocr.airflow_support.connections import load_settings, s3_client
from airflow_deepseek_ocr.connection.fields import CONN_TYPE, DEFAULT_CONN_ID, HOOK_NAME
from airflow_deepseek_ocr.connection.form import FIELD_BEHAVIOUR, form_widgets
from airflow_deepseek_ocr.connection.settings import Settings
from airflow_deepseek_ocr.exceptions import DeepSeekOCRError

if TYPE_CHECKING:
    from airflow_deepseek_ocr.ocr.engine_protocol import Engine
    from airflow_deepseek_ocr.preflight.check import Check

#: Longest connection test in seconds: docs/reference/connection.md promises a result within 5 s.
TEST_TIMEOUT_S = 4.5


class DeepSeekOCRHook(BaseHook):
    """DeepSeek-OCR as configured by an Airflow connection.

    The connection's engine decides whether the model runs in this process, in a server on this host that
    outlives the task, or on a remote server. The model is fetched into the cache at the first use.

    :param deepseek_ocr_conn_id: id of a connection of type ``deepseek_ocr``.
    :param test_timeout_s: longest connection test, in seconds.
    """

    conn_name_attr = "deepseek_ocr_conn_id"
    default_conn_name = DEFAULT_CONN_ID
    conn_type = CONN_TYPE
    hook_name = HOOK_NAME

    def __init__(
        self,
        deepseek_ocr_conn_id: str = DEFAULT_CONN_ID,
        *,
        test_timeout_s: float = TEST_TIMEOUT_S,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.deepseek_ocr_conn_id = deepseek_ocr_conn_id
        self._test_timeout_s = test_timeout_s

    @classmethod
    def get_connection_form_widgets(cls) -> dict[str, Any]:
        """Return the form's fields for Airflow 3.1."""
        return form_widgets()

    @classmethod
    def get_ui_field_behaviour(cls) -> dict[str, Any]:
        """Return the form's standard fields for Airflow 3.1."""
        return FIELD_BEHAVIOUR

    @cached_property
    def settings(self) -> Settings:
        """The connection's settings.

        :raises ConfigurationError: ``connection`` if a field has an invalid value.
        """
        return load_settings(self.deepseek_ocr_conn_id)

    def fetch_model(self) -> Path:
        """Return the model's directory on this host; fetch it into the cache if it is missing.

        :raises ConfigurationError: ``model_name``, ``model_revision``.
        :raises UnavailableError: ``model_missing``, ``model_incomplete``, ``model_unavailable``.
        """
        from airflow_deepseek_ocr.model.weights.source import fetch_model

        settings = self.settings
        return fetch_model(
            settings.model,
            settings.revision,
            cache_dir=settings.cache_directory,
            hub_token=settings.hub_token,
            s3_client=self._s3_client_maker,
        )

    def get_conn(self) -> Engine:
        """Return the connection's engine; a server on this host starts at its first use.

        :raises MissingExtraError: the packages that run the model are not installed on this worker.
        :raises ConfigurationError: a setting is invalid.
        :raises UnavailableError: the model cannot be fetched.
        """
        from airflow_deepseek_ocr.engines.factory import make_engine

        require_allowed_commands(self.settings)
        return make_engine(self.settings, self.fetch_model)

    def test_connection(self) -> tuple[bool, str]:
        """Return whether the server at the connection's host can be used, and the reason.

        Airflow calls this in its API server, often on another host than the workers. Nothing is fetched or
        started, torch is not imported, and no disk or bucket is read: a model that runs on the workers is
        not confirmed.
        """
        from airflow_deepseek_ocr.preflight.connection_test import run_connection_test

        try:
            settings = self.settings
        except DeepSeekOCRError as error:
            return False, str(error)
        return run_connection_test(settings, self._test_timeout_s)

    def preflight(self) -> list[Check]:
        """Check everything that processing needs on this worker; a failure names its remedy.

        Takes up to a minute. Starts no server.

        :raises ConfigurationError: a setting is invalid.
        """
        from airflow_deepseek_ocr.preflight.checks import all_checks

        require_allowed_commands(self.settings)
        checks = []
        for check in all_checks(self.settings, self._s3_client_maker):
            self.log.info("%s: %s: %s", check.level, check.name, check.message)
            checks.append(check)
        return checks

    @property
    def _s3_client_maker(self) -> Callable[[], Any] | None:
        conn_id = self.settings.aws_conn_id
        return partial(s3_client, conn_id) if conn_id else None
