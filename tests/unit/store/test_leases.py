"""Outcomes of a claim."""

from __future__ import annotations

import pickle
from datetime import timedelta

from airflow_deepseek_ocr.exceptions import ErrorCode
from airflow_deepseek_ocr.store.leases import (
    DEFAULT_LEASE,
    AlreadyFinal,
    Lease,
    LeasedByAnother,
    LeaseLostError,
)


def test_a_lost_lease_has_its_code_and_can_be_pickled() -> None:
    error = pickle.loads(pickle.dumps(LeaseLostError()))
    assert isinstance(error, LeaseLostError)
    assert error.code is ErrorCode.LEASE_LOST
    assert "reclaimed" in str(error)


def test_outcomes_are_compared_by_value() -> None:
    assert Lease(1, "token") == Lease(1, "token", frozenset())
    assert Lease(1, "token") != Lease(1, "another")
    assert LeasedByAnother("task") == LeasedByAnother("task")
    assert AlreadyFinal().by_us is None


def test_the_default_lease_is_two_minutes() -> None:
    assert timedelta(minutes=2) == DEFAULT_LEASE
