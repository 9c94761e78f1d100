"""The build of torch that this Python has, found without importing it."""

from __future__ import annotations

import importlib.util
import re
from contextlib import suppress
from pathlib import Path

#: torch's library of CUDA functions; builds for CPUs lack it.
_CUDA_LIBRARY = Path("lib") / "libtorch_cuda.so"
#: The line of ``torch/version.py``.
_CUDA_VERSION = re.compile(r"^cuda\b[^=\n]*= *['\"]([^'\"]+)['\"]", re.MULTILINE)


def has_cuda_torch() -> bool:
    """Return whether this Python has a torch that was built for CUDA."""
    spec = importlib.util.find_spec("torch")
    directories = (spec.submodule_search_locations if spec else None) or ()
    return any((Path(each) / _CUDA_LIBRARY).exists() for each in directories)


def cuda_of_torch() -> str | None:
    """Return the version of CUDA that torch was built for; None without torch or without CUDA."""
    spec = importlib.util.find_spec("torch")
    for directory in (spec.submodule_search_locations if spec else None) or ():
        with suppress(OSError):
            match = _CUDA_VERSION.search((Path(directory) / "version.py").read_text())
            if match:
                return match[1]
    return None
