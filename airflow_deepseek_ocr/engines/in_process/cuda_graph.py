"""A decoding step that is compiled once and launched as one CUDA graph."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import torch

from airflow_deepseek_ocr.engines.in_process.compilation import LayerCompiler
from airflow_deepseek_ocr.engines.in_process.decode_buffers import DecodeBuffers
from airflow_deepseek_ocr.engines.in_process.decoder_step import DecoderStep
from airflow_deepseek_ocr.engines.in_process.kv_cache import KeyValueCache, VisibleBlocks

log = logging.getLogger(__name__)


class CudaGraph:
    """Captures a function and launches all its kernels at once.

    A decoding step is about a thousand small kernels. Launched one by one, they leave the GPU idle most of
    the time.

    :param function: has run before; reads and changes only tensors whose addresses do not change. The
        graph stores addresses only: the caller keeps these tensors alive as long as the graph.
    :param device: a CUDA device.
    """

    def __init__(self, function: Callable[[], None], device: torch.device) -> None:
        self._graph = torch.cuda.CUDAGraph()
        stream: Any = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        before = torch.cuda.current_stream(device)
        with torch.cuda.device(device):
            torch.cuda.synchronize()
            try:
                # Other threads may query the device's clock during the capture.
                with torch.cuda.graph(
                    self._graph, stream=stream, capture_error_mode="thread_local"
                ):
                    function()
            except Exception:
                # torch restores the stream only after a capture that succeeded.
                torch.cuda.set_stream(before)
                raise

    def launch(self) -> None:
        """Enqueue the captured kernels."""
        self._graph.replay()


class GraphedStep:
    """A step of the first slots: compiled layers, attention by blocks, one CUDA graph where possible.

    Call :meth:`compile`, then :meth:`capture`, before the first page enters. All of it runs under
    ``torch.inference_mode``.

    :param step: the decoder's step.
    :param buffers: state of the slots.
    :param cache: keys and values of the slots.
    :param count: number of slots, counted from the first.
    :param compiler: compiles and calls the layers.
    """

    def __init__(
        self,
        step: DecoderStep,
        *,
        buffers: DecodeBuffers,
        cache: KeyValueCache,
        count: int,
        compiler: LayerCompiler,
    ) -> None:
        self._step, self._compiler = step, compiler
        self._device = buffers.rows.device
        self._visible = VisibleBlocks(cache, buffers.position[:count])
        self._caches = cache.step(count, None)
        self._graph: CudaGraph | None = None

    def compile(self) -> None:
        """Run the step once, which compiles its layers. All slots must be done: they write nowhere.

        Whatever the compiler raises is raised.
        """
        self._run()

    def capture(self) -> None:
        """Capture the step as a CUDA graph; where that fails, kernels are launched one by one.

        :raises torch.OutOfMemoryError: the graph does not fit.
        """
        # In other dtypes the experts run in a loop that waits for the device, which cannot be captured,
        # and a failed capture leaves torch's allocator in disorder.
        if self._device.type != "cuda" or self._step.dtype != torch.bfloat16:
            return
        try:
            self._graph = CudaGraph(self._run, self._device)
        except torch.OutOfMemoryError:
            raise
        except Exception as error:
            log.warning(
                "The decoding step cannot be captured as a CUDA graph, so it is slower: %s", error
            )

    def __call__(self) -> None:
        """Append one token to each of the slots; never blocks."""
        if self._graph is not None:
            self._graph.launch()
        else:
            self._run()

    def _run(self) -> None:
        self._visible.follow()
        self._step(self._visible.rows, self._visible.mask, self._caches, self._compiler)
