"""This package's errors as Airflow's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException

from airflow_deepseek_ocr.exceptions import DeepSeekOCRError, UnavailableError


@contextmanager
def airflow_errors() -> Iterator[None]:
    """Let Airflow retry what a retry can mend, and fail at once what it cannot.

    :raises AirflowException: for an :class:`~airflow_deepseek_ocr.exceptions.UnavailableError`.
    :raises AirflowFailException: for every other error of this package.
    """
    try:
        yield
    except UnavailableError as error:
        raise AirflowException(str(error)) from error
    except DeepSeekOCRError as error:
        raise AirflowFailException(str(error)) from error
