"""The build of torch that this Python has, found without importing it."""

from __future__ import annotations

import importlib.util
from pathlib import Path

#: torch's library of CUDA functions; builds for CPUs lack it.
_CUDA_LIBRARY = Path("lib") / "libtorch_cuda.so"


def has_cuda_torch() -> bool:
    """Return whether this Python has a torch that was built for CUDA."""
    spec = importlib.util.find_spec("torch")
    directories = (spec.submodule_search_locations if spec else None) or ()
    return any((Path(each) / _CUDA_LIBRARY).exists() for each in directories)
