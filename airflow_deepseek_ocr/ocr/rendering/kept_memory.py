"""Memory that a rendering process keeps from one page to the next.

The kernel clears memory before it gives it, 4 KiB at a time: that took 40 of 90 ms of CPU time for a scan in
color (``docs/measurements/pipeline.md``). So the memory of usual pages is kept, that of large ones returned.
"""

from __future__ import annotations

import ctypes
import os

#: Bytes that are kept beside those of the process itself: a page of A4 at 200 dpi with a text layer takes
#: 76 MiB while it is rendered, a scan in color 25.
KEPT_BYTES = 96 << 20
#: M_TRIM_THRESHOLD and M_MMAP_THRESHOLD (``malloc.h``): sizes from which glibc's malloc returns freed memory,
#: and allocates outside the heap. The second has this largest value.
_THRESHOLDS = ((-1, KEPT_BYTES), (-3, 32 << 20))
#: Bytes of ``statm``: seven numbers.
_STATM_BYTES = 200

_LIBC = ctypes.CDLL(None)


def keep_memory() -> None:
    """Let glibc's malloc keep freed memory; other C libraries have no such setting."""
    set_option = getattr(_LIBC, "mallopt", None)
    if set_option is not None:
        for option, value in _THRESHOLDS:
            set_option(option, value)


class KeptMemory:
    """The memory that this process keeps. It is created before the sandbox, which refuses the kernel's file.

    :param most: bytes beside those that the process has now, from which freed memory is returned.
    """

    def __init__(self, most: int = KEPT_BYTES) -> None:
        self._statm = os.open("/proc/self/statm", os.O_RDONLY | os.O_CLOEXEC)
        self._most = self.resident_bytes() + most

    def resident_bytes(self) -> int:
        """Return the bytes of memory that the process has."""
        pages = os.pread(self._statm, _STATM_BYTES, 0).split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    def release(self) -> None:
        """Return freed memory to the kernel, if the process has more than it may keep."""
        trim = getattr(_LIBC, "malloc_trim", None)
        if trim is not None and self.resident_bytes() > self._most:
            trim(0)

    def close(self) -> None:
        """Close the kernel's file."""
        os.close(self._statm)
