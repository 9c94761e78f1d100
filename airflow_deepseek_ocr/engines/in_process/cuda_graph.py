"""A function that always works on the same tensors, as one CUDA graph."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch


class Replayed:
    """Captures a function and launches all that it does at once.

    A step of the decoder is a thousand small kernels; launched one by one they leave the GPU idle for
    most of the time.

    :param function: has run before; reads and changes only tensors that stay where they are.
    :param device: a CUDA device.
    """

    def __init__(self, function: Callable[[], None], device: torch.device) -> None:
        # The graph knows addresses alone: the function's tensors must live as long.
        self._function = function
        self._graph = torch.cuda.CUDAGraph()
        stream: Any = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        before = torch.cuda.current_stream(device)
        with torch.cuda.device(device):
            torch.cuda.synchronize()
            try:
                # Another thread may ask the device for the time meanwhile.
                with torch.cuda.graph(
                    self._graph, stream=stream, capture_error_mode="thread_local"
                ):
                    function()
            except Exception:
                # torch leaves the capture's stream only when all went well.
                torch.cuda.set_stream(before)
                raise

    def __call__(self) -> None:
        """Do it again."""
        self._graph.replay()
