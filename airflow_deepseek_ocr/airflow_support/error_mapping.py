"""The mapping of this package's errors to Airflow's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException

from airflow_deepseek_ocr.counted import shortened
from airflow_deepseek_ocr.exceptions import DeepSeekOCRError, UnavailableError
from airflow_deepseek_ocr.printable import hide_logins, printable


@contextmanager
def airflow_errors() -> Iterator[None]:
    """Raise errors that a retry may resolve as retryable ones, and all others as final ones.

    :raises AirflowException: for an :class:`~airflow_deepseek_ocr.exceptions.UnavailableError`.
    :raises AirflowFailException: for every other error of this package.
    """
    try:
        yield
    except UnavailableError as error:
        raise AirflowException(shortened(str(error))) from error
    except DeepSeekOCRError as error:
        raise AirflowFailException(shortened(str(error))) from error


def described(error: Exception) -> str:
    """Return the error's message for one line of a log; other programs' mean little without the class."""
    ours = isinstance(error, DeepSeekOCRError)
    message = str(error) if ours else f"{type(error).__name__}: {error}"
    return printable(shortened(hide_logins(message)))
