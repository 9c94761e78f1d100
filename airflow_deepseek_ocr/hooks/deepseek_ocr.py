"""The hook: a connection's settings, and the model behind it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseHook

from airflow_deepseek_ocr.connection.fields import CONN_TYPE, DEFAULT_CONN_ID, HOOK_NAME
from airflow_deepseek_ocr.connection.form import FIELD_BEHAVIOUR, form_widgets
from airflow_deepseek_ocr.connection.settings import Settings
from airflow_deepseek_ocr.exceptions import DeepSeekOCRError

if TYPE_CHECKING:
    from airflow_deepseek_ocr.ocr.engine_protocol import Engine
    from airflow_deepseek_ocr.preflight.check import Check

_TEST_TIMEOUT_S = 4.5


class DeepSeekOCRHook(BaseHook):
    """DeepSeek-OCR as an Airflow connection describes it.

    The model runs in this process, in a server on this host that outlives the task, or on a server
    elsewhere: the connection says which. It is fetched into the cache at the first use.

    :param deepseek_ocr_conn_id: the connection, of type ``deepseek_ocr``.
    """

    conn_name_attr = "deepseek_ocr_conn_id"
    default_conn_name = DEFAULT_CONN_ID
    conn_type = CONN_TYPE
    hook_name = HOOK_NAME

    def __init__(self, deepseek_ocr_conn_id: str = DEFAULT_CONN_ID, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.deepseek_ocr_conn_id = deepseek_ocr_conn_id

    @classmethod
    def get_connection_form_widgets(cls) -> dict[str, Any]:
        """The form's fields on Airflow 3.1."""
        return form_widgets()

    @classmethod
    def get_ui_field_behaviour(cls) -> dict[str, Any]:
        """The form's standard fields on Airflow 3.1."""
        return FIELD_BEHAVIOUR

    @cached_property
    def settings(self) -> Settings:
        """The connection's settings.

        :raises ConfigurationError: ``connection`` if a field has a value it cannot have.
        """
        connection = self.get_connection(self.deepseek_ocr_conn_id)
        return Settings.of(
            connection.extra_dejson,
            connection.password,
            host=connection.host,
            port=connection.port,
            login=connection.login,
        )

    def fetch_model(self) -> Path:
        """The model's directory on this host, fetched into the cache if need be.

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
        """The engine that the connection chooses; a server on this host is started at its first use.

        :raises MissingExtraError: if what runs the model is not installed on this worker.
        :raises ConfigurationError: a setting is wrong.
        :raises UnavailableError: the model is not to be had.
        """
        from airflow_deepseek_ocr.engines.factory import make_engine

        return make_engine(self.settings, self.fetch_model)

    def test_connection(self) -> tuple[bool, str]:
        """What can be said of the settings on this host, without torch, fetching or starting anything.

        Airflow calls this in its API server, which often is another host than the workers.
        """
        from airflow_deepseek_ocr.preflight.check import Level
        from airflow_deepseek_ocr.preflight.checks import quick_checks

        try:
            settings = self.settings
        except DeepSeekOCRError as error:
            return False, str(error)
        # S3 and name servers have time-outs of their own, which are longer than a user waits.
        pool = ThreadPoolExecutor(1, thread_name_prefix="test-connection")
        try:
            checks = pool.submit(lambda: list(quick_checks(settings, self._s3_client_maker)))
            found = checks.result(_TEST_TIMEOUT_S)
        except TimeoutError:
            return False, f"No answer in {_TEST_TIMEOUT_S:g} s; check host, model and network."
        except DeepSeekOCRError as error:
            return False, str(error)
        finally:
            pool.shutdown(wait=False)
        failures = [check.message for check in found if check.level is Level.FAILURE]
        return not failures, " ".join(failures or [check.message for check in found])

    def preflight(self) -> list[Check]:
        """Whether everything is there that reading needs on this worker, with what to do about it.

        Takes up to a minute; starts no server.

        :raises ConfigurationError: a setting is wrong.
        """
        from airflow_deepseek_ocr.preflight.checks import all_checks

        checks = []
        for check in all_checks(self.settings, self._s3_client_maker):
            self.log.info("%s: %s: %s", check.level, check.name, check.message)
            checks.append(check)
        return checks

    @property
    def _s3_client_maker(self) -> Callable[[], Any] | None:
        return self._mirror_client if self.settings.aws_conn_id else None

    def _mirror_client(self) -> Any:
        from airflow.providers.amazon.aws.hooks.s3 import S3Hook

        return S3Hook(aws_conn_id=self.settings.aws_conn_id).get_conn()
