"""Transfers between host and device that do not wait for the device's queue."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch


def to_device(numbers: Any, device: torch.device) -> torch.Tensor:
    """Return numbers as a tensor on the device; the copy is enqueued and does not block.

    :param numbers: nested lists of whole numbers, or an array.
    """
    tensor = torch.as_tensor(numbers)
    # A copy from pageable memory blocks until the device's queue is empty.
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor


class SideStream:
    """Copies from the device while its main stream keeps running; does nothing on a CPU.

    :param device: of the tensors.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream: Any = torch.cuda.Stream(device) if device.type == "cuda" else None  # type: ignore[no-untyped-call]

    def record(self) -> Any:
        """Record an event behind the work enqueued so far; None on a CPU."""
        if self._stream is None:
            return None
        event: Any = torch.cuda.Event()  # type: ignore[no-untyped-call]
        event.record(torch.cuda.current_stream(self._device))
        return event

    @contextmanager
    def after(self, event: Any) -> Iterator[None]:
        """Let copies made in the body wait for that event, and for no later work."""
        if self._stream is None:
            yield
            return
        with torch.cuda.stream(self._stream):
            self._stream.wait_event(event)
            yield
