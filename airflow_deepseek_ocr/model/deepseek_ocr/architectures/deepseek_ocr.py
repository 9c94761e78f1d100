"""DeepSeek-OCR in transformers' native classes, where it is called ``unlimited_ocr``.

Without the translation transformers initialises every weight at random, says so only in a log line,
and attends to the last 128 tokens alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_deepseek_ocr.model.deepseek_ocr.architectures.published import (
    MLP_RATIO,
    named_fields,
    sam_config,
    text_config,
)

if TYPE_CHECKING:
    from transformers import UnlimitedOcrConfig

#: The native class, which transformers imports when it is asked for.
MODEL_CLASS = "UnlimitedOcrForConditionalGeneration"

#: The only tensor of the published checkpoint that the architecture has no use for: CLIP reads
#: SAM's features, not pixels, so its own patch embedding is idle.
UNUSED_TENSOR = "patch_embedding"

#: What a page's views take in the vision tower in bfloat16, in bytes: 9 tiles of 640 pixels and a view of
#: 1024. 8 pages of 6 tiles took 1.7 GiB on an H100, and compiled 1.4 GiB there and on an H200
#: (docs/measurements/engines.md). A page of 9 tiles has 1.35 times as many pixels.
VISION_BYTES_PER_PAGE = 320_000_000

#: Required by the native class and unused with full attention.
_UNUSED_SLIDING_WINDOW = 128


def translate_config(published: Mapping[str, Any], image_token_id: int) -> UnlimitedOcrConfig:
    """Return the native configuration for a published ``config.json``.

    :param published: the parsed file.
    :param image_token_id: id of ``<image>`` in the checkpoint's tokenizer.
    :raises ConfigurationError: ``model_config`` if the file is not of the DeepSeek-OCR layout.
    """
    from transformers import UnlimitedOcrConfig

    with named_fields("DeepSeek-OCR"):
        text = text_config(published)
        vision = published["vision_config"]
        vision_config = {
            "sam_config": sam_config(vision),
            "encoder_config": _clip(vision["width"]["clip-l-14-224"]),
        }
    text |= {
        "layer_types": ["full_attention"] * text["num_hidden_layers"],
        "sliding_window": _UNUSED_SLIDING_WINDOW,
    }
    return UnlimitedOcrConfig(
        vision_config=vision_config,
        text_config=text,
        image_token_id=image_token_id,
        tie_word_embeddings=False,
    )


def _clip(clip: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "hidden_size": clip["width"],
        "num_hidden_layers": clip["layers"],
        "num_attention_heads": clip["heads"],
        "intermediate_size": int(clip.get("mlp_ratio", MLP_RATIO) * clip["width"]),
        "image_size": clip["image_size"],
        "patch_size": clip["patch_size"],
    }
