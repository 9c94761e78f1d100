"""vLLM's models with this package's preparation of images; imported by vLLM alone.

vLLM's encoders read the views of all modes. What fixes them to gundam is how images are prepared and how many
tokens are counted for them, and both are replaced here. Images reach the model with pixels of 8 bits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NoReturn

import torch
from PIL import Image
from transformers import BatchFeature
from vllm.model_executor.models import deepseek_ocr, deepseek_ocr2
from vllm.multimodal import MULTIMODAL_REGISTRY
from vllm.multimodal.inputs import MultiModalFieldConfig
from vllm.multimodal.parse import ImageProcessorItems, ImageSize
from vllm.multimodal.processing import (
    BaseMultiModalProcessor,
    ProcessorInputs,
    PromptReplacement,
    PromptUpdate,
)

from airflow_deepseek_ocr.model.deepseek_ocr.pixel_values import pixel_table, to_pixel_values
from airflow_deepseek_ocr.ocr.families.deepseek_ocr import DEEPSEEK_OCR
from airflow_deepseek_ocr.ocr.families.deepseek_ocr_2 import DEEPSEEK_OCR_2
from airflow_deepseek_ocr.ocr.families.family import ModelFamily
from airflow_deepseek_ocr.ocr.resolution import Resolution
from airflow_deepseek_ocr.vllm_plugin.request import model_inputs, requested_resolution

_IMAGE = "<image>"
#: The mode with the most tokens, by which vLLM measures how much memory images take.
_LARGEST = {"resolution": "gundam"}

if not hasattr(BaseMultiModalProcessor, "_get_hf_mm_inputs"):
    raise ImportError(
        "The plugin airflow-deepseek-ocr-vllm does not know this version of vLLM; it was made for "
        "0.32. Install a newer vLLM, or set VLLM_PLUGINS to the plugins to load without it."
    )


@dataclass(frozen=True)
class ImageProcessor:
    """Prepares a request's images.

    :param resolution: the request's mode.
    :param tile_size: side of the family's tiles in pixels.
    :param image_token_id: id of ``<image>``.
    """

    resolution: Resolution
    tile_size: int
    image_token_id: int
    image_token: str = _IMAGE

    def __call__(self, *, images: Sequence[Image.Image], **_: object) -> BatchFeature:
        """The model's inputs as tensors; see :func:`model_inputs`.

        :param images: the request's.
        """
        inputs = model_inputs(images, self.resolution, self.tile_size)
        return BatchFeature({name: torch.from_numpy(each) for name, each in inputs.items()})


class ProcessingInfo(deepseek_ocr.DeepseekOCRProcessingInfo):
    """What vLLM asks of DeepSeek-OCR before it has images."""

    family: ModelFamily = DEEPSEEK_OCR

    def get_hf_processor(self, **options: object) -> ImageProcessor:
        """The processor for these ``mm_processor_kwargs``, over those the server was started with.

        :raises ValueError: see :func:`requested_resolution`.
        """
        return ImageProcessor(
            requested_resolution(self.ctx.get_merged_mm_kwargs(options), self.family),
            self.family.tile_size,
            self.get_tokenizer().get_vocab()[_IMAGE],
        )

    def get_image_size_with_most_features(self) -> ImageSize:
        """Pixels of an image that :data:`_LARGEST` cuts into a column of as many tiles as can be."""
        side = self.family.tile_size
        return ImageSize(width=side, height=side * self.family.max_tiles)

    def get_mm_max_tokens_per_item(
        self, seq_len: int, mm_counts: Mapping[str, int]
    ) -> Mapping[str, int]:
        """Most tokens of an image in any mode."""
        return {"image": self.family.most_vision_tokens}


class ProcessingInfo2(ProcessingInfo):
    """What vLLM asks of DeepSeek-OCR-2 before it has images."""

    family: ModelFamily = DEEPSEEK_OCR_2


class MultiModalProcessor(deepseek_ocr.DeepseekOCRMultiModalProcessor):
    """A request's prompt and images to the model's inputs."""

    def get_dummy_inputs(self, *arguments: Any, **options: Any) -> ProcessorInputs:
        """The largest image there may be, in the mode that takes the most tokens for it."""
        inputs = super().get_dummy_inputs(*arguments, **options)
        return replace(inputs, hf_processor_mm_kwargs=_LARGEST)

    def _get_mm_fields_config(
        self, hf_inputs: BatchFeature, hf_processor_mm_kwargs: Mapping[str, object]
    ) -> Mapping[str, MultiModalFieldConfig]:
        images = len(hf_inputs.get("pixel_values", ()))
        # Images that differ in a shared field are not put into one batch, which has one view size.
        shared = MultiModalFieldConfig.shared("image", images, keep_on_cpu=True)
        fields = super()._get_mm_fields_config(hf_inputs, hf_processor_mm_kwargs)
        return {**fields, "view_size": shared}

    def _get_prompt_updates(
        self,
        mm_items: Any,
        hf_processor_mm_kwargs: Mapping[str, object],
        out_mm_kwargs: Any,
    ) -> Sequence[PromptUpdate]:
        processor = self.info.get_hf_processor(**hf_processor_mm_kwargs)

        def placeholders(number: int) -> list[int]:
            size = mm_items.get_items("image", ImageProcessorItems).get_image_size(number)
            mode = processor.resolution
            tokens = mode.vision_tokens(mode.grid(size.width, size.height))
            return [processor.image_token_id] * tokens

        return [PromptReplacement("image", [processor.image_token_id], placeholders)]


@MULTIMODAL_REGISTRY.register_processor(
    MultiModalProcessor,
    info=ProcessingInfo,
    dummy_inputs=deepseek_ocr.DeepseekOCRDummyInputsBuilder,
)
class DeepseekOCRForCausalLM(deepseek_ocr.DeepseekOCRForCausalLM):
    """vLLM's own DeepSeek-OCR, with the modes of this package.

    :param vllm_config: vLLM's configuration; vLLM recognises a model's class by the names of its parameters.
    :param prefix: of the names of weights.
    """

    def __init__(self, *, vllm_config: Any, prefix: str = "") -> None:
        super().__init__(vllm_config=vllm_config, prefix=prefix)
        _add_pixel_table(self)

    def _parse_and_validate_image_input(self, **inputs: Any) -> Any:
        return super()._parse_and_validate_image_input(**_with_pixel_values(self, inputs))

    def get_encoder_cudagraph_config(self) -> NoReturn:
        """Refuse CUDA graphs of the encoder, which vLLM has for gundam's sizes only.

        :raises ValueError: always; vLLM calls this only with ``cudagraph_mm_encoder``.
        """
        raise ValueError(
            "Start vLLM without cudagraph_mm_encoder: its graphs are for one resolution mode only, and "
            "the plugin airflow-deepseek-ocr-vllm reads in several."
        )


@MULTIMODAL_REGISTRY.register_processor(
    MultiModalProcessor,
    info=ProcessingInfo2,
    dummy_inputs=deepseek_ocr.DeepseekOCRDummyInputsBuilder,
)
class DeepseekOCR2ForCausalLM(deepseek_ocr2.DeepseekOCR2ForCausalLM):
    """vLLM's own DeepSeek-OCR-2, with the modes of this package.

    :param vllm_config: see :class:`DeepseekOCRForCausalLM`.
    :param prefix: likewise.
    """

    def __init__(self, *, vllm_config: Any, prefix: str = "") -> None:
        super().__init__(vllm_config=vllm_config, prefix=prefix)
        _add_pixel_table(self)

    def _parse_and_validate_image_input(self, **inputs: Any) -> Any:
        if inputs.get("pixel_values") is None:
            return None
        inputs = _with_pixel_values(self, inputs)
        # vLLM's own method allows views of 1024 pixels alone.
        return deepseek_ocr.DeepseekOCRImagePixelInputs(
            type="pixel_values",
            data=inputs["pixel_values"],
            images_crop=inputs["images_crop"],
            images_spatial_crop=inputs["images_spatial_crop"],
        )


def _add_pixel_table(model: Any) -> None:
    separator = model.view_seperator
    # A buffer survives vLLM's sleep, and is no weight of the checkpoint.
    table = pixel_table(separator.device, separator.dtype)
    model.register_buffer("pixel_table", table, persistent=False)


def _with_pixel_values(model: Any, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the inputs with pixels of 8 bits as the model's values."""
    pixels = {
        name: to_pixel_values(inputs[name], model.pixel_table).contiguous()
        for name in ("pixel_values", "images_crop")
        if inputs.get(name) is not None
    }
    return {**inputs, **pixels}
