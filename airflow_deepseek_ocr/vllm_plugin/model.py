"""vLLM's DeepSeek-OCR with this package's preparation of images; imported by vLLM alone.

vLLM's encoder reads views of any size. What fixes it to gundam is how images are prepared and how many
tokens are counted for them, and both are replaced here. Images reach the model with pixels of 8 bits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NoReturn

import torch
from PIL import Image
from transformers import BatchFeature
from vllm.model_executor.models import deepseek_ocr
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
from airflow_deepseek_ocr.ocr.families.deepseek_ocr import DEEPSEEK_OCR, TILE_SIZE
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
    :param image_token_id: id of ``<image>``.
    """

    resolution: Resolution
    image_token_id: int
    image_token: str = _IMAGE

    def __call__(self, *, images: Sequence[Image.Image], **_: object) -> BatchFeature:
        """The model's inputs as tensors; see :func:`model_inputs`.

        :param images: the request's.
        """
        inputs = model_inputs(images, self.resolution, TILE_SIZE)
        return BatchFeature({name: torch.from_numpy(each) for name, each in inputs.items()})


class ProcessingInfo(deepseek_ocr.DeepseekOCRProcessingInfo):
    """What vLLM asks of a model before it has images."""

    def get_hf_processor(self, **options: object) -> ImageProcessor:
        """The processor for these ``mm_processor_kwargs``, over those the server was started with.

        :raises ValueError: see :func:`requested_resolution`.
        """
        return ImageProcessor(
            requested_resolution(self.ctx.get_merged_mm_kwargs(options), DEEPSEEK_OCR),
            self.get_tokenizer().get_vocab()[_IMAGE],
        )

    def get_image_size_with_most_features(self) -> ImageSize:
        """Pixels of an image that :data:`_LARGEST` cuts into a column of as many tiles as can be."""
        return ImageSize(width=TILE_SIZE, height=TILE_SIZE * DEEPSEEK_OCR.max_tiles)

    def get_mm_max_tokens_per_item(
        self, seq_len: int, mm_counts: Mapping[str, int]
    ) -> Mapping[str, int]:
        """Most tokens of an image in any mode."""
        return {"image": DEEPSEEK_OCR.most_vision_tokens}


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
    """vLLM's own model, with the modes of this package.

    :param vllm_config: vLLM's configuration; vLLM recognises a model's class by the names of its parameters.
    :param prefix: of the names of weights.
    """

    def __init__(self, *, vllm_config: Any, prefix: str = "") -> None:
        super().__init__(vllm_config=vllm_config, prefix=prefix)
        newline = self.image_newline
        # A buffer survives vLLM's sleep, and is no weight of the checkpoint.
        table = pixel_table(newline.device, newline.dtype)
        self.register_buffer("pixel_table", table, persistent=False)

    def _parse_and_validate_image_input(self, **inputs: Any) -> Any:
        pixels = {
            name: to_pixel_values(inputs[name], self.pixel_table).contiguous()
            for name in ("pixel_values", "images_crop")
            if inputs.get(name) is not None
        }
        return super()._parse_and_validate_image_input(**inputs | pixels)

    def get_encoder_cudagraph_config(self) -> NoReturn:
        """Refuse CUDA graphs of the encoder, which vLLM has for gundam's sizes only.

        :raises ValueError: always; vLLM calls this only with ``cudagraph_mm_encoder``.
        """
        raise ValueError(
            "Start vLLM without cudagraph_mm_encoder: its graphs are for one resolution mode only, and "
            "the plugin airflow-deepseek-ocr-vllm reads in five."
        )
