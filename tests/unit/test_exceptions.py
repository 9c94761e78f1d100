"""Errors keep their class and code between processes, and codes are looked up by name."""

from __future__ import annotations

import errno
import pickle

import pytest

from airflow_deepseek_ocr.exceptions import (
    DatabaseError,
    DeepSeekOCRError,
    DocumentError,
    ErrorCode,
    MissingExtraError,
    OverwrittenError,
    ServerUnreachableError,
    UnavailableError,
    error_code,
    is_full,
    local_disk,
)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (DocumentError(ErrorCode.DAMAGED, "m"), ErrorCode.DAMAGED),
        (DatabaseError(ErrorCode.DATABASE_FULL, "m"), ErrorCode.DATABASE_FULL),
        (OverwrittenError("m"), ErrorCode.OVERWRITTEN),
        (ServerUnreachableError("m"), ErrorCode.SERVER_UNREACHABLE),
        (MissingExtraError("torch", "transformers"), ErrorCode.MISSING_EXTRA),
    ],
)
def test_errors_are_pickled(error: DeepSeekOCRError, code: ErrorCode) -> None:
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is type(error)
    assert copy.code is code
    assert str(copy) == str(error)


def test_classes_that_callers_branch_on() -> None:
    assert issubclass(DatabaseError, UnavailableError)
    assert issubclass(ServerUnreachableError, UnavailableError)
    assert issubclass(OverwrittenError, DocumentError)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("damaged", ErrorCode.DAMAGED),
        ("unheard_of", ErrorCode.SERVER_FAILED),
        ("", ErrorCode.SERVER_FAILED),
        (None, ErrorCode.SERVER_FAILED),
    ],
)
def test_codes_of_other_processes(value: str | None, expected: ErrorCode) -> None:
    assert error_code(value, ErrorCode.SERVER_FAILED) is expected


@pytest.mark.parametrize(
    ("number", "remedy"),
    [
        (errno.ENOSPC, "Free disk space"),
        (errno.EDQUOT, "Free disk space"),
        (errno.EACCES, "permissions"),
    ],
)
def test_local_disk_says_what_to_do(number: int, remedy: str) -> None:
    cause = OSError(number, "reason")
    error = local_disk("a.pdf cannot be copied to /tmp", cause)
    assert error.code is ErrorCode.LOCAL_DISK
    assert str(error).startswith("a.pdf cannot be copied to /tmp: reason. ")
    assert remedy in str(error)
    assert is_full(cause) is ("space" in remedy)


def test_other_errors_do_not_mean_a_full_disk() -> None:
    assert not is_full(ValueError(errno.ENOSPC))


def test_a_missing_extra_names_the_installation() -> None:
    assert "airflow-deepseek-ocr[transformers]" in str(MissingExtraError("torch", "transformers"))
