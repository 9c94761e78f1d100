"""Where this host keeps what need not outlast a reboot."""

from __future__ import annotations

import os
from pathlib import Path


def temporary_directory() -> Path:
    """``TMPDIR``, or ``/tmp``; it may be full, or not be there."""
    # tempfile.gettempdir() writes to it first, and turns to another disk where that fails: while this
    # one is full, tasks would keep servers and documents where the tasks before them did not.
    return Path(os.environ.get("TMPDIR") or "/tmp")  # noqa: S108
