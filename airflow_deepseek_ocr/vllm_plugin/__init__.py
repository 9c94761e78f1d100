"""A plugin for vLLM: each request chooses its resolution mode.

vLLM finds it by its entry point ``vllm.general_plugins``. It is installed into vLLM's environment
as the distribution ``airflow-deepseek-ocr-vllm``, without Airflow.
"""

from __future__ import annotations

from airflow_deepseek_ocr.ocr.families.registry import FAMILIES


def register() -> None:
    """Put this package's models in the place of vLLM's own; vLLM calls it in each of its processes."""
    from vllm import ModelRegistry

    for family in FAMILIES.values():
        # By name: an import here would set up CUDA before vLLM forks.
        ModelRegistry.register_model(family.architecture, f"{__name__}.model:{family.architecture}")
