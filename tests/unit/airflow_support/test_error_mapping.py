"""Which errors Airflow retries."""

from __future__ import annotations

import pytest
from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException

from airflow_deepseek_ocr.airflow_support.error_mapping import airflow_errors, described
from airflow_deepseek_ocr.exceptions import (
    ConfigurationError,
    DatabaseError,
    DocumentError,
    ErrorCode,
    MissingExtraError,
    UnavailableError,
)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (UnavailableError(ErrorCode.ACCESS_DENIED, "m"), AirflowException),
        (DatabaseError(ErrorCode.DATABASE_LOCKED, "m"), AirflowException),
        (ConfigurationError(ErrorCode.DPI, "m"), AirflowFailException),
        (DocumentError(ErrorCode.DAMAGED, "m"), AirflowFailException),
        (MissingExtraError("torch", "transformers"), AirflowFailException),
    ],
)
def test_only_what_a_retry_may_resolve_is_retried(error: Exception, kind: type[Exception]) -> None:
    with pytest.raises(kind) as caught, airflow_errors():
        raise error
    assert type(caught.value) is kind
    assert (str(caught.value), caught.value.__cause__) == (str(error), error)


def test_other_errors_pass() -> None:
    with pytest.raises(ZeroDivisionError), airflow_errors():
        1 / 0  # noqa: B018


def test_the_class_is_named_of_other_programs_errors_only() -> None:
    assert described(DocumentError(ErrorCode.DAMAGED, "It is damaged.")) == "It is damaged."
    assert described(OSError("no descriptors")) == "OSError: no descriptors"
    assert described(KeyError("Key")) == "KeyError: 'Key'"
    assert len(described(RuntimeError("x" * 100_000))) < 5000
    assert described(OSError("http://u:secret@host/")) == "OSError: http://***@host/"
    assert described(RuntimeError("a\nb\x1b")) == r"RuntimeError: a\nb\x1b"
