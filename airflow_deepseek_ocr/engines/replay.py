"""A function that always works on the same tensors, as one CUDA graph."""

from __future__ import annotations

from collections.abc import Callable

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
        with torch.cuda.device(device):
            torch.cuda.synchronize()
            # The thread that prepares pages goes on taking pinned memory meanwhile.
            with torch.cuda.graph(self._graph, capture_error_mode="thread_local"):
                function()

    def __call__(self) -> None:
        """Do it again."""
        self._graph.replay()
