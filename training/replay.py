"""A function of tensors as CUDA graphs, one for each combination of shapes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch


class Replayed:
    """Calls a function the first time it sees shapes, captures the second call, replays the others.

    A step of the training is four thousand small kernels; launched one by one they leave the GPU
    idle for six sevenths of the time.

    :param function: of a list of tensors; returns a tensor. Whatever else it changes must be
        tensors that stay where they are.
    """

    def __init__(self, function: Callable[[list[torch.Tensor]], torch.Tensor]) -> None:
        self._function = function
        self._graphs: dict[tuple[torch.Size, ...], _Graph | None] = {}
        self._pool = torch.cuda.graph_pool_handle()

    def __call__(self, tensors: list[torch.Tensor]) -> torch.Tensor:
        """The function's result."""
        shapes = tuple(tensor.shape for tensor in tensors)
        if shapes not in self._graphs:
            # Libraries set themselves up at the first call, which cannot be captured.
            self._graphs[shapes] = None
            return self._on_side_stream(tensors)
        graph = self._graphs[shapes]
        if graph is None:
            graph = self._graphs[shapes] = _Graph(self._function, tensors, self._pool)
        return graph.replay(tensors)

    def _on_side_stream(self, tensors: list[torch.Tensor]) -> torch.Tensor:
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            result = self._function(tensors)
        torch.cuda.current_stream().wait_stream(stream)
        return result


class _Graph:
    def __init__(
        self,
        function: Callable[[list[torch.Tensor]], torch.Tensor],
        tensors: list[torch.Tensor],
        pool: Any,
    ) -> None:
        self._inputs = [tensor.clone() for tensor in tensors]
        self._graph = torch.cuda.CUDAGraph()
        torch.cuda.synchronize()
        torch.cuda.empty_cache()
        # Other threads go on fetching batches into pinned memory meanwhile.
        with torch.cuda.graph(self._graph, pool=pool, capture_error_mode="thread_local"):
            self._result = function(self._inputs)

    def replay(self, tensors: list[torch.Tensor]) -> torch.Tensor:
        if tensors:
            torch._foreach_copy_(self._inputs, tensors)
        self._graph.replay()
        return self._result.clone()
