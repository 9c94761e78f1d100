"""The native class and configuration of each model family."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from airflow_deepseek_ocr.model.deepseek_ocr.architectures import deepseek_ocr, deepseek_ocr_2
from airflow_deepseek_ocr.ocr.families.deepseek_ocr import DEEPSEEK_OCR
from airflow_deepseek_ocr.ocr.families.deepseek_ocr_2 import DEEPSEEK_OCR_2
from airflow_deepseek_ocr.ocr.families.registry import family_of_config


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """How a family's checkpoints are loaded.

    :param model_class: name of transformers' class.
    :param translate_config: returns its configuration for the parsed ``config.json`` and the id of
        ``<image>``.
    :param unused_tensor: part of the names of tensors that a checkpoint may have and the class has no use
        for; None for none.
    :param vision_bytes_per_page: what the views of a page with the most tiles take in the vision tower at the
        published size, in bytes, in a dtype of 16 bits.
    """

    model_class: str
    translate_config: Callable[[Mapping[str, Any], int], Any]
    unused_tensor: str | None = None
    vision_bytes_per_page: int

    def vision_bytes(self, itemsize: int) -> int:
        """Return what the views of a page with the most tiles take in the vision tower, in bytes.

        :param itemsize: bytes of a number of the model's dtype.
        """
        return self.vision_bytes_per_page * itemsize // 2

    def native_class(self) -> Any:
        """Return transformers' class."""
        import transformers

        return getattr(transformers, self.model_class)


#: By the family's name.
ARCHITECTURES: dict[str, Architecture] = {
    DEEPSEEK_OCR.name: Architecture(
        model_class=deepseek_ocr.MODEL_CLASS,
        translate_config=deepseek_ocr.translate_config,
        unused_tensor=deepseek_ocr.UNUSED_TENSOR,
        vision_bytes_per_page=deepseek_ocr.VISION_BYTES_PER_PAGE,
    ),
    DEEPSEEK_OCR_2.name: Architecture(
        model_class=deepseek_ocr_2.MODEL_CLASS,
        translate_config=deepseek_ocr_2.translate_config,
        vision_bytes_per_page=deepseek_ocr_2.VISION_BYTES_PER_PAGE,
    ),
}


def architecture_of_config(published: Any, source: str = "config.json") -> Architecture:
    """Return the architecture of a checkpoint.

    :param published: the parsed ``config.json``.
    :param source: the file, for the error.
    :raises ConfigurationError: ``model_config`` if no known family has such a file.
    """
    return ARCHITECTURES[family_of_config(published, source).name]
