"""Open file descriptors of the tests' process."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def open_descriptors() -> int:
    """Return how many descriptors this process has, that of the listing included."""
    return len(list(Path("/proc/self/fd").iterdir()))


@contextmanager
def no_descriptor_left() -> Iterator[None]:
    """Assert that the block leaves as many descriptors open as there were."""
    gc.collect()  # a collection within the block would close descriptors of earlier tests
    before = open_descriptors()
    yield
    assert open_descriptors() == before, "descriptors are left open"
