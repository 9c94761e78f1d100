"""Between host and device without waiting for what the device has to do first."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch


def to_device(numbers: Any, device: torch.device) -> torch.Tensor:
    """Numbers as a tensor on the device, behind the work that is queued there.

    :param numbers: nested lists of whole numbers, or an array.
    """
    tensor = torch.as_tensor(numbers)
    # From memory that may be paged out a copy waits until the device has done all else.
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor


class BesideStream:
    """Copies from the device while its main stream goes on; on a CPU there is nothing to do.

    :param device: of the tensors.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream: Any = torch.cuda.Stream(device) if device.type == "cuda" else None  # type: ignore[no-untyped-call]

    def moment(self) -> Any:
        """Now, in the order of the device's work."""
        if self._stream is None:
            return None
        event: Any = torch.cuda.Event()  # type: ignore[no-untyped-call]
        event.record(torch.cuda.current_stream(self._device))
        return event

    @contextmanager
    def after(self, moment: Any) -> Iterator[None]:
        """What is copied here waits for that moment, and for nothing later."""
        if self._stream is None:
            yield
            return
        with torch.cuda.stream(self._stream):
            self._stream.wait_event(moment)
            yield
