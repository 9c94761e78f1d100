"""The directory for files that need not survive a reboot."""

from __future__ import annotations

import os
from pathlib import Path


def temporary_directory() -> Path:
    """Return ``TMPDIR``, or ``/tmp`` if the variable is not set; the directory may be full or missing."""
    # tempfile.gettempdir() tests whether it can write, and falls back to another directory. While a disk is
    # full, tasks would then search servers and documents elsewhere than the tasks before them.
    return Path(os.environ.get("TMPDIR") or "/tmp")  # noqa: S108
