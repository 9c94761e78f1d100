"""Waiting for a condition that another thread or process brings about."""

from __future__ import annotations

import time
from collections.abc import Callable

_POLL_S = 0.01


def eventually(condition: Callable[[], object], timeout_s: float = 60.0) -> None:
    """Return when the condition holds, and fail if it does not within ``timeout_s`` seconds."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"the condition did not hold within {timeout_s:g} s"
        time.sleep(_POLL_S)
