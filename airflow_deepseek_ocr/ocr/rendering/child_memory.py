"""Peak memory of a child process, as the kernel counts it."""

from __future__ import annotations

import os
from contextlib import suppress

#: Writing this to ``clear_refs`` sets the peak to the present value (proc(5)).
_RESET_PEAK = b"5"
#: Bytes of ``status``: about 1,500.
_STATUS_BYTES = 8192
_PEAK = b"VmHWM:"


class ChildMemory:
    """The memory of a child, measured many times while it works; the kernel's files stay open.

    :param process: id of the process.
    """

    def __init__(self, process: int) -> None:
        self._status = _open(f"/proc/{process}/status", os.O_RDONLY)
        self._reset = _open(f"/proc/{process}/clear_refs", os.O_WRONLY)

    def forget_peak(self) -> None:
        """Count the peak from now on."""
        if self._reset is not None:
            with suppress(OSError):
                os.pwrite(self._reset, _RESET_PEAK, 0)

    def peak_bytes(self) -> int:
        """Return the peak since it was forgotten, in bytes; 0 if the process has ended."""
        if self._status is None:
            return 0
        try:
            status = os.pread(self._status, _STATUS_BYTES, 0)
        except OSError:
            return 0
        _, _, rest = status.partition(_PEAK)
        return int(rest.split(None, 1)[0]) << 10 if rest else 0

    def close(self) -> None:
        """Close the files."""
        for descriptor in (self._status, self._reset):
            if descriptor is not None:
                os.close(descriptor)
        self._status = self._reset = None


def _open(path: str, flags: int) -> int | None:
    try:
        return os.open(path, flags | os.O_CLOEXEC)
    except OSError:
        return None
