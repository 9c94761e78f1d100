"""The environment variables of the child process, by an allow-list.

The task's environment has connections with passwords, Airflow's keys and cloud credentials.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

#: Variables that the start of Python, the C library and the dynamic linker need.
_KEPT = frozenset(
    (
        "PATH",
        "LANG",
        "LANGUAGE",
        "TZ",
        "TMPDIR",
        "LD_LIBRARY_PATH",
        "LD_PRELOAD",
        "PYTHONHOME",
        "PYTHONDONTWRITEBYTECODE",
        "PYTHONHASHSEED",
        "PYTHONMALLOC",
        "PYTHONPYCACHEPREFIX",
        "PYTHONUTF8",
    )
)
_KEPT_PREFIXES = ("LC_", "MALLOC_")
_KEPT_SUFFIX = "_NUM_THREADS"


def child_environment(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the environment of a child, with this process's import path.

    :param environment: that of this process.
    """
    kept = {
        name: value
        for name, value in environment.items()
        if name in _KEPT or name.startswith(_KEPT_PREFIXES) or name.endswith(_KEPT_SUFFIX)
    }
    return kept | {
        "PYTHONPATH": os.pathsep.join(directory or str(Path.cwd()) for directory in sys.path),
        # NumPy does little here: threads would only take memory.
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
    }
