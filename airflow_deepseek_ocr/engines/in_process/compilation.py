"""Compiled layers: each kind of layer is compiled once, for all layers of its kind."""

from __future__ import annotations

import functools
import logging
import os
from typing import Any

import torch
from torch import nn

from airflow_deepseek_ocr.model.weights.source import default_cache_dir

log = logging.getLogger(__name__)

#: Kinds of layers and sizes of images, each compiled by itself: two of SAM's layers and one of CLIP's
#: for each of the views of 512, 640, 1024 and 1280 pixels, and two of the decoder's for each number of
#: slots; torch's own limit of 8 is for one function's accidents.
_VARIANTS = 64


def use_compiler_cache() -> None:
    """Keep what is compiled in our cache directory, for processes to come.

    Where the environment names a directory, that stays; where ours cannot be written to, torch's own does.
    """
    if "TORCHINDUCTOR_CACHE_DIR" in os.environ:
        return
    try:
        directory = default_cache_dir() / "compiled"
        directory.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError):  # a user may have no home at all
        return
    if os.access(directory, os.W_OK):
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(directory)
        os.environ.setdefault("TRITON_CACHE_DIR", str(directory / "triton"))


class LayerCompiler:
    """Calls layers, compiled.

    :param backend: of ``torch.compile``.
    """

    def __init__(self, backend: str = "inductor") -> None:
        torch._dynamo.config.recompile_limit = max(_VARIANTS, torch._dynamo.config.recompile_limit)
        # Sizes that vary are named below; any other is a variant of its own.
        torch._dynamo.config.automatic_dynamic_shapes = False
        self._compiled = torch.compile(_apply, backend=backend, fullgraph=True)
        self.works = True

    def __call__(self, layer: nn.Module, states: torch.Tensor, *others: Any, **named: Any) -> Any:
        """The layer's output; what compiling raises is raised."""
        return self._compiled(layer, states, *others, **named)

    def give_up(self, error: Exception) -> None:
        """Tell why nothing will be compiled any more; once."""
        if self.works:
            # torch wraps what a backend raised, and says so on the first line.
            error = getattr(error, "inner_exception", error)
            log.warning(
                "The model's layers cannot be compiled on this host (%s: %s); reading goes on without, "
                "several times slower. torch.compile needs a C compiler (such as the package gcc) and, "
                "on a GPU, triton.",
                type(error).__name__,
                (str(error).splitlines() or [""])[0],
            )
        self.works = False


def compile_vision(tower: Any, compiler: LayerCompiler) -> None:
    """Compile the layers of a vision tower, for any number of views.

    :param tower: transformers' ``vision_tower``; its layers' ``forward`` is replaced.
    """
    for layer in (*tower.sam_encoder.layers, *tower.vision_encoder.encoder.layers):
        layer.forward = functools.partial(_see, compiler, layer)


def _see(
    compiler: LayerCompiler, layer: nn.Module, states: torch.Tensor, *others: Any, **named: Any
) -> Any:
    # A single view would be a variant of its own.
    if compiler.works and len(states) > 1:
        torch._dynamo.maybe_mark_dynamic(states, 0)
        try:
            return compiler(layer, states, *others, **named)
        except (torch.OutOfMemoryError, torch.AcceleratorError):
            raise
        except Exception as error:
            compiler.give_up(error)
    return _apply(layer, states, *others, **named)


def _apply(layer: nn.Module, states: torch.Tensor, *others: Any, **named: Any) -> Any:
    # Not layer(...): its own forward may have been replaced.
    return type(layer).forward(layer, states, *others, **named)
