"""Compilation of layers: each kind of layer is compiled once, for all layers of its kind."""

from __future__ import annotations

import functools
import logging
import os
from typing import Any

import torch
from torch import nn

from airflow_deepseek_ocr.model.weights.source import default_cache_dir

log = logging.getLogger(__name__)

#: Most variants, each compiled separately: two of SAM's layers and one of the other encoder's for each size
#: of views (512, 640, 1024 and 1280 pixels, or 768 and 1024), and two of the decoder's and the scores of
#: tokens for each number of slots; torch's default limit of 8 is meant for accidental recompilations.
_VARIANTS = 64


def use_compiler_cache() -> None:
    """Keep compiled layers in this package's cache directory, for later processes.

    A directory named in the environment takes precedence; if ours is not writable, torch's default is used.
    """
    if "TORCHINDUCTOR_CACHE_DIR" in os.environ:
        return
    try:
        directory = default_cache_dir() / "compiled"
        directory.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError):  # the user may have no home directory
        return
    if os.access(directory, os.W_OK):
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(directory)
        os.environ.setdefault("TRITON_CACHE_DIR", str(directory / "triton"))


class LayerCompiler:
    """Calls layers through ``torch.compile``.

    :param backend: backend of ``torch.compile``.
    """

    def __init__(self, backend: Any = "inductor") -> None:
        torch._dynamo.config.recompile_limit = max(_VARIANTS, torch._dynamo.config.recompile_limit)
        # Dimensions that vary are marked below; any other size compiles a separate variant.
        torch._dynamo.config.automatic_dynamic_shapes = False
        self._compiled = torch.compile(_apply, backend=backend, fullgraph=True)
        self.works = True

    def __call__(self, layer: nn.Module, states: torch.Tensor, *others: Any, **named: Any) -> Any:
        """Return the layer's output; exceptions of the compiler are raised."""
        return self._compiled(layer, states, *others, **named)

    def give_up(self, error: Exception) -> None:
        """Stop compiling, and log the reason once.

        :param error: what the compiler raised.
        """
        if self.works:
            # torch wraps the backend's exception; the cause is inside.
            error = getattr(error, "inner_exception", error)
            log.warning(
                "The model's layers cannot be compiled on this host (%s: %s); pages are read "
                "uncompiled, several times slower. torch.compile needs a C compiler (such as the package "
                "gcc) and, on a GPU, triton.",
                type(error).__name__,
                (str(error).splitlines() or [""])[0],
            )
        self.works = False


def compile_vision(tower: Any, compiler: LayerCompiler) -> None:
    """Compile the layers of a vision tower, for any number of views.

    :param tower: transformers' ``vision_tower``; its layers' ``forward`` is replaced.
    """
    # CLIP's layers are one attribute deeper than those of DeepSeek-OCR-2's encoder.
    encoder = getattr(tower.vision_encoder, "encoder", tower.vision_encoder)
    for layer in (*tower.sam_encoder.layers, *encoder.layers):
        layer.forward = functools.partial(_call_vision_layer, compiler, layer)


def _call_vision_layer(
    compiler: LayerCompiler, layer: nn.Module, states: torch.Tensor, *others: Any, **named: Any
) -> Any:
    # A single view would compile a separate variant.
    if compiler.works and len(states) > 1:
        torch._dynamo.maybe_mark_dynamic(states, 0)
        try:
            return compiler(layer, states, *others, **_with_shared_mask(named))
        except (torch.OutOfMemoryError, torch.AcceleratorError):
            raise
        except Exception as error:
            compiler.give_up(error)
    return _apply(layer, states, *others, **named)


def _with_shared_mask(named: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments with one attention mask for all views of a batch.

    DeepSeek-OCR-2's mask depends on the views' size alone, and is repeated for each view: each number of
    views would compile a separate variant.
    """
    mask = named.get("attention_mask")
    return named if mask is None else named | {"attention_mask": mask[:1]}


def _apply(layer: nn.Module, states: torch.Tensor, *others: Any, **named: Any) -> Any:
    # Not layer(...): compile_vision may have replaced the instance's forward.
    return type(layer).forward(layer, states, *others, **named)
