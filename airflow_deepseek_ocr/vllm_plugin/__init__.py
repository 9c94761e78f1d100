"""A plugin for vLLM: each request chooses its resolution mode.

vLLM finds it by its entry point ``vllm.general_plugins``. It is installed into vLLM's environment
as the distribution ``airflow-deepseek-ocr-vllm``, without Airflow.
"""

from __future__ import annotations

_ARCHITECTURE = "DeepseekOCRForCausalLM"


def register() -> None:
    """Put this package's model in the place of vLLM's own; vLLM calls it in each of its processes."""
    from vllm import ModelRegistry

    # By name: an import here would set up CUDA before vLLM forks.
    ModelRegistry.register_model(_ARCHITECTURE, f"{__name__}.model:{_ARCHITECTURE}")
